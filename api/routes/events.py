"""`POST /event` and `POST /events`: events on their way in."""

from __future__ import annotations

from flask import Blueprint, Response, request

from access.keys import WRITE
from api.answers import answer
from api.context import service
from api.guard import needs, permit, permit_each
from api.problems import invalid
from api.reading.batch_formats import FORMATS, parse_event, parse_events
from api.reading.bodies import media_type, read_body
from api.reading.queries import Query, load_query
from event_service import Accepted, TooFarAhead
from times import format_duration

bp = Blueprint("events", __name__)
_NO_QUERY = Query()
"""Refuses every parameter: one that belongs in the body, such as `?series=`, must not pass silently."""


@bp.post("/event")
@needs(WRITE)
def post_event() -> Response:
    """Take one event."""
    if request.query_string:
        load_query(_NO_QUERY, request.args)
    media_type()
    series, time, value = parse_event(read_body())
    permit(series)
    try:
        accepted = service().add(series, time, value)
    except TooFarAhead as fault:
        raise invalid(_too_far_ahead(fault)) from fault
    return _answer(accepted)


@bp.post("/events")
@needs(WRITE)
def post_events() -> Response:
    """Take a batch of events, all or none."""
    if request.query_string:
        load_query(_NO_QUERY, request.args)
    events = parse_events(media_type(FORMATS), read_body())
    permit_each(events.names)
    try:
        accepted = service().add_many(events.names, events.which, events.times, events.values)
    except TooFarAhead as fault:
        raise invalid({str(index): _too_far_ahead(fault) for index in fault.indexes}) from fault
    return _answer(accepted)


def _answer(accepted: Accepted) -> Response:
    body = {"stored": accepted.stored, "expired": accepted.expired}
    return answer(body, 201 if accepted.stored else 200, position=accepted.position)


def _too_far_ahead(fault: TooFarAhead) -> dict[str, list[str]]:
    limit = format_duration(fault.limit)
    return {"timestamp": [f"More than {limit} ahead of the server's clock, which is the limit (MAX_FUTURE)."]}
