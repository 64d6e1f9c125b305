"""A fast path past WSGI and Flask for requests that are plain.

It knows a closed world: exact paths, header names that change no answer, a body of known length and plainly valid.
Whatever is anything else goes to Flask untouched, which alone words errors. It calls the functions that the routes
call, so that no client can tell; `tests/api/test_fast_path.py` sends both the same requests.

The boundary against foreign pages is asked here as it is there. A path takes part only where nothing else is hooked
around its route: a hook (a guard, CORS, the log's line a request) sees every request without knowing of this module.
Whatever counts requests is told of those that went this way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from time import perf_counter_ns
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.test import EnvironBuilder, run_wsgi_app

from api.answers import Outcome, headers_and_body
from api.boundary import HOOKS
from api.context import context
from api.flask_app import FAILED
from api.guard import EVENTS
from api.reading.batch_formats import plain_event_in, plain_events_in
from api.reading.bodies import JSON
from api.reading.expired import oldest_of, oldest_of_one
from api.reading.queries import plain_query
from api.reading.schemas import SERIES_NAME
from api.routes.events import accepted_outcome
from api.statistics import shown
from event_log.errors import LogError, LogUncertain
from event_service import EventService, TooFarAhead

Take = Callable[[bytes], Outcome | None]
"""Do what a plain body asks for; None leaves the request to Flask, and nothing has been done."""

Count = Callable[[str, str, int, int], object]
"""Takes the name of the route, the method, the status and the nanoseconds of a request."""

_NAMES = (
    "ACCEPT ACCEPT-CHARSET ACCEPT-ENCODING ACCEPT-LANGUAGE CACHE-CONTROL CONNECTION COOKIE DNT FORWARDED FROM HOST "
    "KEEP-ALIVE ORIGIN PRAGMA PRIORITY REFERER SEC-CH-UA SEC-CH-UA-MOBILE SEC-CH-UA-PLATFORM SEC-FETCH-DEST "
    "SEC-FETCH-MODE SEC-FETCH-SITE SEC-FETCH-USER SEC-GPC TRACEPARENT TRACESTATE USER-AGENT VIA X-CORRELATION-ID "
    "X-FORWARDED-FOR X-FORWARDED-HOST X-FORWARDED-PORT X-FORWARDED-PREFIX X-FORWARDED-PROTO X-REAL-IP X-REQUEST-ID "
    "X-REQUESTED-WITH"
)
_WITHOUT_BODY = frozenset((*_NAMES.split(), "CONTENT-LENGTH"))
"""Names of the headers that change no answer to a request without a body, once its length, if it tells one, is 0."""
_WITH_BODY = _WITHOUT_BODY | {"CONTENT-TYPE"}
_LENGTH = re.compile("[0-9]{1,9}")
_PREFIXES = ("", "/v1")
_STATISTICS = "/statistics"
_QUERIES_KEPT = 1024
_STATUS_LINES = {
    status: f"HTTP/1.1 {status} {phrase.upper()}\r\n".encode() for status, phrase in HTTP_STATUS_CODES.items()
}


class Way(NamedTuple):
    """Parsed head of a request and its handler, cached for requests with the same head."""

    method: str
    path: str
    query: str
    fields: Mapping[str, str]
    route: str
    """Name of the route in metrics."""
    take: Take
    length: int
    """Bytes of the body."""
    closes: bool
    """True if the client wants the connection to be closed after the answer."""


Found = tuple[str, Take, int]
"""Name of the route in metrics, function that handles it, and maximum bytes of body that it takes."""


class FastPath:
    """Answers plain requests for an application that has all its routes and hooks."""

    def __init__(self, app: Flask, takes: Mapping[str, Take], count: Count) -> None:
        self._application = app.wsgi_app
        self._count = count
        self._service = context(app).service
        self._boundary = context(app).boundary
        self._max_body = context(app).settings.max_body
        self._takes = {path: take for path, take in takes.items() if is_bare(app, "POST", path)}
        self._statistics = _statistics_paths(app)
        self._query = lru_cache(_QUERIES_KEPT)(plain_query)

    def of(
        self, method: str, path: str, query: str, fields: Mapping[str, str], own_address: str | None = None
    ) -> Way | None:
        """Return the way of requests with this head, names of fields in capitals and none twice, over a connection
        with this address on our side, if it has one; None: they have none."""
        found = None
        if method == "POST" and not query:
            found = self._post(path, fields)
        elif method == "GET":
            found = self._get(path, query, fields)
        host, origin, site, mode = map(fields.get, ("HOST", "ORIGIN", "SEC-FETCH-SITE", "SEC-FETCH-MODE"))
        if found is None or self._boundary.refusal(method, host, origin, site, mode, own_address or ""):
            return None  # to Flask, which refuses it in words
        return Way(method, path, query, fields, *found, fields.get("CONNECTION", "").lower() == "close")

    def _post(self, path: str, fields: Mapping[str, str]) -> Found | None:
        take, length = self._takes.get(path), self._length(fields)
        if take is None or length is None or not fields.keys() <= _WITH_BODY:
            return None
        return path, take, length

    def _get(self, path: str, query: str, fields: Mapping[str, str]) -> Found | None:
        # Some clients tell the length even where there is no body.
        if fields.get("CONTENT-LENGTH", "0") != "0" or not fields.keys() <= _WITHOUT_BODY:
            return None
        for prefix in self._statistics:
            if path == prefix:
                return path, self._question(None, query), 0
            if (series := _series_below(prefix, path)) is not None:
                return f"{prefix}/<series>", self._question(series, query), 0
        return None

    def answer(self, way: Way, body: bytes, lines: bytes) -> bytes | None:
        """Do what a request asks for and return the whole answer, these lines after its first; None: it is not plain,
        nothing was done, and Flask may be asked."""
        started = perf_counter_ns()
        try:
            outcome = way.take(body)
        except LogUncertain as fault:  # it may have been stored, so that Flask must not try again, but say so
            return self._failed(way, lines, fault, fault.events)
        except (LogError, TooFarAhead):  # nothing was stored, so that Flask may try again, and say what is wrong
            return None
        except Exception as bug:  # noqa: BLE001  # Flask logs and answers it like those of its views
            return self._failed(way, lines, bug, 1)
        if outcome is None:
            return None
        self._count(way.route, way.method, outcome.status, perf_counter_ns() - started)
        return b"%b%b%b" % (_STATUS_LINES[outcome.status], lines, headers_and_body(outcome))

    def _length(self, fields: Mapping[str, str]) -> int | None:
        """Return the length of a plain body, by its headers."""
        length = fields.get("CONTENT-LENGTH", "")
        if fields.get("CONTENT-TYPE") != JSON or not _LENGTH.fullmatch(length) or int(length) > self._max_body:
            return None
        return int(length)

    def _question(self, series: str | None, query: str) -> Take:
        service, plain = self._service, self._query

        def ask(body: bytes) -> Outcome | None:
            asked = plain(query, service.rules.retention)  # of this moment: it may change
            if asked is None:
                return None
            found = service.statistics(series, window=asked[0], last=asked[1])
            return Outcome(shown(found, ()), 200, found.position) if found.known else None

        return ask

    def _failed(self, way: Way, lines: bytes, fault: Exception, events: int) -> bytes:
        """Return Flask's answer to a request that has failed with this."""
        environ = EnvironBuilder(method=way.method, headers=list(way.fields.items())).get_environ()
        environ |= {"PATH_INFO": way.path, "QUERY_STRING": way.query, FAILED: fault, EVENTS: events}
        chunks, status, headers = run_wsgi_app(self._application, environ)
        rest = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return b"HTTP/1.1 %b\r\n%b%b\r\n%b" % (status.encode(), lines, rest.encode("latin-1"), b"".join(chunks))


