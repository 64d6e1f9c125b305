"""The dashboard: one page of static files at `/`, with nothing to build and nothing fetched from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, abort, send_from_directory

bp = Blueprint("dashboard", __name__)

_STATIC = Path(__file__).parent / "static"
_VENDORED = frozenset({"uPlot.iife.js", "uPlot.min.css"})
_DAY = 24 * 60 * 60
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


@bp.get("/")
def page() -> Response:
    """The page itself."""
    return _send(_STATIC, "index.html")


@bp.get("/dashboard/<path:name>")
def static_file(name: str) -> Response:
    """A style sheet, module or picture of the page."""
    return _send(_STATIC, name)


@bp.get("/dashboard/vendor/<name>")
def vendored_file(name: str) -> Response:
    """A file of uPlot, straight out of the installed `uplot-python` package."""
    if name not in _VENDORED:
        abort(404)
    return _send(_uplot(), name, max_age=_DAY)


@cache
def _uplot() -> Path:
    # Found, not imported: importing the package pulls in IPython.
    spec = find_spec("uplot")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("The dashboard draws with uPlot, which is not installed: pip install uplot-python")
    return Path(spec.submodule_search_locations[0]) / "static"


def _send(folder: Path, name: str, max_age: int | None = None) -> Response:
    # Our own files carry no version in their names, so a browser asks each time and mostly hears 304.
    answer = send_from_directory(folder, name, max_age=max_age)
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer
