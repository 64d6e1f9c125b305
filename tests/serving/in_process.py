"""A worker in this process, by a clock of the test's: its greenlets answer a client over a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import gevent
from flask import Flask
from gevent import socket
from gunicorn.config import Config
from gunicorn.glogging import Logger

from api.context import context
from serving.overload import Patience, Shedding
from serving.worker import Worker

ANSWER_SECONDS = 60.0


class Listener:
    """A listening socket, of which only the name is asked."""

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 5000


@contextmanager
def serving(
    app: Flask, patience: Patience | None = None, clock: Callable[[], float] = monotonic, **settings: Any
) -> Iterator[Worker]:
    """Yield a worker that serves an application as by `gunicorn.conf.py`, with these settings of gunicorn."""
    worker = Worker.__new__(Worker)
    worker.cfg, worker.alive, worker.nr, worker.max_requests = Config(), True, 0, 10**9
    for name, value in {"keepalive": 5, **settings}.items():
        worker.cfg.set(name, value)
    worker.log, worker.sockets, worker.clock = Logger(worker.cfg), [], clock
    fast, shedding = context(app).fast_path(app), None
    if patience is not None:
        shedding = Shedding(app.wsgi_app, patience, context(app).meter.shed, context(app).overloaded)
    worker.wsgi = app if shedding is None else shedding  # type: ignore[assignment]  # gunicorn types it otherwise
    worker.begin(10**6, fast, shedding, worker.cfg.post_request)
    try:
        yield worker
    finally:
        worker.waits.stop()


@contextmanager
def connected(worker: Worker, wrap: Callable[[Any], Any] = lambda ours: ours) -> Iterator[Any]:
    """Yield the client's end of a connection, whose other end the worker serves, wrapped into another socket."""
    ours, theirs = socket.socketpair()
    serving = gevent.spawn(worker.handle, Listener(), wrap(ours), ("127.0.0.1", 1))
    theirs.settimeout(ANSWER_SECONDS)
    with theirs:
        yield theirs
    serving.join(ANSWER_SECONDS)
    assert serving.dead


def until(condition: Callable[[], Any], what: str) -> None:
    """Let greenlets run until something has come true."""
    with gevent.Timeout(ANSWER_SECONDS, AssertionError(f"never: {what}")):
        while not condition():
            gevent.sleep(0.001)
