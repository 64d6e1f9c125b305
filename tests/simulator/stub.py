"""A tiny real HTTP server that notes what it is sent and answers as it is told."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """One request as it arrived. `client`: the port it came from, so one per connection."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: int

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Scripted:
    """One answer. `drop`: close the connection instead. `hang_up`: answer, then close without having said so."""

    status: int = 201
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    hang_up: bool = False


HEALTHY = Scripted(200, b'{"status": "healthy"}')
STATISTICS = Scripted(200, b'{"count": 1234, "min": 1.0, "max": 42.5, "mean": null}')


class Handler(BaseHTTPRequestHandler):
    """Answers POSTs from the script, 201 once it has run out; GETs by path."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener

    def do_GET(self) -> None:
        self._answer(self.server.stub.on_get(self._received()))

    def do_POST(self) -> None:
        self._answer(self.server.stub.on_post(self._received()))

    def _received(self) -> Received:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return Received(self.command, self.path, dict(self.headers), body, self.client_address[1])

    def _answer(self, answer: Scripted) -> None:
        self.close_connection = answer.drop or answer.hang_up
        if answer.drop:
            return
        head = f"HTTP/1.1 {answer.status} Scripted\r\nContent-Length: {len(answer.body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        self.wfile.write(head.encode() + b"\r\n" + answer.body)


class Listener(ThreadingHTTPServer):
    """The socket side; open connections end with it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, stub: Stub, port: int) -> None:
        self.stub = stub
        self._open: set[socket.socket] = set()
        self._guard = Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def drop_all(self) -> None:
        """Break every open connection."""
        with self._guard:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RDWR)


class Stub:
    """The server; `received` holds the POSTs, `asked` the paths of the GETs."""

    def __init__(self, *script: Scripted, gets: dict[str, Scripted] | None = None) -> None:
        self.received: list[Received] = []
        self.asked: list[str] = []
        self._script = list(script)
        self._gets = {"/health": HEALTHY} | (gets or {})
        self._lock = Lock()
        self.port = 0

    def __enter__(self) -> Self:
        self._listener = Listener(self, self.port)
        self.port = self._listener.server_address[1]
        self._thread = Thread(target=self._listener.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.shutdown()
        self._thread.join()
        self._listener.drop_all()
        self._listener.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def on_get(self, request: Received) -> Scripted:
        """Note the path, answer as told for it, with statistics for any other."""
        with self._lock:
            self.asked.append(request.path)
        return self._gets.get(request.path, STATISTICS)

    def on_post(self, request: Received) -> Scripted:
        """Note the request, answer with the next of the script."""
        with self._lock:
            self.received.append(request)
            return self._script.pop(0) if self._script else Scripted()
