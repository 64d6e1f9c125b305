"""Steps before every stream begins: refuse a server that cannot hold it, take a place in this worker, make a body."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

from flask import Response, current_app, request
from gevent.monkey import is_module_patched

from access.places import AllTaken
from alerts.changes import Sees
from api.answers import tell_place
from api.context import Context, context, service, settings
from api.guard import current_key, guard_of
from api.problems import Problem
from api.statistics import extras, shown
from event_service import EventService
from metrics.meter import OPEN_STREAMS
from streaming import SHUTDOWN, Ending, Feed, NoPlace, Subscriber
from streaming.channels import Channel
from streaming.polling import notice_silence
from streaming.pulses import Answered, Question
from streaming.rates import Rates
from streaming.wire import sse_ending, sse_opening, sse_statistics
from times import SECOND
from view.answers import Several
from view.per_process import PerProcess

EVENT_STREAM = "text/event-stream"
_FEEDS = "tidemark_feeds"
_RETRY_MS = (1_000, 3_000)
"""Milliseconds after which clients reconnect; spread out, so that those of a stopped worker do not come all at once."""
_RETRY_SECONDS_WHEN_FULL = 5
_EXTRAS = ("sum", "last")


class Subject(NamedTuple):
    """Statistics that a stream sends: their series, window, extras and interval."""

    series: Several | None
    window: int | None
    last: int | None
    include: tuple[str, ...]
    interval: int
    """Microseconds."""
    linear: bool = False
    """True if percentiles are interpolated."""


def feed() -> Feed:
    """The feed of this process, made when the first stream asks for it; so never before a fork."""
    feeds: PerProcess[Feed] = current_app.extensions.setdefault(_FEEDS, PerProcess(partial(_new_feed, context())))
    return feeds.here()


def require_streaming() -> None:
    """501 under a server in which every stream would hold a whole worker or one of its few threads."""
    software = request.environ.get("SERVER_SOFTWARE", "")
    if not is_module_patched("socket") and not software.startswith("Werkzeug"):
        detail = "This worker class cannot hold streams; start gunicorn with -k gevent. Everything else works."
        raise Problem(501, detail)


@contextmanager
def place() -> Iterator[None]:
    """Hold the place of a WebSocket's key. 503 where that or this worker has none: it must be said before the
    handshake."""
    with ExitStack() as held:
        _take_place_of_key(held)
        try:
            feed().check()
        except NoPlace as fault:
            if fault.ending is SHUTDOWN:
                raise Problem(503, SHUTDOWN.reason, headers={"Retry-After": "1"}) from fault
            raise too_many_streams() from fault
        yield


def _take_place_of_key(held: ExitStack) -> None:
    """Hold one of the streams that the key of this request may have open in this worker. 503 where it has them all."""
    guard, key = guard_of(), current_key()
    if guard is None or key is None:
        return
    try:
        held.callback(guard.places.take(key))
    except AllTaken as fault:
        detail = (
            f"The key {key.name} has {key.max_streams} open streams in this worker, which is its limit (max_streams); "
            "try again later."
        )
        raise Problem(503, detail, headers={"Retry-After": str(_RETRY_SECONDS_WHEN_FULL)}) from fault


def too_many_streams() -> Problem:
    """503 that names the limit."""
    detail = (
        f"This worker has {settings().max_streams} open streams, which is the limit (MAX_STREAMS); try again later."
    )
    return Problem(503, detail, headers={"Retry-After": str(_RETRY_SECONDS_WHEN_FULL)})


def client_socket() -> socket.socket | None:
    """The socket of this request, where the server tells."""
    sock: socket.socket | None = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    return sock


def open_events(subscriber: Subscriber, channel: Channel, after: int) -> Response:
    """Server-Sent Events of a channel; 503 when all places are taken."""
    position = min(after, service().position())
    leave = _enter(subscriber)
    return _response(subscriber, leave, feed().events(subscriber, channel, after), position)


def open_alerts(subscriber: Subscriber, sees: Sees, after: int | None) -> Response:
    """Server-Sent Events of changes of alerts; 503 when all places are taken."""
    position = service().position()
    leave = _enter(subscriber)
    return _response(subscriber, leave, context().alert_changes.here().events(subscriber, sees, after), position)


def open_statistics(subscriber: Subscriber, question: Question) -> Response:
    """Server-Sent Events of the answers to a question; 503 when all places are taken."""
    assert isinstance(question.subject, Subject)
    series = question.subject.series
    leave = _enter(subscriber)
    try:
        position = feed().statistics(subscriber, question)
        matched = None if series is None or position is None else service().matched(series)
    except BaseException:
        leave()
        raise
    return _response(subscriber, leave, iter(subscriber), position, matched)


def _enter(subscriber: Subscriber) -> Callable[[], None]:
    """Take a place in the worker and one of the key; return what gives both back, which may be called twice."""
    entered = feed()
    with ExitStack() as held:
        _take_place_of_key(held)
        held.callback(entered.leave, subscriber)
        if sock := client_socket():
            notice_silence(sock)
        try:
            entered.enter(subscriber)
        except NoPlace as fault:
            if fault.ending is not SHUTDOWN:
                raise too_many_streams() from fault
            subscriber.end(SHUTDOWN)  # not 503: a browser's EventSource would never try again
        return held.pop_all().close


def _response(
    subscriber: Subscriber,
    leave: Callable[[], None],
    chunks: Generator[bytes],
    position: int | None,
    matched: int | None = None,
) -> Response:
    response = Response(_Body(subscriber, leave, chunks), content_type=EVENT_STREAM)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    tell_place(response, position, matched)
    return response


class _Body:
    """The body of a stream. An object rather than a generator, because one that is never begun (HEAD, a client that
    has left at once) runs no `finally`, and the place must come back all the same."""

    def __init__(self, subscriber: Subscriber, leave: Callable[[], None], chunks: Generator[bytes]) -> None:
        self._subscriber = subscriber
        self._leave = leave
        self._chunks = chunks
        self._pieces = self._write()

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        """Give the place back, and let no other request come over this connection: its worker may be ending."""
        self._pieces.close()
        self._chunks.close()
        self._leave()
        self._subscriber.cut()

    def _write(self) -> Generator[bytes]:
        yield sse_opening(random.randint(*_RETRY_MS))
        if self._subscriber.ending is None:
            yield from self._chunks
        ending: Ending | None = self._subscriber.ending
        if ending is not None and ending.event:
            yield sse_ending(ending)


def _new_feed(context: Context) -> Feed:
    events = context.service
    rates = Rates()

    def answer(subject: Hashable) -> Answered:
        assert isinstance(subject, Subject)
        return statistics_message(events, subject, rates)

    def note(open_streams: int) -> None:
        context.meter.table.put(OPEN_STREAMS, open_streams)

    most = events.settings.max_streams
    made = Feed(events, answer, most, worker_is_stopping=context.worker_is_stopping, on_change=note)
    events.listen(made.hear)
    return made


def statistics_message(events: EventService, subject: Subject, rates: Rates) -> Answered:
    """Return what a stream of statistics says next, and the position that it is of."""
    wanted = extras(subject.include, linear=subject.linear)
    found = events.statistics(
        subject.series, window=subject.window, last=subject.last, edges=True, percentiles=wanted.percentiles
    )
    lineage = None if found.matched is None else found.matched.lineage
    rate = rates.since_last((subject, lineage), found.arrived, events.clock(), subject.interval)
    if rate is None:  # the first answer: by the times of the events
        recent = events.statistics(subject.series, window=subject.interval)
        rate = recent.summary.count * SECOND / subject.interval
    names = tuple(dict.fromkeys((*_EXTRAS, *subject.include)))
    return Answered(sse_statistics(found.position, shown(found, names) | {"rate": rate}), found.position)
