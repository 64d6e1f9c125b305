"""A server whose answers a test chooses, over real HTTP: each request takes the next one."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self


class Asked(NamedTuple):
    """A request as it came."""

    path: str
    key: str | None
    body: bytes
    headers: Mapping[str, str]
    port: int = 0
    """Port that it came from: another one for each connection."""

    @property
    def events(self) -> list[Any]:
        """The events in its body."""
        found: list[Any] = json.loads(self.body)
        return found


class Answer(NamedTuple):
    """An answer to give; `cut`: close the connection in its place, after the request was taken."""

    status: int = 201
    document: Any = None
    headers: Mapping[str, str] = {}
    cut: bool = False


def problem(status: int, detail: str = "no", errors: Any = None, **headers: str) -> Answer:
    """Return an error as the server words it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"detail": detail, **({"errors": errors} if errors else {})}, named)


class Stub:
    """Listens on a free loopback port inside the `with`; where no answer is left, everything is stored."""

    def __init__(self, *answers: Answer, decide: Callable[[Asked], Answer | None] = lambda asked: None) -> None:
        self.asked: list[Asked] = []
        self._answers = deque(answers)
        self._decide = decide
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Asked) -> Answer:
        """Note a request and return its answer."""
        self.asked.append(asked)
        if self._answers:
            return self._answers.popleft()
        stored = len(asked.events) if asked.body else 0
        return self._decide(asked) or Answer(201, {"stored": stored, "expired": 0})

    def _handler(stub) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._reply(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def do_GET(self) -> None:
                self._reply(b"")

            def _reply(self, body: bytes) -> None:
                key, headers = self.headers.get("Idempotency-Key"), dict(self.headers.items())
                answer = stub.answer(Asked(self.path, key, body, headers, self.client_address[1]))
                if answer.cut:
                    self.close_connection = True
                    return
                raw = isinstance(answer.document, bytes)
                payload = answer.document if raw else json.dumps(answer.document).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(payload)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler
