"""`GET /statistics`: what the events of a window come to."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from api.answers import answer
from api.context import service
from api.reading.paths import series_in_path
from api.reading.queries import StatisticsQuery, load_query
from event_service import Answer
from times import format_timestamp

bp = Blueprint("statistics", __name__)
_QUERY = StatisticsQuery()
_EDGES = ("first", "last")


@bp.get("/statistics")
def get_statistics() -> Response:
    """Statistics over all series."""
    return _statistics(None)


@bp.get("/statistics/<series:series>")
def get_statistics_of_series(series: str) -> Response:
    """Statistics of one series; of one never seen they are those of no events."""
    return _statistics(series_in_path(series))


def _statistics(series: str | None) -> Response:
    query = load_query(_QUERY, request.args) if request.query_string else {}
    include = query.get("include", ())
    found = service().statistics(
        series,
        window=query.get("window"),
        last=query.get("last"),
        edges=any(name in _EDGES for name in include),
    )
    return answer(basic(found) | included(found, include), position=found.position)


def basic(found: Answer) -> dict[str, Any]:
    """The four statistics that every answer has."""
    summary = found.summary
    return {"count": summary.count, "min": summary.min, "max": summary.max, "mean": summary.mean}


def included(found: Answer, names: tuple[str, ...]) -> dict[str, Any]:
    """The statistics a request asks for by name."""
    return {name: edge(getattr(found, name)) if name in _EDGES else getattr(found.summary, name) for name in names}


def edge(event: tuple[int, float] | None) -> dict[str, Any] | None:
    """An event of a known series as answers show it."""
    return None if event is None else {"timestamp": format_timestamp(event[0]), "value": event[1]}
