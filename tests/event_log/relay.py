"""A way to a port that a test can hold up or cut at any point."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Condition, Thread
from types import TracebackType
from typing import Self

PIECE = 1 << 16


class Relay:
    """Passes on what comes to its own port, while nothing else is said."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._changed = Condition()
        self._holds = False
        self.held = 0
        """Bytes that clients have sent and that are held back."""
        self.cuts = 0
        """Number of next answers that are not passed on; both ends are closed instead."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = [self._listener]
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        for one in self._open:
            _end(one)

    def url(self, query: str) -> str:
        """LOG_URL by way of it."""
        return f"redis://127.0.0.1:{self.port}/0?{query}"

    def hold(self) -> None:
        """Hold back what clients send over connections that are open now."""
        with self._changed:
            self._holds = True

    def release(self) -> None:
        """Pass on what was held back."""
        with self._changed:
            self._holds = False
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._open += [near, far]
            held = self._holds
            self._start(partial(self._pass, near, far, held))
            self._start(partial(self._answer, far, near))

    def _pass(self, near: socket.socket, far: socket.socket, exempt: bool) -> None:
        while data := _received(near):
            with self._changed:
                self.held += len(data) if self._holds and not exempt else 0
                self._changed.wait_for(lambda: exempt or not self._holds)
            _sent(far, data)
        _end(far)

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        while data := _received(far):
            if self.cuts:
                self.cuts -= 1
                break
            _sent(near, data)
        _end(near)
        _end(far)

    def _start(self, work: Callable[[], None]) -> None:
        Thread(target=work, daemon=True).start()


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(PIECE)
    except OSError:
        return b""


def _sent(one: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        one.sendall(data)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
