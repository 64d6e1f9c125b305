"""`GET /history`: the events of a window, laid out in steps."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from flask import Blueprint, Response, request

from access.keys import READ
from api.answers import answer, in_portions, written
from api.asked import asked, number_of
from api.context import service
from api.guard import needs
from api.moments import within_reach
from api.openapi.components import POSITIONED, POSITIONED_OF_SEVERAL, SCHEMAS, TEXT, TIME, array, object_of, ref, share
from api.openapi.operation import JSON, Operation, Reply
from api.reading.paths import series_in_path
from api.reading.queries import HistoryQuery, Query, load_query
from api.statistics import BASIC, STATISTICS, extras, shown
from times import format_duration, format_timestamp
from view.answers import History, Which

CSV = "text/csv"
_CSV_IN_UTF8 = f"{CSV}; charset=utf-8"

bp = Blueprint("history", __name__)
_statistics = SCHEMAS["Statistics"]
share(
    Point={
        **_statistics,
        "properties": {"start": TIME, "end": TIME, **_statistics["properties"]},
        "required": ["start", "end", *_statistics["required"]],
    },
    History=object_of({"step": TEXT, "points": array(ref("Point"))}),
)
_POINT = {
    "start": "2025-06-26T14:30:00Z",
    "end": "2025-06-26T14:31:00Z",
    "count": 2,
    "min": 1.0,
    "max": 4.0,
    "mean": 2.5,
}


def _described(query: Query, *headers: str) -> Operation:
    example = {"step": "1m", "points": [_POINT]}
    reply = Reply("The points.", "History", example, other_media={CSV: "Text"}, headers=headers)
    return Operation(tag="statistics", query=query, replies={200: reply})


_QUERY = HistoryQuery()
_OF_ONE = HistoryQuery(exclude=("series",))


@bp.get("/history")
@needs(READ)
@_described(_QUERY, *POSITIONED_OF_SEVERAL)
def get_history() -> Response:
    """The events of a window of all series, or of several as one, laid out in steps.

    A point for every step that the window touches, oldest first, empty ones too; each holds start <= time < end and
    begins at a whole number of steps since the epoch. Without `step` it is the shortest of 1, 2, 5, 10, 15, 30 seconds,
    minutes or hours that makes at most 120 points; there are never more than 2000: where events dated ahead of the
    clock would make more, the last point holds all of those. The counts add up to that of `GET /statistics` over the
    same window and moment. With `Accept: text/csv` the points are lines of CSV.
    """
    query = load_query(_QUERY, request.args)
    return _history(asked(query["series"]), query)


@bp.get("/history/<series:series>")
@needs(READ, series="series")
@_described(_OF_ONE, *POSITIONED)
def get_history_of_series(series: str) -> Response:
    """The events of a window of one series, laid out in steps.

    As `GET /history`; of a series never seen all steps are empty.
    """
    return _history(series_in_path(series), load_query(_OF_ONE, request.args))


def _history(series: Which, query: Mapping[str, Any]) -> Response:
    include = query["include"]
    with within_reach():
        found = service().history(
            series,
            window=query.get("window"),
            step=query.get("step"),
            at=query.get("at"),
            extras=extras(include, linear=query["percentiles"]),
        )
    points = _points(found, include)
    if request.accept_mimetypes.best_match([JSON, CSV, _CSV_IN_UTF8], JSON) != JSON:
        matched = number_of(found.matched)
        response = written(_csv(points, include).encode(), _CSV_IN_UTF8, position=found.position, matched=matched)
    else:
        body = {"step": format_duration(found.step), "points": list(points)}
        response = answer(body, position=found.position, matched=number_of(found.matched))
    response.vary.add("Accept")
    return response


def _points(found: History, include: Sequence[str]) -> Iterator[dict[str, Any]]:
    bounds = [*(format_timestamp(start) for start, _ in found.points), format_timestamp(found.end)]
    for number, (_, figures) in enumerate(in_portions(found.points)):
        yield {"start": bounds[number], "end": bounds[number + 1]} | shown(figures, include)


def _csv(points: Iterator[dict[str, Any]], include: Sequence[str]) -> str:
    """A line for each point; an event takes two columns, what is null is empty."""
    names = ["start", "end", *BASIC, *include]
    text = StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow([column for name in names for column in _columns(name)])
    for point in points:
        lines.writerow([cell for name in names for cell in _cells(name, point[name])])
    return text.getvalue()


def _columns(name: str) -> list[str]:
    return [f"{name}_timestamp", f"{name}_value"] if name in STATISTICS and STATISTICS[name].edge else [name]


def _cells(name: str, value: Any) -> list[Any]:
    if len(_columns(name)) == 1:
        return [value]
    return ["", ""] if value is None else [value["timestamp"], value["value"]]
