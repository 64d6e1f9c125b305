"""`GET /statistics`: the statistics of the events of a window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from access.keys import READ
from api.answers import SERIES_KNOWN, answer
from api.asked import asked, number_of
from api.context import service
from api.guard import needs
from api.moments import within_reach
from api.openapi.components import POSITIONED, POSITIONED_OF_SEVERAL
from api.openapi.operation import Json, Operation, Reply
from api.reading.paths import series_in_path
from api.reading.queries import StatisticsQuery, load_query
from api.statistics import extras, shown
from view.answers import Answer, Which

bp = Blueprint("statistics", __name__)
_EXAMPLE = {"count": 4, "min": 1.0, "max": 42.0, "mean": 12.3}
_QUERY = StatisticsQuery()
_OF_ONE = StatisticsQuery(exclude=("series",))


@bp.get("/statistics")
@needs(READ)
@Operation(
    query=_QUERY,
    replies={200: Reply("The statistics.", "Statistics", _EXAMPLE, headers=POSITIONED_OF_SEVERAL)},
)
def get_statistics() -> Response:
    """Statistics over all series, or over several as one.

    Over the configured window, unless `window` or `last` say otherwise; with both, over the last events of those in the
    window. With `at` as of that moment: the window ends there, and must not reach behind the retention; `last` alone
    then reaches back to its end. A moment ahead of the clock by no more than MAX_FUTURE may be asked for; its answer
    can still change. Exact: correctly rounded doubles, the same on every worker; a percentile is the value of an event,
    unless `percentiles=linear`.
    """
    query = load_query(_QUERY, request.args) if request.query_string else {}
    return _statistics(asked(query.get("series")), query)


@bp.get("/statistics/<series:series>")
@needs(READ, series="series")
@Operation(
    query=_OF_ONE,
    replies={200: Reply("The statistics.", "Statistics", _EXAMPLE, headers=(*POSITIONED, SERIES_KNOWN))},
)
def get_statistics_of_series(series: str) -> Response:
    """Statistics of one series; those of no events if never seen.

    As `GET /statistics`, of the events of this series.
    """
    query = load_query(_OF_ONE, request.args) if request.query_string else {}
    return _statistics(series_in_path(series), query)


def _statistics(series: Which, query: Mapping[str, Any]) -> Response:
    if not query:
        found = service().statistics(series)
        return _answer(found, shown(found))
    include = query["include"]
    wanted = extras(include, linear=query["percentiles"])
    with within_reach():
        found = service().statistics(
            series,
            window=query.get("window"),
            last=query.get("last"),
            at=query.get("at"),
            edges=wanted.edges,
            percentiles=wanted.percentiles,
        )
    return _answer(found, shown(found, include))


def _answer(found: Answer, body: Json) -> Response:
    response = answer(body, position=found.position, matched=number_of(found.matched))
    if not found.known:
        response.headers[SERIES_KNOWN] = "false"
    return response
