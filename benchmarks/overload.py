"""Twice the load that a server can carry: `python -m benchmarks.overload`.

One worker on one core; the load comes from the other. First its capacity, with as many requests under way as it can
use. Then requests at twice that rate whatever becomes of them, each over a connection that is free or a new one; how
long one took counts from when it was due. At the end the log must hold what was acknowledged, no more and no less.

The client says what it adds: how busy it was, and how much later than due 99 of 100 requests were sent. Requests of
one event are the hardest, for server and client: refusing one costs nearly half of serving it.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import socket
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson
import requests

from benchmarks.http import ONE_CORE, SHARED, serving
from benchmarks.table import machine, show

MOST_CONNECTIONS = 2500
FIRST_CONNECTIONS = 32
SIZES = (1, 1000)
"""Numbers of events that a request posts."""
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)")


def request_of(size: int) -> bytes:
    """Return a request that posts `size` events."""
    body = orjson.dumps({"series": "AAPL", "values": [100 + (i * 7919 % 1000) / 100 for i in range(size)]})
    head = "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Load:
    """Open connections to one server, and what came of the requests over them."""

    def __init__(self, url: str, request: bytes) -> None:
        self._request = request
        self._address = urlsplit(url).hostname, urlsplit(url).port
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._due: dict[int, float] = {}
        self._pieces: dict[int, bytes] = {}
        self._free: deque[int] = deque()
        self.statuses: Counter[int] = Counter()
        self.accepted: list[float] = []
        """Seconds that each accepted request took."""
        self.delays: list[float] = []
        """Seconds by which each was sent later than it was due: what the client itself adds."""
        self.late = 0
        """Number of requests that could not be sent when they were due, for want of a free connection."""
        self.busy = 0.0
        """Share of the time in which the client itself worked: at 1.0 it measures itself."""

    def run(self, seconds: float, rate: float | None) -> float:
        """Requests at this rate, or as fast as FIRST_CONNECTIONS allow; then wait for the last answers. Answers the
        seconds it took to send them."""
        began = now = time.perf_counter()
        worked = time.process_time()
        sent = 0
        while now < began + seconds:
            due = int((now - began) * rate) if rate is not None else sent + FIRST_CONNECTIONS - len(self._due)
            while sent < due and self._send(now if rate is None else began + sent / rate):
                sent += 1
            self._read(0.001 if rate is None else 0.0002)
            now = time.perf_counter()
        self.busy = (time.process_time() - worked) / (now - began)
        if rate is not None:
            self.late = int(seconds * rate) - sent
        while self._due:
            self._read(1.0)
        return now - began

    def close(self) -> None:
        """Hang up."""
        for sock in self._sockets.values():
            sock.close()
        self._poll.close()

    def _send(self, due: float) -> bool:
        if not self._free and not self._connect():
            return False
        fileno = self._free.popleft()
        self._due[fileno] = due
        self.delays.append(time.perf_counter() - due)
        self._sockets[fileno].sendall(self._request)
        return True

    def _connect(self) -> bool:
        if len(self._sockets) >= MOST_CONNECTIONS:
            return False
        sock = socket.create_connection(self._address, timeout=30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets[sock.fileno()] = sock
        self._poll.register(sock.fileno(), select.EPOLLIN)
        self._free.append(sock.fileno())
        return True

    def _read(self, seconds: float) -> None:
        for fileno, _ in self._poll.poll(seconds):
            piece = self._sockets[fileno].recv(4096)
            if not piece:
                raise SystemExit("the server hung up")
            answer = self._pieces.pop(fileno, b"") + piece
            if not _is_whole(answer):
                self._pieces[fileno] = answer
                continue
            due = self._due.pop(fileno)
            self._free.append(fileno)
            status = int(answer[9:12])
            self.statuses[status] += 1
            if status == 201:
                self.accepted.append(time.perf_counter() - due)


def _is_whole(answer: bytes) -> bool:
    """Return whether head and body have come; gunicorn sends them one after the other."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return length is not None and len(body) >= int(length[1])


@contextmanager
def load_on(url: str, size: int) -> Iterator[Load]:
    """A load on the server at this URL, of requests with `size` events each."""
    load = Load(url, request_of(size))
    try:
        yield load
    finally:
        load.close()


def capacity(url: str, size: int, seconds: float) -> float:
    """Requests a second, served as fast as they can be."""
    with load_on(url, size) as load:
        took = load.run(seconds, None)
        return load.statuses[201] / took


def stored(url: str) -> int:
    """Return the number of events in the log."""
    answer = requests.get(f"{url}/metrics", timeout=30).text
    found = re.search(r"^tidemark_log_position (\S+)$", answer, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def measure(max_wait: str, size: int, seconds: float, factor: float) -> tuple[str, ...]:
    """One server's row of the table."""
    with tempfile.TemporaryDirectory() as directory:
        kind = SHARED._replace(command=["env", f"TIDEMARK_MAX_WAIT={max_wait}", *SHARED.command])
        with serving(kind, ONE_CORE, Path(directory)) as url:
            capacity(url, size, 1)
            most = capacity(url, size, seconds / 2)
            before = stored(url)
            with load_on(url, size) as load:
                took = load.run(seconds, factor * most)
                lost = load.statuses[201] * size - (stored(url) - before)
    rates = (most, factor * most, load.statuses[201] / took, load.statuses[503] / took)
    p50, p99 = np.quantile(load.accepted, (0.5, 0.99), method="higher") * 1000
    late = np.quantile(load.delays, 0.99) * 1000
    client = (f"{load.busy:.0%}", f"{late:.0f} ms", f"{load.late:,}")
    return (
        f"{size:,}",
        max_wait,
        *(f"{rate:,.0f}" for rate in rates),
        f"{p50:.0f} ms",
        f"{p99:.0f} ms",
        str(lost),
        *client,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, only to see that it works")
    parser.add_argument("--factor", type=float, default=2.0, help="how many times its capacity the load is")
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(ONE_CORE.client)})
    seconds = 2 if options.quick else 10
    rows = [measure(wait, size, seconds, options.factor) for size in SIZES for wait in ("0.1s", "0")]
    os.sched_setaffinity(0, cores)
    print(f"POST /events at {options.factor:g} times the capacity. {machine()}\n")
    head = ("events", "MAX_WAIT", "capacity/s", "offered/s", "accepted/s", "refused/s", "p50", "p99", "lost")
    show((*head, "client busy", "sent late", "not sent"), rows)


if __name__ == "__main__":
    main()
