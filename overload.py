"""Saying no early: a worker with a standing queue answers 503 at once, rather than everything late.

How long a request has waited the kernel knows: since the last of its bytes came, wherever they lay since then (in the
queue of connections nobody has accepted yet, or behind other requests of this worker). One that has waited long is
refused, for a fraction of what its answer would cost, if for some time now all have: then there is a queue that does
not go away by itself, and what is accepted waits only as long as is allowed. After a pause nobody is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from time import monotonic
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson

_TCP_INFO = getattr(socket, "TCP_INFO", None)
_LAST_DATA_RECEIVED = slice(52, 56)
"""Where Linux says, in milliseconds, how long ago the last data came."""
_OPEN = ("/health", "/v1/health", "/metrics", "/v1/metrics", "/dialects/tickers/health")
"""What is always answered: whoever looks after a busy server asks these."""
_DETAIL = "This worker has more to do than it can; nothing was stored. Try again later."
_PROBLEM = orjson.dumps({"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": _DETAIL})
_IN_DIALECTS = orjson.dumps({"detail": _DETAIL})


def waited(environ: WSGIEnvironment) -> float:
    """Seconds since the last byte of this request came; 0.0 where nobody knows."""
    sock: socket.socket | None = environ.get("gunicorn.socket")
    if sock is None or _TCP_INFO is None:
        return 0.0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LAST_DATA_RECEIVED.stop)
    except OSError:  # a Unix socket
        return 0.0
    return int.from_bytes(info[_LAST_DATA_RECEIVED], "little") / 1000


class Shedding:
    """A WSGI application before another one, which it spares what has waited for longer than `most_seconds`."""

    def __init__(
        self,
        application: WSGIApplication,
        most_seconds: float,
        refused: Callable[[str], None],
        *,
        wait_of: Callable[[WSGIEnvironment], float] = waited,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`refused` is told the method of each request that is refused."""
        self._application = application
        self._most = most_seconds
        self._refused = refused
        self._wait_of = wait_of
        self._clock = clock
        self._late_since: float | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._wait_of(environ) <= self._most:
            self._late_since = None
        elif self._stands() and not environ["PATH_INFO"].startswith(_OPEN):
            return self._refuse(environ, start_response)
        return self._application(environ, start_response)

    def _stands(self) -> bool:
        """Whether all requests have been late for half as long as one may be."""
        now = self._clock()
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since > self._most / 2

    def _refuse(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._refused(environ["REQUEST_METHOD"])
        in_dialect = environ["PATH_INFO"].startswith("/dialects/")
        body, media_type = (_IN_DIALECTS, "application/json") if in_dialect else (_PROBLEM, "application/problem+json")
        headers = [("Content-Type", media_type), ("Retry-After", "1"), ("Content-Length", str(len(body)))]
        start_response("503 Service Unavailable", headers)
        return (body,)
