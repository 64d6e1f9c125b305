"""Nobody can tell our worker and the fast path from gunicorn's own worker and Flask: raw bytes to both."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from serving.connection import DRAIN_SECONDS
from serving.worker import Worker
from tests.servers import Server
from tests.serving.wire import CONNECTIONS, SETTINGS, first_difference

LARGE = bytes(16 * 1024**2)
"""More than the sockets between a client and a server hold."""


@pytest.fixture(scope="module")
def ours() -> Iterator[Server]:
    """As it is served."""
    with Server(["-w", "1"], SETTINGS, "tests.still:app") as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """gunicorn's own worker, and Flask alone."""
    with Server(["-w", "1", "-k", "gevent"], SETTINGS, "tests.still:flask_alone") as server:
        yield server


@pytest.mark.soak(connections=(CONNECTIONS, 20_000))
def test_nobody_can_tell_on_the_wire(ours: Server, plain: Server, connections: int) -> None:
    assert first_difference(ours, plain, connections) == ""


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
    with socket.create_connection(("127.0.0.1", ours.port), timeout=60) as connection:
        connection.sendall(head + before + LARGE + after)
        with connection.makefile("rb") as answer:
            found = answer.read()
    assert found.split()[1] == status
    assert found.endswith(b"}\n")


def test_who_sends_no_more_of_a_body_is_not_kept_waiting(ours: Server) -> None:
    with socket.create_connection(("127.0.0.1", ours.port), timeout=DRAIN_SECONDS / 2) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
        with connection.makefile("rb") as answer:
            assert answer.read().split()[1] == b"415"


class Hasty(Worker):
    """A worker that does not wait long for a body: a second, and another for each byte that has come."""

    body_seconds = 1.0
    least_rate = 1.0


class Strict(Worker):
    """A worker that waits a second for a body, whatever comes meanwhile."""

    body_seconds = 1.0
    least_rate = 1e9


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    with Server(["-w", "1", "-k", "tests.serving.test_wire.Hasty"], SETTINGS) as server:
        yield server


@pytest.mark.parametrize("path", [b"/event", b"/events", b"/dialects/ticks/ticks"])
@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 100\r\n\r\n[1,",
        b"Content-Length: 100\r\n\r\n",
        b"Content-Length: 100\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
        b"Transfer-Encoding: chunked\r\n\r\n64\r\n[1,",
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_body_of_which_no_more_comes_is_given_up(hasty: Server, path: bytes, lines: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=DRAIN_SECONDS / 2) as connection:
        connection.sendall(b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n")
        before = connection.recv(65_536)
        connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b" % (path, lines))
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close" in head
    assert b"The body came so slowly" in body
    assert (b"application/problem+json" in head) == (b"dialects" not in path)
    assert b"Traceback" not in hasty.output().encode()
    assert hasty.get("/statistics").content in before


def test_a_slow_body_is_heard_out_while_enough_of_it_comes(hasty: Server) -> None:
    body = b'{"values":[1,2]}'
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=60) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body))
        begun = time.monotonic()
        for number in range(len(body)):
            connection.sendall(body[number : number + 1])
            time.sleep(Hasty.body_seconds / 8)
        assert time.monotonic() - begun > Hasty.body_seconds
        with connection.makefile("rb") as answer:
            assert answer.read().split()[1] == b"201"


@pytest.mark.parametrize("path", [b"/events", b"/dialects/batches/add_batch/"])
def test_who_dribbles_a_body_is_given_up(path: bytes) -> None:
    with (
        Server(["-w", "1", "-k", "tests.serving.test_wire.Strict"], SETTINGS) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=0.05) as connection,
    ):
        connection.sendall(b"POST %b HTTP/1.1\r\nContent-Type: application/json\r\n" % path)
        connection.sendall(b"Content-Length: 1999\r\n\r\n")
        for _ in range(400):  # 20 s
            with suppress(TimeoutError):
                answer = connection.recv(65_536)
                break
            connection.sendall(b" ")
        assert answer.startswith(b"HTTP/1.1 408 ")
