"""Nobody can tell our worker and the fast path from gunicorn's own worker and Flask: raw bytes to both."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

import serving.connection
from serving.worker import Worker
from tests.servers import Server
from tests.serving.wire import ENOUGH, SETTINGS, first_difference

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
    """As it is served."""
    with Server(["-w", "1"], SETTINGS, "tests.still:app") as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """gunicorn's own worker, and Flask alone."""
    with Server(["-w", "1", "-k", "gevent"], SETTINGS, "tests.still:flask_alone") as server:
        yield server


@pytest.mark.soak(connections=(ENOUGH, 20_000))
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
    with connect(ours) as connection:
        connection.sendall(head + before + LARGE + after)
        found = all_of(connection)
    assert found.split()[1] == status
    assert found.endswith(b"}\n")


class Hasty(Worker):
    """A worker that does not wait long for a body: a second, and another for each byte that has come. What a client
    sends behind its last answer it reads for very long."""

    body_seconds = 1.0
    least_rate = 1.0

    def init_process(self) -> None:
        """In the worker's process, so in nobody else's."""
        vars(serving.connection)["DRAIN_SECONDS"] = 10 * PATIENCE_SECONDS
        super().init_process()


class Strict(Worker):
    """A worker that waits a second for a body, whatever comes meanwhile."""

    body_seconds = 1.0
    least_rate = 1e9


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    with Server(["-w", "1", "-k", "tests.serving.test_wire.Hasty"], SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    with Server(["-w", "1", "-k", "tests.serving.test_wire.Strict"], SETTINGS) as server:
        yield server


def test_who_sends_no_more_of_a_body_is_not_kept_waiting(hasty: Server) -> None:
    with connect(hasty) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
        assert all_of(connection).split()[1] == b"415"


PARTS = (
    b"Content-Length: 100\r\n\r\n[1,",
    b"Content-Length: 100\r\n\r\n",
    b"Content-Length: 100\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
    b"Transfer-Encoding: chunked\r\n\r\n64\r\n[1,",
    b"Transfer-Encoding: chunked\r\n\r\n",
)


@pytest.mark.parametrize("path", [b"/event", b"/events", b"/dialects/ticks/ticks"])
def test_a_body_of_which_no_more_comes_is_given_up(hasty: Server, path: bytes) -> None:
    with ExitStack() as stack:
        waiting = []
        for lines in PARTS:
            connection = stack.enter_context(connect(hasty))
            connection.sendall(b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n")
            before = connection.recv(65_536)
            connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b" % (path, lines))
            waiting.append(connection)
        for connection in waiting:
            head, _, body = all_of(connection).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert b"\r\nConnection: close" in head
            assert b"The body came so slowly" in body
            assert (b"application/problem+json" in head) == (b"dialects" not in path)
    assert "Traceback" not in hasty.output()
    assert hasty.get("/statistics").content in before


def test_a_slow_body_is_heard_out_while_enough_of_it_comes(hasty: Server) -> None:
    body = b'{"values":[1,2]}'
    with connect(hasty) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body))
        begun = time.monotonic()
        for number in range(len(body)):
            connection.sendall(body[number : number + 1])
            time.sleep(Hasty.body_seconds / 8)
        assert time.monotonic() - begun > Hasty.body_seconds
        assert all_of(connection).split()[1] == b"201"


@pytest.mark.parametrize("path", [b"/events", b"/dialects/batches/add_batch/"])
def test_who_dribbles_a_body_is_given_up(strict: Server, path: bytes) -> None:
    with connect(strict) as connection:
        connection.settimeout(0.05)
        connection.sendall(b"POST %b HTTP/1.1\r\nContent-Type: application/json\r\n" % path)
        connection.sendall(b"Content-Length: 1999\r\n\r\n")
        for _ in range(int(PATIENCE_SECONDS / 0.05)):
            with suppress(TimeoutError):
                answer = connection.recv(65_536)
                break
            connection.sendall(b" ")
        assert answer.startswith(b"HTTP/1.1 408 ")
