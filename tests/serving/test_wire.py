"""Nobody can tell our worker and the fast path from gunicorn's own worker and Flask: raw bytes to both."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial

import pytest

from tests.servers import Server
from tests.serving.wire import ENOUGH, SETTINGS, first_difference, of_server

LARGE = bytes(16 * 1024**2)
"""More than the sockets between a client and a server hold."""
PATIENCE_SECONDS = 60.0


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS)


def all_of(connection: socket.socket) -> bytes:
    """Return what comes until the end."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture(scope="module")
def ours() -> Iterator[Server]:
    """The service as it is."""
    with Server(["-w", "1"], SETTINGS, "tests.still:app") as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """gunicorn's own worker, and Flask alone."""
    with Server(["-w", "1", "-k", "gevent"], SETTINGS, "tests.still:flask_alone") as server:
        yield server


@pytest.mark.soak(connections=(ENOUGH, 20_000))
def test_nobody_can_tell_on_the_wire(ours: Server, plain: Server, connections: int) -> None:
    assert first_difference(partial(of_server, ours), partial(of_server, plain), connections) == ""


@pytest.mark.parametrize(
    ("lines", "before", "after", "status"),
    [
        (b"Content-Type: application/json\r\nContent-Length: %d" % len(LARGE), b"", b"", b"413"),
        (b"Content-Type: text/html\r\nContent-Length: %d" % len(LARGE), b"", b"", b"415"),
        (
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked",
            *(b"%x\r\n" % len(LARGE), b"\r\n0\r\n\r\n", b"413"),
        ),
    ],
)
def test_who_sends_all_before_reading_gets_the_answer(
    ours: Server, lines: bytes, before: bytes, after: bytes, status: bytes
) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n\r\n"
    with connect(ours) as connection:
        connection.sendall(head + before + LARGE + after)
        found = all_of(connection)
    assert found.split()[1] == status
    assert found.endswith(b"}\n")
