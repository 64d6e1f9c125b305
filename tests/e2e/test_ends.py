"""Ends and new beginnings: open requests are finished, and nothing leaks however often workers are replaced."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.servers import Server, until

pytestmark = pytest.mark.no_cover
BODY = b'{"series": "late", "values": [1, 2, 3]}'


def open_request(server: Server) -> socket.socket:
    """A POST of BODY, less its last byte, that a worker has begun to read."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    head = b"POST /events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n"
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(BODY))
    assert connection.recv(100).startswith(b"HTTP/1.1 100")  # so a worker has it
    connection.sendall(BODY[:-1])
    return connection


def test_open_requests_end_before_the_service_does() -> None:
    """Where workers have threads; our own worker ends in tests/serving/test_ends.py."""
    with Server(["-w", "1", "-k", "gthread", "--threads", "4", "--graceful-timeout", "600"]) as server:
        with ExitStack() as stack:
            connections = [stack.enter_context(open_request(server)) for _ in range(4)]
            server.process.send_signal(signal.SIGTERM)
            until(lambda: "Handling signal: term" in server.output(), "the signal to arrive")
            for connection in connections:
                connection.sendall(BODY[-1:])
                assert connection.recv(4096).startswith(b"HTTP/1.1 201")
        assert server.process.wait(60) == 0
        server.start()
        assert server.get("/statistics/late").json() == {"count": 12, "min": 1.0, "max": 3.0, "mean": 2.0}


class Held(NamedTuple):
    """Numbers of resources that a process holds."""

    descriptors: int
    threads: int

    @classmethod
    def by(cls, pid: int) -> Held:
        process = psutil.Process(pid)
        return cls(process.num_fds(), process.num_threads())


def held(server: Server) -> list[Held] | None:
    """Return what the master and its two workers hold; None while one comes or goes, or has yet to follow the log."""
    workers = server.workers()
    try:
        found = [Held.by(pid) for pid in (server.process.pid, *workers)]
        if not all(has_opened_log(pid, server.directory / "log") for pid in workers):
            return None  # its threads begin before: what it holds then is less than it ever will again
    except psutil.NoSuchProcess:
        return None
    return found if len(found) == 3 and found[1] == found[2] and found[1].threads > 1 else None


def has_opened_log(pid: int, log: Path) -> bool:
    """Return whether a process holds the head of the log and the segment that it appends to, which it opens last."""
    paths = [Path(file.path) for file in psutil.Process(pid).open_files()]
    return log / "head" in paths and any(path.parent == log / "segments" for path in paths)


def no_more(now: list[Held] | None, before: list[Held]) -> bool:
    """Return whether no process holds more than its like did; before, one may have had a thread of its start still."""
    return now is not None and all(
        each.descriptors <= then.descriptors and each.threads <= then.threads
        for each, then in zip(now, before, strict=True)
    )


def files(server: Server) -> list[str]:
    """Those of its log."""
    log = server.directory / "log"
    return sorted(str(path.relative_to(log)) for path in log.rglob("*"))


def replace_by_requests(server: Server) -> None:
    """Two replacements at least: each worker takes one request."""
    old = set(server.workers())
    while len(set(server.workers()) - old) < 2:
        assert server.post("/events", {"series": "counter", "values": [1.0]}).status_code == 201


def replace_by_signal(server: Server) -> None:
    """Two replacements: the master starts new workers for its old ones."""
    old = set(server.workers())
    server.process.send_signal(signal.SIGHUP)
    until(lambda: len(server.workers()) == 2 and not old & set(server.workers()), "new workers")


RECYCLING: tuple[tuple[Callable[[Server], None], list[str]], ...] = (
    (replace_by_signal, []),
    (replace_by_requests, ["--max-requests", "1", "--preload", "-k", "sync"]),
    (replace_by_signal, ["--preload"]),
)


@pytest.mark.soak(times=(2, 30), way=(range(1), range(len(RECYCLING))))
def test_replaced_workers_leak_nothing(times: int, way: int) -> None:
    replace, args = RECYCLING[way]
    with Server(["-w", "2", *args]) as server:
        server.wait_for_workers(2)
        assert server.post("/events", {"series": "counter", "values": [1.0, 2.0]}).status_code == 201
        first = until(lambda: held(server), "two workers that follow the log")
        before = files(server)
        for _ in range(times):
            replace(server)
        until(lambda: no_more(held(server), first), f"nothing more to be held than {first}")
        counts = {server.get("/statistics/counter").json()["count"] for _ in range(2)}
        assert len(counts) == 1
        assert files(server) == before
