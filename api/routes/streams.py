"""Streams: statistics at intervals, and the events of a series as they are accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

from flask import Blueprint, Response, current_app, g, request
from flask.globals import request_ctx
from marshmallow import ValidationError, fields, validates_schema
from werkzeug.routing.exceptions import WebsocketMismatch

from access.keys import READ
from api.asked import asked, lease_of
from api.context import service
from api.guard import lease, lease_as_is, needs, visible
from api.handshake import refuse_other_requests, websocket_route
from api.openapi.components import POSITIONED, POSITIONED_OF_SEVERAL
from api.openapi.operation import READ_ERRORS, Operation, Reply
from api.problems import Problem, invalid, render
from api.reading.paths import series_in_path
from api.reading.queries import Query, WindowQuery, load_query
from api.reading.query_fields import Duration, SeriesPatterns
from api.reading.schemas import RequestField
from api.stream_answers import (
    EVENT_STREAM,
    Subject,
    client_socket,
    feed,
    open_alerts,
    open_events,
    open_statistics,
    require_streaming,
)
from streaming import Subscriber
from streaming.pulses import Question
from streaming.websocket import WebSocket, serve
from streaming.wire import SSE, SSE_HEARTBEAT, WEBSOCKET
from times import MINUTE, SECOND, format_duration

SHORTEST_INTERVAL = SECOND // 10
LONGEST_INTERVAL = MINUTE
LAST_EVENT_ID = "Last-Event-ID"
_POSITION = re.compile(r"[0-9]{1,18}")

bp = Blueprint("streams", __name__)


class Interval(Duration):
    """A duration -> microseconds from one answer of a stream to the next."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        interval = super()._deserialize(value, attr, data)
        if not SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
            shortest, longest = format_duration(SHORTEST_INTERVAL), format_duration(LONGEST_INTERVAL)
            raise ValidationError(f"Must be from {shortest} to {longest}, not {format_duration(interval)}.")
        return interval


class Alerts(RequestField):
    """`1` -> True: changes of alerts are sent, instead of statistics."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "string", "enum": ["1"]}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value != "1":
            raise ValidationError("Must be 1.")
        return True


class Position(fields.Field[int]):
    """A position in the log."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "integer", "minimum": 0}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        return position(value)


