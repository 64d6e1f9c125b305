"""Clients that send bodies in ways that could hold a worker: unwanted, endless, in tiny chunks, many at a time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

SECONDS = 1.0
"""Seconds that each of them sends."""
MANY = 150
"""Number of clients that send bodies at a time."""
_LARGE = b" " * 1_000_000
_TERABYTE = 10**12
_CHUNKS = b"1\r\nx\r\n" * 10_000


def unwanted(url: str, request: str, *headers: str) -> Callable[[], None]:
    """Send a terabyte to where nobody wants it, as fast as it is taken."""
    head = _head(request, f"Content-Length: {_TERABYTE}", *headers)
    return lambda: _send(url, [head], _LARGE)


def in_tiny_chunks(url: str, request: str) -> Callable[[], None]:
    """Send a body without end in chunks of one byte."""
    head = _head(request, "Transfer-Encoding: chunked", "Content-Type: text/csv")
    return lambda: _send(url, [head], _CHUNKS)


def many(url: str, request: str, length: int) -> Callable[[], None]:
    """Send many bodies at a time, all but the last byte of each, and leave."""
    head = _head(request, f"Content-Length: {length}", "Content-Type: application/json")
    return lambda: _send(url, [head + b" " * (length - 1)] * MANY, b"")


def _head(request: str, *headers: str) -> bytes:
    return "\r\n".join((f"{request} HTTP/1.1", "Host: localhost", *headers, "", "")).encode()


def _send(url: str, first: Iterable[bytes], more: bytes) -> None:
    """Open a connection for each of the first pieces, and send more over the last one."""
    at = urlsplit(url)
    with ExitStack() as stack, suppress(OSError):  # it may be closed at any time
        for piece in first:
            connection = stack.enter_context(socket.create_connection((at.hostname or "", at.port or 80), timeout=10))
            connection.sendall(piece)
        until = time.monotonic() + SECONDS
        while more and time.monotonic() < until:
            connection.sendall(more)
