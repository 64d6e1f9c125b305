"""Load shedding: a worker with a standing queue answers 503 at once, rather than everything late.

The kernel knows the wait of a request: the time since the last of its bytes came, wherever they were since (in the
queue of connections nobody has accepted yet, or behind other requests of this worker). One that has waited long is
refused, for a fraction of what its answer would cost, if for some time now all have: then there is a queue that does
not go away by itself, and what is accepted waits only as long as is allowed. After a pause nobody is refused.

`Shedding` is a WSGI layer before the application. `serving.worker.Worker` asks it as soon as it knows the head of a
plain request, as refusing must be cheap: at `n` times the capacity there is no time left to serve anybody once it costs
more than an `n`th of serving.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable
from functools import cache
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from access.foreign import JSON_HEADERS

if TYPE_CHECKING:
    from flask import Response


class Refusal(NamedTuple):
    """An answer that refuses."""

    headers: list[tuple[str, str]]
    body: bytes
    encoded: bytes
    """Both, as they leave."""

    def after(self, lines: bytes) -> bytes:
        """Return the whole answer, with these lines after its first."""
        return b"HTTP/1.1 %b\r\n%b%b" % (STATUS.encode(), lines, self.encoded)


STATUS = "503 Service Unavailable"
_TCP_INFO = getattr(socket, "TCP_INFO", None)
_LAST_DATA_RECEIVED = slice(52, 56)
"""Bytes of TCP_INFO in which Linux tells the milliseconds since the last data came."""
_BETWEEN_LOOKS = 0.001
_NEVER_SHED = re.compile(
    r"""
      (/v1)? /metrics | /dialects/influx/ping     # whoever looks after a busy server asks these, and the health
    | / | /dashboard/.*                           # a page that lacks one of its files stays blank
    | (/v1 | /dialects/\w+)? /(health (/.*)? | docs (/.*)? | openapi\.json)
    """,
    re.VERBOSE,
)
"""Paths that are always answered."""


def waited(sock: socket.socket | None) -> float:
    """Seconds since the last byte came over this connection; 0.0 where nobody knows."""
    if sock is None or _TCP_INFO is None:
        return 0.0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LAST_DATA_RECEIVED.stop)
    except OSError:  # a Unix socket
        return 0.0
    return int.from_bytes(info[_LAST_DATA_RECEIVED], "little") / 1000


class Patience:
    """Load shedding: tells a request that has waited too long. While none has, it looks at one in a millisecond."""

    def __init__(self, most_seconds: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._most = most_seconds
        self._clock = clock
        self._late_since: float | None = None
        self._ended = -inf
        self._look_at = -inf

    def ends(self, waited: Callable[[], float]) -> bool:
        """Return whether to refuse a request that is about to be served, by its wait in seconds. Once a queue stood,
        it is made half as long as it may be: else what is served would all have waited for the most that is allowed."""
        now = self._clock()
        if now < self._look_at:
            return False
        stood = now - self._ended <= self._most
        if waited() <= (self._most / 2 if stood else self._most):
            if not stood:
                self._late_since = None
                self._look_at = now + _BETWEEN_LOOKS
            return False
        if not (stood or self._stands(now)):
            return False
        self._ended = now
        self._late_since = None
        return True

    def _stands(self, now: float) -> bool:
        """Return whether all requests have been late for half as long as one may be."""
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since > self._most / 2


class Shedding:
    """A WSGI application before another one, which it spares what has waited for too long."""

    def __init__(
        self,
        application: WSGIApplication,
        patience: Patience,
        refused: Callable[[str], None],
        answer_at: Callable[[str], Response],
        *,
        wait_of: Callable[[socket.socket | None], float] = waited,
    ) -> None:
        """`refused` is told the method of each request that is refused; `answer_at` a path gives its answer, one and
        the same for all paths at which errors are worded alike."""
        self._application = application
        self._patience = patience
        self._refused = refused
        self._answer_at = answer_at
        self._encoded = cache(_encoded)
        self._wait_of = wait_of

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        refusal = self.refusal(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("gunicorn.socket"))
        if refusal is None:
            return self._application(environ, start_response)
        start_response(STATUS, refusal.headers)
        return (refusal.body,)

    def refusal(self, method: str, path: str, sock: socket.socket | None) -> Refusal | None:
        """Return the answer to a request like this that has come over this connection, and count it as refused; None
        where it is to be served."""
        if not self._patience.ends(lambda: self._wait_of(sock)) or _NEVER_SHED.fullmatch(path):
            return None
        self._refused(method)
        return self._encoded(self._answer_at(path))


def _encoded(answer: Response) -> Refusal:
    body = answer.get_data()
    headers = [*answer.headers, *JSON_HEADERS]
    head = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return Refusal(headers, body, b"%b\r\n%b" % (head.encode(), body))
