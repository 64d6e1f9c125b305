"""The loop over the requests of a connection, with as much of a worker as it needs."""

from __future__ import annotations

from time import monotonic
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import socket

from serving.connection import Connection
from serving.waits import Overdue, Waits

REQUEST = b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n\r\n"


class Worker:
    """Answers every request, and the second one is the last on its connection."""

    clock = staticmethod(monotonic)
    head_seconds = 60.0
    held = 0

    def __init__(self) -> None:
        self.waits = Waits(lambda: False)
        self.answered = 0

    def way(self, head: bytes, peer: object) -> Any:
        return SimpleNamespace(method="GET", path="/statistics", length=0, closes=False) if head else None

    def refusal(self, method: str, path: str, client: object) -> None:
        return None

    def is_at_last(self) -> bool:
        return self.answered > 0

    def answer(self, way: object, body: bytes, closes: bool) -> bytes:
        self.answered += 1
        return ANSWER


@pytest.mark.parametrize("before", [0, 1], ids=["a new connection", "a kept connection"])
def test_a_request_that_came_just_before_its_wait_ended_is_answered(before: int) -> None:
    """As on a machine so busy that a worker hears of both at once, of the end first."""
    ours, theirs = socket.socketpair()
    worker: Any = Worker()

    def serve() -> None:
        Connection(worker, None, ours, "").serve()

    with ours, theirs:
        theirs.settimeout(10)
        serving = gevent.spawn(serve)
        for _ in range(before):
            theirs.sendall(REQUEST)
            assert theirs.recv(4096) == ANSWER
        gevent.sleep(0.01)  # lets it wait
        [waiting] = worker.waits.idle
        theirs.sendall(REQUEST)
        gevent.get_hub().loop.run_callback(waiting.throw, Overdue)
        assert theirs.recv(4096) == ANSWER
        gevent.kill(serving)


def test_a_wait_in_which_nothing_came_ends_the_connection() -> None:
    ours, theirs = socket.socketpair()
    worker: Any = Worker()
    with ours, theirs:
        serving = gevent.spawn(Connection(worker, None, ours, "").serve)
        gevent.sleep(0.01)  # lets it wait
        [waiting] = worker.waits.idle
        gevent.get_hub().loop.run_callback(waiting.throw, Overdue)
        with pytest.raises(Overdue):
            serving.get(timeout=10)
