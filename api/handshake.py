"""The handshake of a WebSocket (RFC 6455, section 4.2), and the routes whose views stand behind it.

All hooks before a request have run when the handshake is answered, so whatever refuses one does it by an ordinary
answer. Extensions and subprotocols are offers; none is taken up, so what those headers hold is not read.
"""

from __future__ import annotations

import base64
import binascii
import errno
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any, NoReturn, TypeVar
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Blueprint, Response, request
from wsproto.utilities import generate_accept_token

from api.problems import Problem
from api.stream_answers import client_socket, place
from streaming.endings import BROKEN
from streaming.websocket import WebSocket

VERSION = "13"
_KEY_BYTES = 16
_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
_log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., None])


class Upgraded(Response):
    """The answer of a view whose connection was a WebSocket's, and has ended."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Raise what tells every server that nothing can be sent any more, which is true."""
        raise BrokenPipeError(errno.EPIPE, "this connection was a WebSocket's")


def websocket_route(bp: Blueprint, path: str) -> Callable[[View], View]:
    """Register a view that is given the open WebSocket before what stands in the path."""

    def register(view: View) -> View:
        @wraps(view)
        def switch(**in_path: Any) -> Response:
            with place():
                answer = accept(request.environ)
                sock = client_socket()
                assert sock is not None, "who cannot stream was refused before"
                ws = WebSocket(sock)
                try:
                    with suppress(OSError):  # the client has left; the view notices too
                        ws.send(answer)
                    view(ws, **in_path)
                except Exception:  # noqa: BLE001 - whatever it is: an answer of HTTP can no longer tell of it
                    _log.exception("a WebSocket failed")
                    ws.close(BROKEN.code, BROKEN.reason)
                return Upgraded()

        bp.route(path, websocket=True)(switch)
        return view

    return register


def accept(environ: Mapping[str, Any]) -> bytes:
    """Return the answer that opens the WebSocket. 426 where the request is no handshake, 400 where it is not whole."""
    if environ["REQUEST_METHOD"] != "GET" or environ["SERVER_PROTOCOL"] != "HTTP/1.1":
        refuse_other_requests()
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != VERSION:
        raise _incomplete("its Sec-WebSocket-Version is not 13")
    return _SWITCHING + generate_accept_token(_key(environ)) + b"\r\n\r\n"


def refuse_other_requests() -> NoReturn:
    """426 for what is no handshake."""
    detail = "This is a WebSocket; connect with a WebSocket client, or use the stream at /series/<series>/stream."
    raise Problem(426, detail, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


def _key(environ: Mapping[str, Any]) -> bytes:
    key: bytes = environ.get("HTTP_SEC_WEBSOCKET_KEY", "").encode("latin-1", "replace")
    try:
        size = len(base64.b64decode(key, validate=True))
    except binascii.Error:
        size = 0
    if size != _KEY_BYTES:
        raise _incomplete("its Sec-WebSocket-Key is not 16 bytes in base64")
    return key


def _incomplete(why: str) -> Problem:
    detail = f"The WebSocket's handshake is not complete: {why}. It needs Sec-WebSocket-Version 13 and a key."
    return Problem(400, detail, headers={"Sec-WebSocket-Version": VERSION})
