"""The loop over the requests of a connection, with as much of a worker as it needs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.socket import wait_read
from gunicorn.config import Config

from serving.connection import Connection
from serving.heads import Heads
from serving.waits import LAST_SECONDS, LOOK_SECONDS, Overdue, Waits

REQUEST = b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n"
WAYS: Any = {path: SimpleNamespace(length=length, closes=False) for path, length in (("/statistics", 0), ("/event", 9))}


class Worker:
    """Answers every plain request, up to the last one of a connection."""

    held = 0
    max_bodies = 10**9
    body_seconds = least_rate = head_seconds = 60.0
    answer_seconds = 0.0
    cfg = Config()
    answers = 2
    """On a connection."""

    def __init__(self) -> None:
        self.now = 0.0
        self.clock = lambda: self.now
        self.waits = Waits(lambda: False, self.clock)
        self.waits.start()
        self.heads = Heads(lambda head, peer: WAYS.get(head.path))
        self.answered = 0

    def handle_request(self, listener_name: object, request: Any, client: object, address: object) -> None:
        """Read a body, at a kibibyte a millisecond."""
        while piece := request.body.read(1024):
            self.answered += len(piece)
            self.now += 0.001
        raise StopIteration

    def refusal(self, way: object, client: object) -> None:
        return None

    def is_at_last(self) -> bool:
        return self.answered >= self.answers - 1

    def answer(self, way: object, body: bytes, lines: bytes) -> bytes:
        self.answered += 1
        self.now += self.answer_seconds
        return ANSWER


class Listener:
    """A listening socket, of which only the name is asked."""

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 5000


def serve(worker: Any, client: Any) -> None:
    Connection(worker, Listener(), client, "").serve()


@pytest.fixture
def worker() -> Iterator[Any]:
    worker = Worker()
    yield worker
    worker.waits.stop()


@pytest.mark.parametrize("before", [0, 1], ids=["a new connection", "a kept connection"])
def test_a_request_that_came_just_before_its_wait_ended_is_answered(worker: Any, before: int) -> None:
    """On a busy machine a worker hears of both at once."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(60)
        serving = gevent.spawn(serve, worker, ours)
        for _ in range(before):
            theirs.sendall(REQUEST)
            assert theirs.recv(4096) == ANSWER
        gevent.sleep(0.01)  # lets it wait
        worker.now += 2 * worker.head_seconds
        theirs.sendall(REQUEST)
        time.sleep(2 * LOOK_SECONDS)  # in which the hub does nothing, so that both are due
        assert theirs.recv(4096) == ANSWER
        gevent.kill(serving)


def test_a_request_that_came_since_the_worker_looked_is_answered(worker: Any) -> None:
    """The timer is due in the turn in which another greenlet was busy for long."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(60)
        serving = gevent.spawn(serve, worker, ours)
        while not worker.waits.idle:
            gevent.sleep(0.001)
        worker.now += 2 * worker.head_seconds
        theirs.sendall(REQUEST)
        gevent.get_hub().loop.run_callback(worker.waits.look)
        assert theirs.recv(4096) == ANSWER
        gevent.kill(serving)


def test_a_worker_that_ends_waits_a_little_for_each_new_connection(worker: Any) -> None:
    """It was let in long after the end began, and what it asks is on its way."""
    worker.waits = Waits(lambda: True, worker.clock)
    worker.waits.start()
    worker.now += 100
    gevent.sleep(2 * LOOK_SECONDS)
    worker.now += 100
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(60)
        serving = gevent.spawn(serve, worker, ours)
        gevent.sleep(3 * LOOK_SECONDS)
        theirs.sendall(REQUEST)
        assert theirs.recv(4096) == ANSWER
        gevent.sleep(0.01)  # lets it wait
        worker.now += LAST_SECONDS
        with pytest.raises(Overdue):
            serving.get(timeout=60)


def test_a_wait_in_which_nothing_came_ends_the_connection(worker: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        serving = gevent.spawn(serve, worker, ours)
        gevent.sleep(0.01)  # lets it wait
        worker.now += 2 * worker.head_seconds
        with pytest.raises(Overdue):
            serving.get(timeout=60)


PLENTY = 500
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("requests", "soon"),
    [(PLENTY * REQUEST, 20), (CHUNKED + PLENTY * 1024 * b"1\r\nx\r\n" + b"0\r\n\r\n", 20 * 1024)],
    ids=["requests", "chunks"],
)
def test_other_sockets_are_looked_at_meanwhile(worker: Any, requests: bytes, soon: int) -> None:
    """A byte is found within 20 ms while there is much to do on another connection."""
    worker.answers, worker.answer_seconds = PLENTY, 0.001
    ours, theirs = socket.socketpair()
    other, others = socket.socketpair()
    with ours, theirs, other, others:
        others.sendall(b"x")
        sending = gevent.spawn(theirs.sendall, requests)
        serving = gevent.spawn(serve, worker, ours)
        while not worker.answered:
            gevent.sleep(0.001)
        before = worker.answered
        wait_read(other.fileno())
        assert worker.answered - before <= soon
        gevent.killall([sending, serving])


def test_other_sockets_are_looked_at_though_many_bodies_come(worker: Any) -> None:
    worker.answers, worker.answer_seconds = PLENTY, 0.001
    with ExitStack() as stack:
        other, others = (stack.enter_context(end) for end in socket.socketpair())
        clients = [[stack.enter_context(end) for end in socket.socketpair()] for _ in range(100)]
        serving = [gevent.spawn(serve, worker, ours) for ours, _ in clients]
        for _, theirs in clients:
            theirs.sendall(b"POST /event HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf")
        while len(worker.waits.busy) < len(clients):
            gevent.sleep(0.001)
        for _, theirs in clients:
            theirs.sendall(b"of it")
        others.sendall(b"x")
        wait_read(other.fileno())
        assert worker.answered <= 20
        gevent.killall(serving)
