"""One subscriber over a WebSocket, on top of the handshake and the reading that simple_websocket does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from typing import Any, TypeVar

from flask import Blueprint
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

from streaming.channels import Channel
from streaming.departures import notice_silence
from streaming.endings import GOING_AWAY, SHUTDOWN, TRY_AGAIN_LATER
from streaming.feed import Feed, ShuttingDown, TooManyStreams
from streaming.subscriber import Subscriber
from streaming.wire import PING

MOST_RECEIVED_BYTES = 4096
"""Of one message from a client, which has nothing to tell us; a longer one closes its WebSocket."""

View = TypeVar("View", bound=Callable[..., None])


def websocket_route(bp: Blueprint, path: str) -> Callable[[View], View]:
    """Register a view that is given the WebSocket, once the handshake is done, before what stands in the path."""
    route: Callable[[View], View] = Sock().route(path, bp=bp)
    bp.record(
        lambda state: state.app.config.setdefault("SOCK_SERVER_OPTIONS", {"max_message_size": MOST_RECEIVED_BYTES})
    )

    def register(view: View) -> View:
        route(view)
        return view

    return register


class WebSocketSubscriber(Subscriber):
    """A mailbox whose reader writes to a WebSocket; the thread that reads there notices when it is closed."""

    def __init__(self, ws: Server) -> None:
        super().__init__(heartbeat=PING)
        self._ws = ws

    def gone(self) -> bool:
        """Whether the client has closed."""
        return not self._ws.connected

    def cut(self) -> None:
        """Shut the socket down, which ends a reader that is stuck in a write."""
        with suppress(OSError):
            self._ws.sock.shutdown(socket.SHUT_RDWR)


class WholeFrames:
    """The socket as simple_websocket should use it: it calls `send`, which may send half a frame, and from two
    threads. Here each `send` sends everything before the next one begins."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()

    def send(self, data: bytes) -> int:
        """All of `data`."""
        with self._lock:
            self._sock.sendall(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Unread(list[Any]):
    """Where simple_websocket keeps what the client sent until it is asked for. We never ask, so it keeps nothing."""

    def append(self, message: Any) -> None:
        """Forget it."""


def serve(ws: Server, feed: Feed, channel: Channel, after: int) -> None:
    """Send the channel's events until one of the two sides ends it."""
    notice_silence(ws.sock)
    ws.sock = WholeFrames(ws.sock)
    ws.input_buffer = Unread()
    subscriber = WebSocketSubscriber(ws)
    try:
        feed.enter(subscriber)
    except TooManyStreams:
        close(ws, TRY_AGAIN_LATER, "All streams of this worker are taken; try again later.")
        return
    except ShuttingDown:
        close(ws, SHUTDOWN.code, SHUTDOWN.reason)
        return
    try:
        _send(ws, feed.events(subscriber, channel, after))
    finally:
        feed.leave(subscriber)
    ending = subscriber.ending
    close(ws, ending.code if ending else GOING_AWAY, ending.reason if ending else "")


def close(ws: Server, code: int, reason: str) -> None:
    """Close it with this code, unless it is closed already."""
    with suppress(ConnectionClosed, OSError):
        ws.close(code, reason)


def _send(ws: Server, chunks: Generator[bytes]) -> None:
    with suppress(OSError), closing(chunks):  # OSError: the client has left in the middle of it
        for chunk in chunks:
            # The frames are ready-made and shared, so they pass by the library's own `send`.
            ws.sock.send(chunk)
