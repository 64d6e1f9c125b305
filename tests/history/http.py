"""The least of HTTP that recording clients need: requests over a kept connection, and streams, each as it came."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from io import BufferedReader
from socket import socket
from typing import Any
from urllib.parse import quote

import websocket

from tests.history.recording import Attempt, Connection, Message
from times import parse_timestamp

TIMEOUT_SECONDS = 4.0
STREAM_TIMEOUT_SECONDS = 6.0
"""Seconds after which a quiet stream is asked for again: the network may have lost it."""


class _WholeLines(BufferedReader):
    """Reader of a server's answers. Python's client takes a head that is cut off for a whole one."""

    def readline(self, size: int | None = -1) -> bytes:
        """Return a line. Raises IncompleteRead where it is cut off."""
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise IncompleteRead(line)
        return line


class _Answer(HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = _WholeLines(self.fp.detach())


class _Connection(HTTPConnection):
    response_class = _Answer


class Http:
    """One client's connection, to whichever port is chosen whenever it must be opened anew."""

    def __init__(self, choose_port: Callable[[], int]) -> None:
        self._choose_port = choose_port
        self._connection: HTTPConnection | None = None

    def request(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Attempt:
        """Ask, and return what was told; no status where no whole answer came."""
        if self._connection is None:
            self._connection = _Connection("127.0.0.1", self._choose_port(), timeout=TIMEOUT_SECONDS)
        sent = None if body is None else json.dumps(body)
        attempt = Attempt()
        try:
            self._connection.request(method, path, sent, {"Content-Type": "application/json", **(headers or {})})
            answer = self._connection.getresponse()
            attempt.body = answer.read()
        except (OSError, HTTPException):
            self.close()
            return attempt
        attempt.end()
        attempt.status = answer.status
        attempt.position = int(told) if (told := answer.headers["Log-Position"]) else None
        attempt.replayed = answer.headers["Idempotent-Replayed"] == "true"
        return attempt

    def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def server_sent(port: int, connection: Connection) -> Iterator[Message]:
    """Yield what the stream of a series tells, until it ends or breaks."""
    with closing(_Connection("127.0.0.1", port, timeout=STREAM_TIMEOUT_SECONDS)) as http:
        try:
            http.request("GET", _path(connection), headers={"Last-Event-ID": str(connection.after)})
            answer = http.getresponse()
            data = b""
            for line in answer if answer.status == 200 else ():
                if line.startswith(b"data: "):
                    data = line[6:]
                elif line == b"\n" and data:
                    if b'"position"' in data:  # the last one may say why the stream ends instead
                        yield _message(data)
                    data = b""
        except (OSError, HTTPException):
            return


def over_websocket(port: int, connection: Connection) -> Iterator[Message]:
    """Yield what the WebSocket of a series tells, until it ends or breaks."""
    url = f"ws://127.0.0.1:{port}/ws/{quote(connection.series)}?after={connection.after}"
    socket = websocket.WebSocket()
    try:
        socket.connect(url, timeout=STREAM_TIMEOUT_SECONDS)  # type: ignore[no-untyped-call]
        while data := socket.recv():
            yield _message(data)
    except (OSError, websocket.WebSocketException):
        return
    finally:
        socket.shutdown()  # type: ignore[no-untyped-call]


def _path(connection: Connection) -> str:
    return f"/series/{quote(connection.series)}/stream"


def _message(data: bytes | str) -> Message:
    told = json.loads(data)
    if told.get("type") == "gap":
        return Message(told["position"], gap=True)
    return Message(told["position"], parse_timestamp(told["timestamp"]), told["value"])
