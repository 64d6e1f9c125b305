"""`POST /event` and `POST /events`: events on their way in."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from access.keys import WRITE
from api.answers import Outcome, answer
from api.context import service
from api.guard import conditions, needs, permit, permit_each
from api.idempotency import KEY, at_most_once
from api.openapi.components import COUNT, TEXT, WRITE_ERRORS, WRITTEN, object_of, share
from api.openapi.operation import Body, Operation, Reply
from api.problems import invalid
from api.reading.batch_formats import FORMATS, NDJSON_NAMES, parse_event, parse_events
from api.reading.bodies import JSON, media_type, read_body
from api.reading.csv_format import CSV
from api.reading.expired import Oldest, expired_detail, oldest_of, oldest_of_one
from api.reading.queries import Query, load_query
from api.reading.schemas import ColumnsSchema, EventSchema
from event_log.outcomes import Stored
from event_log.writes import Conditions
from event_service import TooFarAhead
from times import format_duration

bp = Blueprint("events", __name__)
_NO_QUERY = Query()
"""Refuses every parameter: one that belongs in the body, such as `?series=`, must not pass silently."""

share(Accepted=object_of({"stored": COUNT, "expired": COUNT}, {"detail": TEXT}))
_EVENT = {"timestamp": "2025-06-26T14:30:00Z", "value": 12.34}
_AAPL = {"timestamp": "2025-06-26T14:29:59.250Z", "value": 201.5, "series": "AAPL"}
_STORED = Reply("Stored.", "Accepted", {"stored": 1, "expired": 0}, headers=WRITTEN)
_EXPIRED = Reply(
    "Valid, but already older than the retention.",
    "Accepted",
    {
        "stored": 0,
        "expired": 1,
        "detail": "The oldest event is of 2025-06-26T14:30:00Z, and what is older than the retention (1h) is not "
        "stored.",
    },
    headers=WRITTEN,
)
_LINES = (
    Body(
        schema={"type": "string", "description": "One event a line, as in `POST /event`."},
        examples={
            "lines": '{"timestamp": "2025-06-26T14:29:59Z", "value": 1}\n'
            '{"timestamp": 1750948200, "value": 2.5, "series": "AAPL"}\n'
        },
    ),
)
_REPLIES = {201: _STORED, 200: _EXPIRED}
_ARRAY = Body(schema=EventSchema, examples={"events": [_EVENT, _AAPL]}, is_batch=True)
_COLUMNS = Body(
    schema=ColumnsSchema,
    examples={
        "columns": {
            "series": "AAPL",
            "timestamps": ["2025-06-26T14:29:59Z", "2025-06-26T14:30:00Z"],
            "values": [201.5, 201.75],
        },
        "stamped on arrival": {"values": [1, 2.5, 3]},
    },
)
_TABLE = Body(
    schema={
        "type": "string",
        "description": "With the header `value`, and if wanted `timestamp` and `series`; a row whose `series` is empty "
        "belongs to `default`.",
    },
    examples={"table": "timestamp,value,series\n2025-06-26T14:30:00Z,2.5,AAPL\n"},
)


@bp.post("/event")
@needs(WRITE)
@Operation(
    bodies={JSON: (Body(schema=EventSchema, examples={"now": {"value": 12.34}, "plain": _EVENT, "series": _AAPL}),)},
    headers=(KEY,),
    replies=_REPLIES,
    errors=WRITE_ERRORS,
)
def post_event() -> Response:
    """Take one event.

    An event without `timestamp` is stamped on arrival.
    """
    if request.query_string:
        load_query(_NO_QUERY, request.args)
    kind, body = media_type(), read_body()
    series, time, value, stamp = parse_event(body)
    permit(series)
    try:
        accepted = at_most_once(
            kind, body, lambda once: service().add(series, time, value, conditions=conditions(base=once))
        )
    except TooFarAhead as fault:
        raise invalid(_too_far_ahead(fault)) from fault
    return _answer(accepted, lambda: oldest_of_one(time, stamp))


@bp.post("/events")
@needs(WRITE)
@Operation(
    bodies={JSON: (_ARRAY, _COLUMNS), **dict.fromkeys(NDJSON_NAMES, _LINES), CSV: (_TABLE,)},
    headers=(KEY,),
    replies=_REPLIES,
    errors=WRITE_ERRORS,
)
def post_events() -> Response:
    """Take a batch of events, all or none.

    At most MAX_BATCH events. Events without a timestamp, and columns without `timestamps`, are stamped on arrival, all
    with the same moment.
    """
    if request.query_string:
        load_query(_NO_QUERY, request.args)
    kind, body = media_type(FORMATS), read_body()
    events = parse_events(kind, body)
    permit_each(events.names, len(events.values))

    def write(once: Conditions) -> Stored:
        paid = conditions(len(events.values), once)
        return service().add_many(events.names, events.which, events.times, events.values, paid)

    try:
        accepted = at_most_once(kind, body, write)
    except TooFarAhead as fault:
        raise invalid({str(index): _too_far_ahead(fault) for index in fault.indexes}) from fault
    return _answer(accepted, lambda: oldest_of(events))


def accepted_outcome(accepted: Stored, oldest: Callable[[], Oldest | None], retention: int) -> Outcome:
    """Return the answer to accepted events; the oldest of them is asked for where some had expired."""
    body: dict[str, object] = {"stored": accepted.stored, "expired": accepted.expired}
    if accepted.expired:
        body["detail"] = expired_detail(oldest(), retention)
    return Outcome(body, 201 if accepted.stored else 200, accepted.position)


def _answer(accepted: Stored, oldest: Callable[[], Oldest | None]) -> Response:
    outcome = accepted_outcome(accepted, oldest, service().rules.retention)
    return answer(outcome.body, outcome.status, position=outcome.position)


def _too_far_ahead(fault: TooFarAhead) -> dict[str, list[str]]:
    limit = format_duration(fault.limit)
    return {"timestamp": [f"More than {limit} ahead of the server's clock, which is the limit (MAX_FUTURE)."]}
