"""A Redis that is further away: `python -m benchmarks.far PORT SECONDS` leads to that port, so much later.

A process of its own, on the core that does not serve, so that distance costs the worker nothing, as on a real network.
What comes is passed on in order after the same time, whatever else is under way: no chunk waits for another one. The
time that the process itself takes on an idle machine is part of the distance, not added to it.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from statistics import median
from typing import NamedTuple

from redis import Redis

from tests.servers import CHECKOUT

DISTANCE = 0.0005
"""Seconds that are added to a round trip."""
PIECE = 1 << 18
_PR_SET_TIMERSLACK = 29


class Relay:
    """Passes on what comes to a port, late."""

    def __init__(self, port: int, one_way: float) -> None:
        self._port = port
        self._one_way = one_way
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._others: dict[socket.socket, socket.socket] = {}
        self._late: deque[tuple[float, socket.socket, bytes]] = deque()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def run(self) -> None:
        """Until the process is ended."""
        while True:
            wait = max(0.0, self._late[0][0] - time.perf_counter()) if self._late else None
            ready, _, _ = select.select([self._listener, *self._others], (), (), wait)  # it alone counts microseconds
            for one in ready:
                self._take(one)
            while self._late and self._late[0][0] <= time.perf_counter():
                _, other, data = self._late.popleft()
                self._pass_on(other, data)

    def _take(self, one: socket.socket) -> None:
        if one is self._listener:
            self._connect()
        elif one in self._others:  # else the other end has gone in this very round
            try:
                data = one.recv(PIECE)
            except OSError:
                data = b""
            self._late.append((time.perf_counter() + self._one_way, self._others[one], data))
            if not data:
                del self._others[one]

    def _connect(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._port))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._others[one] = other

    def _pass_on(self, other: socket.socket, data: bytes) -> None:
        try:
            if data:
                other.sendall(data)
            else:
                other.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has gone


class Far(NamedTuple):
    """A port that leads to another one."""

    port: int
    distance: float
    """Seconds that a round trip takes more, as measured before the first run."""


@contextmanager
def far_from(port: int, core: str) -> Iterator[Far]:
    """A port that leads to another one, served on a core."""
    near = round_trip(port)
    with relay(port, core, 0.0) as quick:
        own = round_trip(quick.port) - near
    with relay(port, core, max(0.0, DISTANCE - own) / 2) as far:
        yield far._replace(distance=round_trip(far.port) - near)


@contextmanager
def relay(port: int, core: str, one_way: float) -> Iterator[Far]:
    """A port that leads to another one, so many seconds later each way."""
    command = ["taskset", "-c", core, sys.executable, "-m", "benchmarks.far", str(port), str(one_way)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Far(int(process.stdout.readline()), 0.0)
        finally:
            process.terminate()


def round_trip(port: int, times: int = 300) -> float:
    """Return the median of `times` round trips, in seconds."""
    taken = []
    with Redis(port=port) as client:
        for _ in range(times):
            start = time.perf_counter()
            client.ping()
            taken.append(time.perf_counter() - start)
    return median(taken)


def main() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)  # wake on time, not up to 50 us after it
    with suppress(PermissionError):  # as prompt as a network is, whatever else the core does
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    relay = Relay(int(sys.argv[1]), float(sys.argv[2]))
    print(relay.port, flush=True)
    relay.run()


if __name__ == "__main__":
    main()
