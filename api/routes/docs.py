"""`GET /openapi.json` and `GET /docs`: the document, and Swagger UI to try it out, without the internet.

The links of the page are relative, so that it works below /v1 too, and below other bases that register it.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, request

from access.keys import READ
from api.answers import LINE_END, encode
from api.guard import needs
from api.gzip_coding import offer
from api.openapi.operation import files
from api.openapi.operation import page as page_of
from api.static_files import DAY_SECONDS, folder_in_package, send_file

bp = Blueprint("docs", __name__)

_OWN = Path(__file__).parent / "docs_page"
_OWN_FILES = frozenset({"start.js", "page.css"})
_SWAGGER_FILES = frozenset({"swagger-ui-bundle.js", "swagger-ui.css", "index.css", "favicon-32x32.png"})
_DOCUMENTS = "tidemark_openapi"


@bp.get("/openapi.json")
@needs(READ)
@page_of("application/json", "Document")
def document() -> Response:
    """The OpenAPI document of all that is below the same base."""
    # Put together when it is first asked for.
    documents = current_app.extensions.setdefault(_DOCUMENTS, {})
    base = request.path.removesuffix("/openapi.json").removesuffix("/v1")
    if base not in documents:
        documents[base] = encode(_build(current_app, base), b"" if base else LINE_END)
    response = Response(documents[base], content_type="application/json")
    offer(response).add_etag()  # each form has an ETag of its own
    response.make_conditional(request)
    return response


@bp.get("/docs")
@needs(READ)
@page_of()
def page() -> Response:
    """Interactive documentation."""
    return send_file(_OWN, "index.html")


@bp.get("/docs/<name>")
@needs(READ)
@files()
def file(name: str) -> Response:
    """Files of the documentation."""
    if name in _OWN_FILES:
        return send_file(_OWN, name)
    if name not in _SWAGGER_FILES:
        abort(404)
    # Straight out of the installed package.
    return send_file(folder_in_package("flask_swagger_ui", "dist", "flask-swagger-ui"), name, DAY_SECONDS)


def _build(app: Flask, base: str) -> dict[str, object]:
    from api.openapi.document import build  # apispec is loaded by the worker that is asked, and by no other

    return build(app, base)