class StreamQuery(WindowQuery):
    """Parameters of `GET /stream`: what it covers, and how often it answers."""

    series = SeriesPatterns(load_default=None)
    interval = Interval(load_default=SECOND)
    alerts = Alerts(load_default=False)

    @validates_schema(skip_on_field_errors=True)
    def alerts_alone(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        """A stream of alerts is about nothing else."""
        others = sorted({"series", "window", "last", "include", "percentiles", "interval"} & set(request.args))
        if data["alerts"] and others:
            raise ValidationError("Does not go with `alerts`.", others[0])


class EventsStreamQuery(Query):
    """Start of a stream of events: behind this position; without it, now."""

    after = Position(load_default=None)


_STREAM_ERRORS = (*READ_ERRORS, 501)
_ENDS = (
    "Says `event: gap` with `{type, series, position}` where events it should have had are no longer there: what "
    "follows begins at that position. Ends with `event: close` (the worker ends: come back) or `event: error` (too "
    "slow a reader, or no log: come back after the last `id`), both with `{reason}`. `retry` tells when to come back."
)
_SWITCHED = Reply("The WebSocket is open: one JSON text message an event.")


def _described(query: type[Query], *headers: str) -> Operation:
    reply = Reply("The stream.", "Text", media_type=EVENT_STREAM, headers=headers)
    return Operation(
        query=query, headers=(LAST_EVENT_ID,), replies={200: reply}, errors=_STREAM_ERRORS, description=_ENDS
    )


_STREAM = StreamQuery()
_EVENTS_STREAM = EventsStreamQuery()


def position(text: str) -> int:
    """The position in the log that `text` names. Raises ValidationError."""
    if not _POSITION.fullmatch(text):
        raise ValidationError(f"Must be a position in the log, such as an event's id, not {text[:40]!r}.")
    return int(text)


@bp.before_request
def require_a_server_that_streams() -> None:
    """All routes here are streams. A WebSocket's problems are told before the handshake, and its events begin there:
    once that is done the client may post, and expects to see it."""
    if request.method == "OPTIONS":
        return
    require_streaming()
    if request.url_rule is not None and request.url_rule.websocket:
        series_in_path((request.view_args or {})["series"])
        g.beginning = _beginning()


@bp.get("/stream")
@needs(READ)
@_described(StreamQuery, *POSITIONED_OF_SEVERAL)
def stream_statistics() -> Response:
    """Statistics at intervals, as Server-Sent Events.

    One `event: statistics` at once and then one every interval, with the data of `GET /statistics` and `sum`, `last`,
    `rate` (events a second over the interval); `id` is the log position. A comment as heartbeat every 15 s. A question
    that costs much is asked less often. With `alerts=1`: every alert that is not inactive, then `event: alert` at each
    change, its position as `id`, and behind `Last-Event-ID` the changes since.
    """
    query = load_query(_STREAM, request.args)
    if query["alerts"]:
        return open_alerts(Subscriber(client_socket(), SSE_HEARTBEAT, allowed=lease_as_is()), visible(), _seen())
    series = asked(query["series"])
    subject = Subject(
        series,
        query.get("window"),
        query.get("last"),
        query["include"],
        interval := query["interval"],
        linear=query["percentiles"],
    )
    subscriber = Subscriber(client_socket(), SSE_HEARTBEAT, only_latest=True, allowed=lease_of(series))
    return open_statistics(subscriber, Question(subject, interval / SECOND))


@bp.get("/series/<series:series>/stream")
@needs(READ, series="series")
@_described(EventsStreamQuery, *POSITIONED)
def stream_events(series: str) -> Response:
    """The events of a series as they are accepted, as Server-Sent Events.

    One `event: event` each, by whichever worker it was accepted, its position as `id`.
    """
    channel = (series_in_path(series), SSE)
    subscriber = Subscriber(client_socket(), SSE_HEARTBEAT, allowed=lease(series))
    return open_events(subscriber, channel, _beginning())


@websocket_route(bp, "/ws/<series:series>")
@needs(READ, series="series")
@Operation(query=EventsStreamQuery, headers=(LAST_EVENT_ID,), replies={101: _SWITCHED}, errors=(*_STREAM_ERRORS, 426))
def websocket(ws: WebSocket, series: str) -> None:
    """The events of a series as they are accepted, over a WebSocket.

    A message with `type` `gap` and `position` says that events it should have had are no longer there: what follows
    begins at that position. Close codes: 1001 the worker ends, come back; 1013 too slow a reader, or no log, come back
    after the last `position`; 1011 the server failed; 1008 the access key no longer opens it, or you sent more than 200
    frames within a second; 1009 you sent a message of more than 4,096 bytes. Pings are answered.
    """
    serve(ws, feed(), (series, WEBSOCKET), g.beginning, lease(series))


@bp.app_errorhandler(WebsocketMismatch)
def mismatch(_: WebsocketMismatch) -> Response:
    """A WebSocket's route without a handshake, or a handshake where there is no WebSocket."""
    if request.method == "OPTIONS":
        return current_app.make_default_options_response()
    try:
        _refuse_mismatch()
    except Problem as problem:
        return render(problem)


def _refuse_mismatch() -> NoReturn:
    adapter = request_ctx.url_adapter
    if adapter is not None and adapter.websocket:
        raise Problem(400, "There is no WebSocket here, but there is at /ws/<series>; or ask without `Upgrade`.")
    require_streaming()
    refuse_other_requests()


def _beginning() -> int:
    """The position after which the client wants events: what it saw last, what it asks for, or now."""
    after = load_query(_EVENTS_STREAM, request.args)["after"]
    seen = _seen()
    return seen if seen is not None else service().position() if after is None else after


def _seen() -> int | None:
    """The position of what the client saw last; None where it does not say."""
    seen = request.headers.get(LAST_EVENT_ID)
    try:
        return position(seen) if seen else None
    except ValidationError as fault:
        raise invalid({LAST_EVENT_ID: fault.messages}) from fault
