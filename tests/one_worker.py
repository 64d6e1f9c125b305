"""Requests that one worker of a server answers, while all of them run on.

The kernel gives a connection to whichever worker accepts it first, and a worker that was halted to keep it from doing
so may hold a lock for which the rest then wait. So connections are opened until the worker has accepted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import psutil
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

Until = Callable[[Callable[[], Any], str, float], Any]
ACCEPT_SECONDS = 300.0


class ToWorker(HTTPConnection):
    """A connection that one worker has accepted; what others accept meanwhile is closed without a request."""

    def __init__(self, worker: int, workers: Callable[[], Iterable[int]], until: Until, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._worker = worker
        self._workers = workers
        self._until = until

    def connect(self) -> None:
        """Connect until the worker has accepted. The other connections stay open until then: a worker that reads from
        one connection at a time accepts no more of them."""
        with ExitStack() as others:
            self._until(lambda: self._is_accepted(others), f"worker {self._worker} to accept", ACCEPT_SECONDS)

    def _is_accepted(self, others: ExitStack) -> bool:
        super().connect()
        port = self.sock.getsockname()[1]
        if (
            self._until(lambda: accepted_by(port, self._workers()), "a worker to accept", ACCEPT_SECONDS)
            == self._worker
        ):
            return True
        others.callback(self.sock.close)
        return False


def accepted_by(port: int, workers: Iterable[int]) -> int | None:
    """Return the pid of the worker that holds the other end of the connection from this local port."""
    for pid in workers:
        with suppress(psutil.NoSuchProcess):
            connections = psutil.Process(pid).net_connections("tcp")
            if any(connection.raddr[1:] == (port,) for connection in connections):
                return pid
    return None


def session_to(worker: int, workers: Callable[[], Iterable[int]], until: Until) -> requests.Session:
    """Return a session whose requests over HTTP all go to this worker."""

    class Pool(HTTPConnectionPool):
        ConnectionCls = partial(ToWorker, worker, workers, until)  # type: ignore[assignment]

    adapter = HTTPAdapter()
    adapter.poolmanager.pool_classes_by_scheme = {"http": Pool}
    session = requests.Session()
    session.mount("http://", adapter)
    return session
