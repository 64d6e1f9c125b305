"""`/series`: the list of series, their latest events, and their end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request

from access.keys import DELETE, READ
from api.answers import POSITION, answer, in_portions
from api.context import service
from api.guard import needs, visible
from api.openapi.components import COUNT, NAME_OR_NULL, POSITIONED, array, object_of, ref, share
from api.openapi.operation import READ_ERRORS, Operation, Reply
from api.problems import Problem
from api.reading.paths import series_in_path
from api.reading.queries import EventsQuery, Query, SeriesQuery, load_query
from api.reading.schemas import NAME
from api.statistics import EVENT_OR_NULL, edge, extras, rank_value, shown
from view.answers import Listed, Order, Scope, SeriesInfo

bp = Blueprint("series", __name__)
share(
    SeriesInfo=object_of(
        {"series": NAME, "count": COUNT, "first": EVENT_OR_NULL, "last": EVENT_OR_NULL},
        {"statistics": ref("Statistics")},
    ),
    SeriesPage=object_of({"series": array(ref("SeriesInfo")), "next": NAME_OR_NULL}),
    Events=object_of({"series": NAME, "events": array(ref("StoredEvent"))}),
)
_SERIES_QUERY = SeriesQuery()
_EVENTS_QUERY = EventsQuery()
_FOR_STATISTICS = ("window", "last", "include", "percentiles", "sort")
"""Parameters of which any has the entries show statistics."""
_NO_QUERY = Query()


@bp.get("/series")
@needs(READ)
@Operation(query=SeriesQuery, replies={200: Reply("A page of them.", "SeriesPage", headers=POSITIONED)})
def get_series() -> Response:
    """The series, sorted by name or by any statistic.

    `next`, unless null, is what to ask for with `after` to get the next page. With `window`, `last`, `include`,
    `percentiles` or `sort` each entry has `statistics`, over that window or count or else over the configured window.
    Sorted by anything but the name there is one page: the first `limit`.
    """
    query = load_query(_SERIES_QUERY, request.args)
    if request.args.keys().isdisjoint(_FOR_STATISTICS):
        found, following, position = service().series(query["prefix"], query["limit"], query["after"], visible())
    else:
        found, following, position = _with_statistics(query)
    entries = [_shown(info, query["include"]) for info in in_portions(found)]
    return answer({"series": entries, "next": following}, position=position)


def _with_statistics(query: dict[str, Any]) -> Listed:
    linear = query["percentiles"]
    name, descending = query["sort"]
    order = Order(descending=descending, visible=visible())
    if name != "name":
        order = replace(order, value=rank_value(name), extras=extras([name], linear=linear))
    scope = Scope(query.get("window"), query.get("last"))
    wanted = extras(query["include"], linear=linear)
    return service().ranking(query["prefix"], query["limit"], query["after"], scope, order, wanted)


def _shown(info: SeriesInfo, include: Iterable[str]) -> dict[str, Any]:
    entry = {"series": info.name, "count": info.count, "first": edge(info.first), "last": edge(info.last)}
    return entry if info.figures is None else entry | {"statistics": shown(info.figures, include)}


@bp.get("/series/<series:series>/events")
@needs(READ, series="series")
@Operation(
    query=EventsQuery, replies={200: Reply("The events.", "Events", headers=POSITIONED)}, errors=(*READ_ERRORS, 404)
)
def get_events(series: str) -> Response:
    """The last events of one series, oldest first."""
    series = series_in_path(series)
    limit = load_query(_EVENTS_QUERY, request.args)["limit"]
    found = service().course(series, limit)
    if found.initial is None:
        raise _no_series(series, found.position)
    events = [edge(event) for event in in_portions(zip(found.times.tolist(), found.values.tolist(), strict=True))]
    return answer({"series": series, "events": events}, position=found.position)


@bp.delete("/series/<whole_series:series>")
@needs(DELETE, series="series")
@Operation(replies={204: Reply("It has ended.", headers=POSITIONED)}, errors=(*READ_ERRORS, 404))
def delete_series(series: str) -> Response:
    """End a series.

    Its events are gone from every answer, on every worker, from the position on that `Log-Position` tells. The name may
    begin anew. A series without an event for IDLE ends by itself.
    """
    series = series_in_path(series)
    load_query(_NO_QUERY, request.args)
    ended = service().end_series(series)
    if not ended.was_there:
        raise _no_series(series, ended.position)
    response = Response(status=204, headers={POSITION: str(ended.position)})
    del response.headers["Content-Type"]
    return response


def _no_series(series: str, position: int) -> Problem:
    detail = f"There is no series {series!r}; GET /series lists those there are."
    return Problem(404, detail, headers={POSITION: str(position)})
