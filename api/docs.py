"""`GET /openapi.json` and `GET /docs`: the document, and Swagger UI to try it out, without the internet."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import orjson
from flask import Blueprint, Flask, Response, abort, current_app, request, send_from_directory

bp = Blueprint("docs", __name__)

_OWN = Path(__file__).parent / "docs_page"
_OWN_FILES = frozenset({"start.js"})
_SWAGGER_FILES = frozenset({"swagger-ui-bundle.js", "swagger-ui.css", "index.css", "favicon-32x32.png"})
_DAY_SECONDS = 86_400
_DOCUMENT = "tidemark_openapi"
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


@bp.get("/openapi.json")
def document() -> Response:
    """The OpenAPI document, put together when it is first asked for."""
    extensions = current_app.extensions
    if _DOCUMENT not in extensions:
        extensions[_DOCUMENT] = orjson.dumps(_build(current_app))
    response = Response(extensions[_DOCUMENT], content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


@bp.get("/docs")
def page() -> Response:
    """The page that shows it."""
    return _send(_OWN, "index.html")


@bp.get("/docs/<name>")
def file(name: str) -> Response:
    """A file of the page: ours, or straight out of the installed `flask-swagger-ui` package."""
    if name in _OWN_FILES:
        return _send(_OWN, name)
    if name not in _SWAGGER_FILES:
        abort(404)
    return _send(_swagger_ui(), name, _DAY_SECONDS)


def _build(app: Flask) -> dict[str, object]:
    from api.openapi.document import build  # apispec is loaded by the worker that is asked, and by no other

    return build(app)


@cache
def _swagger_ui() -> Path:
    # Found, not imported: only its files are wanted.
    spec = find_spec("flask_swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("/docs shows Swagger UI, which is not installed: pip install flask-swagger-ui")
    return Path(spec.submodule_search_locations[0]) / "dist"


def _send(folder: Path, name: str, max_age: int | None = None) -> Response:
    response = send_from_directory(folder, name, max_age=max_age)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
