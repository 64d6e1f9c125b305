"""The dashboard: one page at `/`, with nothing to build and nothing fetched from elsewhere."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort

from access.keys import READ
from api.guard import needs
from api.openapi import operation
from api.static_files import DAY_SECONDS, folder_in_package, send_file, send_script
from dashboard.bundle import script

bp = Blueprint("dashboard", __name__)

_STATIC = Path(__file__).parent / "static"
_VENDORED = frozenset({"uPlot.iife.js", "uPlot.min.css"})


@bp.get("/")
@needs(READ)
def page() -> Response:
    """The page itself."""
    return send_file(_STATIC, "index.html")


@bp.get("/dashboard/<path:name>")
@needs(READ)
def static_file(name: str) -> Response:
    """A style sheet, script or picture of the page. `main.js` is all of its modules."""
    return send_script(script()) if name == "main.js" else send_file(_STATIC, name)


@bp.get("/dashboard/vendor/<name>")
@needs(READ)
def vendored_file(name: str) -> Response:
    """A file of uPlot, straight out of the installed `uplot-python` package, whose import would pull in IPython."""
    if name not in _VENDORED:
        abort(404)
    return send_file(folder_in_package("uplot", "static", "uplot-python"), name, DAY_SECONDS)


operation.describe(
    {
        page: operation.page("The dashboard"),
        static_file: operation.files("Files of the dashboard"),
        vendored_file: operation.files("Files of its chart"),
    }
)
