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
from api.openapi.components import (
    COUNT,
    NUMBER,
    POSITIONED,
    POSITIONED_OF_SEVERAL,
    READ_ERRORS,
    array,
    object_of,
    share,
)
from api.openapi.operation import Json, Operation, Reply, describe
from api.reading.paths import SERIES_IN_PATH, series_in_path
from api.reading.queries import HistogramOfOneQuery, HistogramQuery, Query, load_query
from rolling.histogram import at_bounds, in_bins
from view.answers import Scope, Which

USUAL_BINS = 20

bp = Blueprint("histogram", __name__)
_QUERY = HistogramQuery()
_OF_ONE = HistogramOfOneQuery()


@bp.get("/histogram")
@needs(READ)
def get_histogram() -> Response:
    """The histogram of all series, or of several."""
    query = load_query(_QUERY, request.args)
    return _histogram(asked(query["series"]), query)


@bp.get("/histogram/<series:series>")
@needs(READ, series="series")
def get_histogram_of_series(series: str) -> Response:
    """The histogram of one series; one never seen has that of no events."""
    return _histogram(series_in_path(series), load_query(_OF_ONE, request.args))


def _histogram(series: Which, query: Mapping[str, Any]) -> Response:
    bounds = query.get("bounds")
    divide = in_bins(query.get("bins", USUAL_BINS)) if bounds is None else at_bounds(bounds)
    with within_reach():
        scope = Scope(query.get("window"), query.get("last"), query.get("at"))
        found = service().histogram(series, scope, divide)
    body = {"bounds": list(found.bounds), "counts": found.counts}
    return answer(body, position=found.position, matched=number_of(found.matched))


share(Histogram=object_of({"bounds": array(NUMBER), "counts": array(COUNT)}))


def _described(summary: str, query: type[Query], path: dict[str, Json], headers: tuple[str, ...]) -> Operation:
    return Operation(
        tag="statistics",
        summary=summary,
        description="The counts of the values below the first bound, from each bound up to the next, and from the last "
        "on; they add up to the count of `GET /statistics` over the same events. `bins` divides from the least to the "
        f"greatest value into as many parts of the same width ({USUAL_BINS} without `bounds` and `bins`), at the "
        "correctly rounded bounds, equal ones once. A window without an event has no bounds, and one count of 0.",
        path=path,
        query=query,
        replies={
            200: Reply(
                description="The counts.",
                schema="Histogram",
                example={"bounds": [1.0, 2.0, 5.0], "counts": [0, 3, 1, 2]},
                headers=headers,
            )
        },
        errors=(*READ_ERRORS, "414-TooLong"),  # bounds alone can be as long
    )


describe(
    {
        get_histogram: _described(
            "Counts of the values of all series, or of several as one, between bounds",
            HistogramQuery,
            {},
            POSITIONED_OF_SEVERAL,
        ),
        get_histogram_of_series: _described(
            "Counts of the values of one series between bounds", HistogramOfOneQuery, SERIES_IN_PATH, POSITIONED
        ),
    }
)
