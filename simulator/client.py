"""The HTTP client: one keep-alive connection, and errors for people."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from select import POLLIN, poll
from urllib.parse import urlsplit

from simulator.dialects import Call

LONGEST_WAIT = 86_400.0
"""Seconds; a server that asks for more is not waited for any longer."""


class Failed(Exception):
    """No answer came, whether the request arrived or not; `kind` is a few words for the summary."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.kind = _kind(error)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `retry_after`: the seconds the server asks to wait, None when it does not."""

    status: int
    body: bytes
    retry_after: float | None = None

    @property
    def accepted(self) -> bool:
        """The request was carried out."""
        return 200 <= self.status < 300


def _kind(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, socket.gaierror):
        return "unknown host"
    if isinstance(error, ConnectionError):  # http.client's RemoteDisconnected is one, too
        return "connection lost"
    return (getattr(error, "strerror", None) or type(error).__name__).lower()


def parse_retry_after(text: str | None, now: float) -> float | None:
    """Seconds of a Retry-After header, given as seconds or as a date; None when absent or unreadable."""
    if text is None:
        return None
    try:
        seconds = int(text) if text.strip().isdecimal() else parsedate_to_datetime(text).timestamp() - now
    except ValueError:
        return None
    return min(max(float(seconds), 0.0), LONGEST_WAIT)


class Client:
    """Requests to one server over one connection, opened again when the server has closed it. Not thread-safe."""

    def __init__(self, url: str, timeout: float, key: str | None = None) -> None:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        self._prefix = parts.path.rstrip("/")
        self._key = {} if key is None else {"Authorization": f"Bearer {key}"}

    def post(self, call: Call, key: str) -> Reply:
        """Send one POST; `key` says that it is the same as before. Raises Failed."""
        headers = {"Content-Type": call.content_type, "Idempotency-Key": key}
        return self._send("POST", call.path, call.body, headers)

    def get(self, path: str) -> Reply:
        """Send one GET. Raises Failed."""
        return self._send("GET", path, None, {})

    def close(self) -> None:
        """Close the connection; may be called again."""
        self._connection.close()

    def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        self._connect()
        try:
            self._connection.request(method, self._prefix + path, body, {**headers, **self._key})
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise Failed(error) from error
        return Reply(answer.status, content, parse_retry_after(answer.getheader("Retry-After"), time.time()))

    def _connect(self) -> None:
        # Servers close idle connections. Seeing that before sending is no error that anybody has to read of.
        if self._connection.sock is not None and _closed_by_server(self._connection.sock):
            self._connection.close()
        if self._connection.sock is None:
            try:
                self._connection.connect()
            except OSError as error:
                self._connection.close()
                raise Failed(error) from error


def _closed_by_server(sock: socket.socket) -> bool:
    # Between requests nothing is due from the server, so what can be read is the end of the connection.
    watch = poll()
    watch.register(sock, POLLIN)
    return bool(watch.poll(0))
