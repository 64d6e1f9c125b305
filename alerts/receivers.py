"""Sending to receivers: one POST, bounded in time and in what is read of its answer.

TLS is verified, no redirect is followed, no proxy of the environment is used. No message names more than the receiver.
"""

from __future__ import annotations

import http.client
import os
import re
import ssl
import stat
from collections.abc import Mapping
from urllib.parse import urlsplit

from alerts.file import Receiver

SECONDS = 10.0
"""How long connecting, and each read or write, may take."""
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
    connection = _connection(receiver.url)
    try:
        connection.request("POST", _target(receiver), body, headers)
        answer = connection.getresponse()
        answer.read(MOST_BYTES)
    except (OSError, http.client.HTTPException) as fault:
        raise SendFailed(f"receiver {receiver.name}: {type(fault).__name__}") from None  # a text may hold the URL
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise SendFailed(f"receiver {receiver.name}: status {answer.status}")


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
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=SECONDS, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)


def _target(receiver: Receiver) -> str:
    parts = urlsplit(receiver.url)
    path = parts.path.rstrip("/") + "/api/v2/alerts" if receiver.is_alertmanager else parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path
