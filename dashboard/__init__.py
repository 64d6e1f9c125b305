"""The dashboard: one page at `/`, with nothing to build and nothing fetched from elsewhere."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort

from access.keys import READ
from api.guard import needs
from api.openapi.operation import files
from api.openapi.operation import page as page_of
from api.static_files import DAY_SECONDS, folder_in_package, send_file, send_script
from dashboard.bundle import script

bp = Blueprint("dashboard", __name__)

_STATIC = Path(__file__).parent / "static"
_VENDORED = frozenset({"uPlot.iife.js", "uPlot.min.css"})


@bp.get("/")
@needs(READ)
@page_of()
def page() -> Response:
    """The dashboard."""
    return send_file(_STATIC, "index.html")


@bp.get("/dashboard/<path:name>")
@needs(READ)
@files()
def static_file(name: str) -> Response:
    """Files of the dashboard.

    `main.js` is all of its modules.
    """
    return send_script(script()) if name == "main.js" else send_file(_STATIC, name)


@bp.get("/dashboard/vendor/<name>")
@needs(READ)
@files()
def vendored_file(name: str) -> Response:
    """Files of its chart."""
    # Straight out of the installed package, whose import would pull in IPython.
    if name not in _VENDORED:
        abort(404)
    return send_file(folder_in_package("uplot", "static", "uplot-python"), name, DAY_SECONDS)
