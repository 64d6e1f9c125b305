"""Bodies that come slowly, or not at all, by a clock of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import gevent
import pytest
from flask import Flask

from serving.worker import Worker
from tests.serving.in_process import connected, serving, until
from tests.serving.test_limits import all_of, answer_of

HEAD = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b"
GET = b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"values":[1,2]}'
STEP_SECONDS = 0.5
"""Between two bytes of a slow body."""


class Clock:
    """Seconds that pass when they are told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def worker(app: Flask) -> Iterator[Worker]:
    """A worker that waits for a body for a second, and for another for each byte that has come."""
    with serving(app, clock=Clock()) as worker:
        worker.body_seconds = worker.least_rate = 1.0
        yield worker


def advance(worker: Any, seconds: float) -> None:
    """Let time pass, and the worker look at it, which it does in its hub."""
    worker.clock.now += seconds
    for step in (worker.waits.begin_turn, worker.waits.look):
        gevent.get_hub().loop.run_callback(step)
    gevent.sleep(0.001)


def test_a_request_that_is_refused_by_its_head_waits_for_no_body(worker: Worker) -> None:
    with connected(worker) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 16777216\r\n\r\n")
        assert all_of(connection).split()[1] == b"415"


PARTS = (
    b"Content-Length: 100\r\n\r\n[1,",
    b"Content-Length: 100\r\n\r\n",
    b"Content-Length: 100\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
    b"Transfer-Encoding: chunked\r\n\r\n64\r\n[1,",
    b"Transfer-Encoding: chunked\r\n\r\n",
)


@pytest.mark.parametrize("path", [b"/event", b"/events", b"/dialects/ticks/ticks"])
def test_a_body_of_which_no_more_comes_is_given_up(worker: Worker, path: bytes) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(connected(worker)) for _ in PARTS]
        for connection, lines in zip(waiting, PARTS, strict=True):
            connection.sendall(GET)
            assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
            connection.sendall(HEAD % (path, lines))
        until(lambda: len(worker.waits.busy) == len(PARTS), "all bodies to be waited for")
        advance(worker, 0.9 * worker.body_seconds)
        assert len(worker.waits.busy) == len(PARTS)
        advance(worker, 110.0)
        for connection in waiting:
            head, _, body = all_of(connection).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408 ")
            assert b"\r\nConnection: close" in head
            assert b"The body came so slowly" in body
            assert (b"application/problem+json" in head) == (b"dialects" not in path)


def dribble(worker: Worker, connection: Any, path: bytes) -> bytes:
    """Send a body byte by byte; return the answer, at the end or before."""
    connection.sendall(HEAD % (path, b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)))
    until(lambda: worker.waits.busy, "the body to be waited for")  # before, it is the head
    for number in range(1, len(BODY)):
        until(lambda: worker.waits.busy or worker.waits.idle, "more to be waited for")
        if worker.waits.idle:
            return bytes(all_of(connection))  # it has answered
        connection.sendall(BODY[number - 1 : number])
        until(lambda: worker.held == number and worker.waits.busy, "the byte to have come")  # noqa: B023  at once
        advance(worker, STEP_SECONDS)
    connection.sendall(BODY[-1:])
    return bytes(all_of(connection))


def test_a_slow_body_is_read_while_enough_of_it_comes(worker: Worker) -> None:
    with connected(worker) as connection:
        assert dribble(worker, connection, b"/events").split()[1] == b"201"


@pytest.mark.parametrize("path", [b"/events", b"/dialects/batches/add_batch/"])
def test_who_dribbles_a_body_is_given_up(worker: Worker, path: bytes) -> None:
    worker.least_rate = 1e9
    with connected(worker) as connection:
        assert dribble(worker, connection, path).startswith(b"HTTP/1.1 408 ")
