"""A client that floods a WebSocket with small frames until it is closed for it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import websocket

_PING, _PONG, _BEGINNING, _PIECE = (bytes((first, 0x80, 0, 0, 0, 0)) for first in (0x89, 0x8A, 0x01, 0x00))
FLOODS = {"pings": (_PING, _PING), "pongs": (_PONG, _PONG), "empty pieces": (_BEGINNING, _PIECE)}
"""The first frame and those after it, all without content; the pieces are of one text message."""
POLICY = 1008
_BYTES_A_TURN = 20_000
_TURN_SECONDS = 0.02
"""Together 1 MB/s."""


def flood(url: str, kind: str, timeout: float) -> int:
    """Open the WebSocket at `url`, flood it, and return the code with which the server closes."""
    own = websocket.create_connection(url, timeout=timeout)
    sender = threading.Thread(target=_send, args=(own.sock, *FLOODS[kind]))
    sender.start()
    opcode, data = websocket.ABNF.OPCODE_CONT, b""
    try:
        while opcode != websocket.ABNF.OPCODE_CLOSE:
            opcode, data = own.recv_data(control_frame=True)
    finally:
        own.shutdown()  # type: ignore[no-untyped-call]
        sender.join()
    return int.from_bytes(data[:2], "big")


def _send(sock: socket.socket, first: bytes, frame: bytes) -> None:
    with suppress(OSError):  # closed
        sock.sendall(first)
        while True:
            sock.sendall(frame * (_BYTES_A_TURN // len(frame)))
            time.sleep(_TURN_SECONDS)
