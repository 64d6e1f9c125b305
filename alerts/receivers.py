"""Sending to receivers: one POST, bounded in time and in what is read of its answer.

TLS is verified, no redirect is followed, no proxy of the environment is used. No message names more than the receiver.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import ssl
import stat
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from alerts.file import Receiver
from event_log.aside import aside
from streaming.polling import disconnect

SECONDS = 10.0
"""Maximum seconds that connecting, and each read or write, may take."""
MOST_SECONDS = 30.0
"""Maximum seconds that a request may take in all, once connected."""
MOST_BYTES = 65_536
"""Bytes of an answer, and of a file of headers, that are read at most."""
POSITION = "X-Tidemark-Alert-Position"
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\x20-\x7e\x80-\xff]*)")
_OURS = ("host", "connection", "transfer-encoding")


class SendFailed(Exception):
    """A receiver did not take what was sent; the message holds no secret."""


def send(receiver: Receiver, body: bytes, position: int) -> None:
    """Post a body, and return once the receiver has acknowledged it. Raises SendFailed."""
    headers = {"Content-Type": "application/json", POSITION: str(position), **read_headers(receiver)}
    try:
        status = _post(_connection(receiver.url), _target(receiver), body, headers)
    except (OSError, http.client.HTTPException) as fault:
        raise SendFailed(f"receiver {receiver.name}: {type(fault).__name__}") from None  # a text may hold the URL
    if not 200 <= status < 300:
        raise SendFailed(f"receiver {receiver.name}: status {status}")


def _post(connection: http.client.HTTPConnection, target: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Return the status of the answer. Of the rest, some is read for courtesy: who sends it may want to be heard."""
    with ExitStack() as stack:
        stack.callback(connection.close)
        connection.connect()
        timer = threading.Timer(MOST_SECONDS, disconnect, (connection.sock,))
        timer.daemon = True
        timer.start()
        stack.callback(timer.cancel)
        connection.request("POST", target, body, dict(headers))
        answer = connection.getresponse()
        with suppress(OSError, http.client.HTTPException), answer:
            answer.read(MOST_BYTES)
        return answer.status


class _Answer(http.client.HTTPResponse):
    """An answer of which no more than MOST_BYTES are read, its head included."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        assert isinstance(self.fp, io.BufferedReader)
        self.fp = io.BufferedReader(_Bounded(self.fp.detach()))


class _Bounded(io.RawIOBase):
    """The first MOST_BYTES of another one."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._left = MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count: int | None = self._raw.readinto(memoryview(buffer)[: self._left])
        self._left -= count or 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def read_headers(receiver: Receiver) -> Mapping[str, str]:
    """Return the headers that stand in the receiver's own file. Raises SendFailed."""
    if receiver.headers_file is None:
        return {}
    try:
        descriptor = os.open(receiver.headers_file, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would block
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SendFailed(f"receiver {receiver.name}: headers_file is no regular file")
            text = file.read(MOST_BYTES + 1)
    except OSError as fault:
        raise SendFailed(f"receiver {receiver.name}: headers_file: {fault.strerror}") from None
    if len(text) > MOST_BYTES:
        raise SendFailed(f"receiver {receiver.name}: headers_file is larger than {MOST_BYTES} bytes")
    return dict(_header(receiver, line) for line in text.decode("latin-1").splitlines() if line.strip())


def _header(receiver: Receiver, line: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(line.strip())
    if match is None or match[1].lower() in _OURS or match[1].lower().startswith("content-"):
        raise SendFailed(f"receiver {receiver.name}: headers_file has a line that is no header, or one that is ours")
    return match[1], match[2]


def _connection(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=SECONDS, context=_tls())
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
    connection.response_class = _Answer
    return connection


@cache
def _tls() -> ssl.SSLContext:
    """Return a context that verifies certificates; made in a real thread, as reading all authorities takes long."""
    return aside(ssl.create_default_context)


def _target(receiver: Receiver) -> str:
    parts = urlsplit(receiver.url)
    path = parts.path.rstrip("/") + "/api/v2/alerts" if receiver.is_alertmanager else parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path
