"""The boundary against foreign pages, put before every route; `access.foreign` decides, this asks it.

Whatever answers requests past Flask has to ask it first and to send `JSON_HEADERS`; a route that has only
the hooks of this module around it may then be answered there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, request

from access.foreign import JSON_HEADERS
from api.context import context
from api.guard import OPEN, need_here
from api.problems import Problem

_HEALTH = "/health", "/v1/health"
"""Begins the paths of health checks, and those that somebody who checks has mistyped."""


def own_address(environ: Mapping[str, Any]) -> str:
    """Return the address of this side of the connection; '' for a Unix socket.

    Where the server does not show its socket, the client's address stands for it: nobody but a process of this machine
    has a loopback address.
    """
    sock = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if sock is None:
        return str(environ.get("REMOTE_ADDR") or "")
    address = sock.getsockname()
    return str(address[0]) if isinstance(address, tuple) else ""


def check() -> None:
    """Refuse the request of a foreign page, and one by a name that is not ours. Raises Problem."""
    environ, boundary = request.environ, context().boundary
    read = environ.get
    host = read("HTTP_HOST")
    refusal = boundary.refusal(
        environ["REQUEST_METHOD"],
        host,
        read("HTTP_ORIGIN"),
        read("HTTP_SEC_FETCH_SITE"),
        read("HTTP_SEC_FETCH_MODE"),
        own_address(environ) if boundary.depends_on_address(host) else "",
        websocket="HTTP_UPGRADE" in environ,
        is_health=need_here() is OPEN or environ["PATH_INFO"].startswith(_HEALTH),
        password=read("HTTP_AUTHORIZATION", "")[:5].lower() == "basic",
    )
    if refusal is not None:
        raise Problem(*refusal)


def protect(response: Response) -> Response:
    """Add the headers of every JSON answer."""
    if (response.mimetype or "").endswith("json"):
        response.headers.extend(JSON_HEADERS)
    return response


HOOKS: frozenset[Callable[..., Any]] = frozenset({check, protect})


def register(app: Flask) -> None:
    """Put the boundary before every route of `app`."""
    app.before_request(check)
    app.after_request(protect)