def _series_below(prefix: str, path: str) -> str | None:
    """Return the series that a path below this one plainly names."""
    if not path.startswith(f"{prefix}/"):
        return None
    name = path[len(prefix) + 1 :]
    return name if name.isascii() and not name.endswith("/") and SERIES_NAME.fullmatch(name) else None


def is_bare(app: Flask, method: str, path: str) -> bool:
    """Return whether this is a route of `app` with nothing hooked around it but the boundary."""
    endpoint, _ = app.url_map.bind("localhost").match(path, method)
    scopes = {None, endpoint.rpartition(".")[0]}
    hooks: tuple[Mapping[str | None, Any], ...] = (
        app.before_request_funcs,
        app.after_request_funcs,
        app.teardown_request_funcs,
        app.url_value_preprocessors,
    )
    return not (
        app.teardown_appcontext_funcs
        or any(set(found[scope]) - HOOKS for found in hooks for scope in scopes & found.keys())
    )


def native_takes(service: EventService) -> dict[str, Take]:
    """Return the functions that take the API's own plain posts, by path."""
    most = service.settings.max_batch

    def event(body: bytes) -> Outcome | None:
        found = plain_event_in(body)
        if found is None:
            return None
        series, time, value, stamp = found
        return accepted_outcome(
            service.add(series, time, value), lambda: oldest_of_one(time, stamp), service.rules.retention
        )

    def events(body: bytes) -> Outcome | None:
        found = plain_events_in(body, most)
        if found is None:
            return None
        accepted = service.add_many(found.names, found.which, found.times, found.values)
        return accepted_outcome(accepted, lambda: oldest_of(found), service.rules.retention)

    return {f"{prefix}{path}": take for prefix in _PREFIXES for path, take in (("/event", event), ("/events", events))}


def _statistics_paths(app: Flask) -> tuple[str, ...]:
    """Return the paths of `GET /statistics`; those of a series stand below them."""
    paths = (f"{prefix}{_STATISTICS}" for prefix in _PREFIXES)
    return tuple(path for path in paths if is_bare(app, "GET", path) and is_bare(app, "GET", f"{path}/x"))
