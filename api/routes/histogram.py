"""`GET /histogram`: exact counts of the values of a window, between bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from access.keys import READ
from api.answers import answer
from api.asked import asked, number_of
from api.context import service
from api.guard import needs
from api.moments import within_reach
from api.openapi.components import COUNT, NUMBER, POSITIONED, POSITIONED_OF_SEVERAL, array, object_of, share
from api.openapi.operation import READ_ERRORS, Operation, Reply
from api.reading.paths import series_in_path
from api.reading.queries import HistogramQuery, Query, load_query
from rolling.histogram import at_bounds, in_bins
from view.answers import Scope, Which

USUAL_BINS = 20

bp = Blueprint("histogram", __name__)
share(Histogram=object_of({"bounds": array(NUMBER), "counts": array(COUNT)}))
_QUERY = HistogramQuery()
_OF_ONE = HistogramQuery(exclude=("series",))


def _described(query: Query, *headers: str) -> Operation:
    reply = Reply("The counts.", "Histogram", {"bounds": [1.0, 2.0, 5.0], "counts": [0, 3, 1, 2]}, headers=headers)
    errors = (*READ_ERRORS, 414)  # bounds alone can be as long
    return Operation(tag="statistics", query=query, replies={200: reply}, errors=errors)


@bp.get("/histogram")
@needs(READ)
@_described(_QUERY, *POSITIONED_OF_SEVERAL)
def get_histogram() -> Response:
    """Counts of the values of all series, or of several as one, between bounds.

    The counts of the values below the first bound, from each bound up to the next, and from the last on; they add up to
    the count of `GET /statistics` over the same events. `bins` divides from the least to the greatest value into as
    many parts of the same width (20 without `bounds` and `bins`), at the correctly rounded bounds, equal ones once. A
    window without an event has no bounds, and one count of 0.
    """
    query = load_query(_QUERY, request.args)
    return _histogram(asked(query["series"]), query)


@bp.get("/histogram/<series:series>")
@needs(READ, series="series")
@_described(_OF_ONE, *POSITIONED)
def get_histogram_of_series(series: str) -> Response:
    """Counts of the values of one series between bounds.

    As `GET /histogram`; a series never seen has the histogram of no events.
    """
    return _histogram(series_in_path(series), load_query(_OF_ONE, request.args))


def _histogram(series: Which, query: Mapping[str, Any]) -> Response:
    bounds = query.get("bounds")
    divide = in_bins(query.get("bins", USUAL_BINS)) if bounds is None else at_bounds(bounds)
    with within_reach():
        scope = Scope(query.get("window"), query.get("last"), query.get("at"))
        found = service().histogram(series, scope, divide)
    body = {"bounds": list(found.bounds), "counts": found.counts}
    return answer(body, position=found.position, matched=number_of(found.matched))
