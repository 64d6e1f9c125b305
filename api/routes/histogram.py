"""`GET /histogram`: exact counts of the values of a window, between bounds."""

from __future__ import annotations

from flask import Blueprint, Response, request

from access.keys import READ
from api.answers import answer
from api.context import service
from api.guard import needs
from api.moments import within_reach
from api.openapi.components import COUNT, NUMBER, POSITIONED, READ_ERRORS, array, object_of, share
from api.openapi.operation import Json, Operation, Reply, describe
from api.reading.paths import SERIES_IN_PATH, series_in_path
from api.reading.queries import HistogramQuery, load_query
from rolling.histogram import at_bounds, in_bins
from view.answers import Scope

USUAL_BINS = 20

bp = Blueprint("histogram", __name__)
_QUERY = HistogramQuery()


@bp.get("/histogram")
@needs(READ, all_series=True)
def get_histogram() -> Response:
    """The histogram of all series."""
    return _histogram(None)


@bp.get("/histogram/<series:series>")
@needs(READ, series="series")
def get_histogram_of_series(series: str) -> Response:
    """The histogram of one series; one never seen has that of no events."""
    return _histogram(series_in_path(series))


def _histogram(series: str | None) -> Response:
    query = load_query(_QUERY, request.args)
    bounds = query.get("bounds")
    divide = in_bins(query.get("bins", USUAL_BINS)) if bounds is None else at_bounds(bounds)
    with within_reach():
        scope = Scope(query.get("window"), query.get("last"), query.get("at"))
        found, position = service().histogram(series, scope, divide)
    return answer({"bounds": list(found.bounds), "counts": found.counts}, position=position)


share(Histogram=object_of({"bounds": array(NUMBER), "counts": array(COUNT)}))


def _described(summary: str, path: dict[str, Json] | None = None) -> Operation:
    return Operation(
        tag="statistics",
        summary=summary,
        description="The counts of the values below the first bound, from each bound up to the next, and from the last "
        "on; they add up to the count of `GET /statistics` over the same events. `bins` divides from the least to the "
        f"greatest value into as many parts of the same width ({USUAL_BINS} without `bounds` and `bins`), at the "
        "correctly rounded bounds, equal ones once. A window without an event has no bounds, and one count of 0.",
        path=path or {},
        query=HistogramQuery,
        replies={
            200: Reply(
                description="The counts.",
                schema="Histogram",
                example={"bounds": [1.0, 2.0, 5.0], "counts": [0, 3, 1, 2]},
                headers=POSITIONED,
            )
        },
        errors=(*READ_ERRORS, "414-TooLong"),  # bounds alone can be as long
    )


describe(
    {
        get_histogram: _described("Counts of the values of all series between bounds"),
        get_histogram_of_series: _described("Counts of the values of one series between bounds", SERIES_IN_PATH),
    }
)
