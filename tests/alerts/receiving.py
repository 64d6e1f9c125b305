"""A receiver of webhooks for tests, with real sockets; its paths say how it behaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from alerts.receivers import POSITION


class Taken(NamedTuple):
    """One request."""

    path: str
    body: bytes
    position: int
    authorization: str | None

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class Receiving(ThreadingHTTPServer):
    """Takes what is sent. At `/refuse`, `/away`, `/hang`, `/large` it fails in that way."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[Taken] = []
        self.ending, self.dripping = threading.Event(), threading.Event()

    @property
    def url(self) -> str:
        """Its URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_port}"

    def at(self, path: str) -> list[Taken]:
        """Return what came to a path, in order."""
        return [taken for taken in list(self.taken) if taken.path == path]


@contextmanager
def receiving() -> Iterator[Receiving]:
    """A receiver that runs."""
    with Receiving() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            server.shutdown()
            thread.join(60)


class _Handler(BaseHTTPRequestHandler):
    server: Receiving

    def do_POST(self) -> None:  # the name that http.server calls
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return  # whoever sent it was killed in the middle, and will send it again
        self.server.taken.append(Taken(self.path, body, int(self.headers[POSITION]), self.headers["Authorization"]))
        if self.path == "/hang":
            self.server.ending.wait(600)
            return
        self.send_response({"/away": 302, "/refuse": 500}.get(self.path, 200))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        if self.path in ("/large", "/drip"):
            self._write_on(65_536 if self.path == "/large" else 1)

    def _write_on(self, size: int) -> None:
        self.server.dripping.set()
        try:
            while not self.server.ending.wait(0.01 if size == 1 else 0):
                self.wfile.write(bytes(size))
        except OSError:
            pass  # the client has read enough

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""
