"""The application with and without its fast path, side by side: the same requests to both."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from io import BytesIO
from typing import Any, NamedTuple

from werkzeug.wsgi import ClosingIterator, FileWrapper

import app as composition
from api.context import context
from event_log.errors import LogUnavailable
from event_log.log import Log
from event_log.memory_store import MemoryStore
from event_log.port import Appended, Guard, Record
from settings import Settings
from tests.api.generated import MAX_BATCH, MAX_BODY, Generated, Generator
from tests.conftest import FakeClock
from tests.event_log.projection import Projection

SEED = 3
"""The one of six seeds by which the wrong fast paths are found soonest."""
OWN = "127.0.0.1"
"""The address of our side of each connection, and of the other."""
ENOUGH = 2_000
"""Number of requests by which each wrong fast path has been found; the last of them is found at the 1,893rd."""
ODD: list[dict[str, str]] = [
    {"REQUEST_METHOD": "HEAD"},
    {"REQUEST_METHOD": "get", "HTTP_ORIGIN": "http://x"},
    {"REQUEST_METHOD": "post", "HTTP_ORIGIN": "http://x"},
]
"""One of these is added to every ODD_EACH-th request: at random they would too rarely meet a request that is plain."""
ODD_EACH = 40

NOW = "now"
"""Stands for the value of `Date`, which is by the machine's clock: between the two sides a second may begin."""

Told = tuple[str, list[tuple[str, str]], bytes]
"""Status, headers, body."""


class Exchange(NamedTuple):
    """A request and what Flask alone does with it."""

    request: Generated
    answer: Told
    stored: list[Any] | None
    """All that is stored then, where that is to be compared too."""


class UnsteadyStore(MemoryStore):
    """Refuses what it is told to refuse."""

    refuses = False

    def append(self, record: Record, guard: Guard) -> Appended:
        if self.refuses:
            raise LogUnavailable("as told")
        return super().append(record, guard)


class Side:
    """One of the two: an application, its store, and how it is called."""

    def __init__(self, clock: FakeClock, *, fast: bool) -> None:
        settings = Settings(keep_last=10, max_series=14, max_symbols=3, max_batch=MAX_BATCH, max_body=MAX_BODY)
        self.store = UnsteadyStore(clock.moment)
        self.app = composition.create_app(settings, clock=clock, store=self.store)
        context(self.app).service.start()
        self.path = context(self.app).fast_path(self.app) if fast else None
        self.left = 0
        """Number of requests that have come to Flask."""

    def tell(self, request: Generated) -> Told:
        """Return what it answers."""
        self.store.refuses = request.log_refuses
        return self._fast(request) or self._flask(request)

    def _fast(self, request: Generated) -> Told | None:
        environ = request.environ
        head = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        way = None if self.path is None else self.path.of(*head, dict(_fields(environ)), OWN)
        if self.path is None or way is None or len(request.body) < way.length:
            return None
        answer = self.path.answer(way, request.body[: way.length], b"")
        return None if answer is None else _told(answer)

    def _flask(self, request: Generated) -> Told:
        self.left += 1
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], fault: Any = None) -> Any:
            told.extend((status, headers))

        chunks = self.app.wsgi_app(_environ(request), start)
        with closing(ClosingIterator(chunks)) as body:
            return told[0], [(name, NOW if name == "Date" else value) for name, value in told[1]], b"".join(body)

    def stored(self) -> list[Any]:
        """All that the log holds, and what its series are."""
        told = Projection(Log(self.store))
        told.follow()
        series = [(one.name, one.keep) for one in told.series.values()]
        return [str(told.live()), told.position, series]  # as text, in which -0.0 is not 0.0


def _fields(environ: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The headers of which gunicorn would make this environ."""
    for name, value in environ.items():
        if name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            yield name.replace("_", "-"), value
        elif name.removeprefix("HTTP_") in ("CONTENT_TYPE", "CONTENT_LENGTH") or not name.startswith("HTTP_"):
            if name not in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"):
                yield name, value  # no head can bring it
        else:
            yield name.removeprefix("HTTP_").replace("_", "-"), value


def _told(answer: bytes) -> Told:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return first.removeprefix("HTTP/1.1 "), headers, body


def _environ(request: Generated) -> dict[str, Any]:
    """Return the environ as gunicorn makes it."""
    return {
        "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input_terminated": True,
        "wsgi.input": BytesIO(request.body),
        "wsgi.url_scheme": "http",
        "wsgi.early_hints": None,
        "gunicorn.socket": None,
        "RAW_URI": "/",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_SOFTWARE": "gunicorn",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "5000",
        "SCRIPT_NAME": "",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "127.0.0.1:5000",
        **request.environ,
    }


def of_flask(count: int) -> Iterator[Exchange]:
    """Yield requests, the same each time, with what Flask alone answers them."""
    clock = FakeClock()
    side, generator = Side(clock, fast=False), Generator(SEED)
    for number in range(1, count + 1):
        request = generator.request(clock.now)
        if number % ODD_EACH == 0:
            request.environ.update(ODD[number // ODD_EACH % len(ODD)])
        clock.advance(request.passes)
        yield Exchange(request, side.tell(request), side.stored() if number in (count // 2, count) else None)


def first_difference(exchanges: Iterable[Exchange]) -> str:
    """Return what first differs with the fast path; empty when nothing does."""
    clock = FakeClock()
    ours = Side(clock, fast=True)
    for request, answer, stored in exchanges:
        clock.advance(request.passes)
        try:
            told = ours.tell(request)
        except Exception as fault:  # noqa: BLE001  # whatever it is, a server would answer 500
            return f"{request}: {fault!r}"
        if told != answer:
            return f"{request}: {told}, and not {answer}"
        if stored is not None and ours.stored() != stored:
            return f"what is stored, up to {request}"
    return ""
