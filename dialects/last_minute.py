"""Parts that the services that know only the last 60 seconds share: taking an event in, the statistics of a minute."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response

from api.answers import JSON
from api.context import service
from api.guard import conditions
from api.idempotency import at_most_once
from dialects.answers import answer
from dialects.requests import refuse, value_error
from event_log.outcomes import Stored
from event_log.writes import Conditions
from event_service import TooFarAhead
from rolling.summary import Summary
from times import MINUTE, format_duration

_FIGURES: dict[str, Callable[[Summary], float | int | None]] = {
    "sum": lambda summary: summary.sum,
    "avg": lambda summary: summary.mean,
    "max": lambda summary: summary.max,
    "min": lambda summary: summary.min,
    "count": lambda summary: summary.count,
}


def add(body: bytes, series: str, time: int, value: float) -> Stored:
    """Store the event of a body, unless it is older than a minute. Raises Refused when it is too far ahead."""

    def write(once: Conditions) -> Stored:
        return service().add(series, time, value, max_age=MINUTE, conditions=conditions(base=once))

    try:
        return at_most_once(JSON, body, write)
    except TooFarAhead as error:
        msg = f"the timestamp is more than {format_duration(error.limit)} ahead of the clock"
        refuse(value_error(msg), ["body", "timestamp"], time // 1000)


def statistics(series: str | None, *names: str) -> Response:
    """These statistics of the last minute (of the retention, if that is shorter), of one series or of all.

    Zero when there are no events; null where the result is beyond the doubles.
    """
    found = service().statistics(series, window=MINUTE)
    summary = found.summary
    body = {name: _FIGURES[name](summary) if summary.count or name == "count" else 0.0 for name in names}
    return answer(body, position=found.position)
