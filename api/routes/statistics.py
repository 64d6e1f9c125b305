"""`GET /statistics`: what the events of a window come to."""

from __future__ import annotations

from flask import Blueprint, Response, request

from access.keys import READ
from api.answers import answer
from api.context import service
from api.guard import needs
from api.reading.paths import series_in_path
from api.reading.queries import StatisticsQuery, load_query
from api.statistics import EDGES, basic, included

bp = Blueprint("statistics", __name__)
_QUERY = StatisticsQuery()


@bp.get("/statistics")
@needs(READ, all_series=True)
def get_statistics() -> Response:
    """Statistics over all series."""
    return _statistics(None)


@bp.get("/statistics/<series:series>")
@needs(READ, series="series")
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
        edges=any(name in EDGES for name in include),
    )
    return answer(basic(found) | included(found, include), position=found.position)
