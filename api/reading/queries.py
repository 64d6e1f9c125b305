"""Schemas of query strings, and their reading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote, unquote, unquote_to_bytes

from flask import request
from marshmallow import ValidationError, pre_load, validates_schema
from werkzeug.datastructures import MultiDict

from api.problems import invalid
from api.reading.query_fields import (
    LARGEST_LAST,
    MOST_BOUNDS,
    Bounds,
    Include,
    Interpolation,
    Moment,
    Prefix,
    Sort,
    Whole,
    Window,
)
from api.reading.schemas import LONGEST_NAME, SeriesName, Strict
from times import parse_duration

_PLAIN_STATISTICS = re.compile(r"(?:window=(?P<window>[0-9.dhms]+)(?:&(?!\Z)|\Z))?(?:last=(?P<last>[0-9]{1,8}))?")


class Query(Strict):
    """The parameters of a query string."""

    noun: ClassVar[str] = "parameter"


class WindowQuery(Query):
    """Parameters of statistics: the events that they cover, and what is added to them."""

    window = Window()
    last = Whole(1, LARGEST_LAST)
    include = Include(load_default=())
    percentiles = Interpolation(load_default=False)


class PathQuery(Query):
    """A query of a route whose path names a series."""

    path: ClassVar[str]

    @pre_load
    def no_series(self, data: dict[str, str], **kwargs: Any) -> dict[str, str]:
        """Refuse `series`, with the path that names one instead."""
        if "series" in data:
            path = f"{self.path}/{quote(data['series'][:LONGEST_NAME])}"
            raise ValidationError(f"One series has its own path: {path}.", "series")
        return data


class StatisticsQuery(WindowQuery, PathQuery):
    """`GET /statistics`, now or as of a moment."""

    path = "/statistics"
    at = Moment()


class HistogramQuery(PathQuery):
    """Parameters of `GET /histogram`: the events that it counts, and the bounds between its bins."""

    path = "/histogram"
    window = Window()
    last = Whole(1, LARGEST_LAST)
    at = Moment()
    bounds = Bounds()
    bins = Whole(1, MOST_BOUNDS)

    @validates_schema(skip_on_field_errors=True)
    def one_division(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        """Either says where to divide."""
        if "bounds" in data and "bins" in data:
            raise ValidationError("Does not go with `bounds`; give one of the two.", "bins")


class HistoryQuery(PathQuery):
    """Parameters of `GET /history`: its window, and the steps of that."""

    path = "/history"
    window = Window()
    step = Window()
    at = Moment()
    include = Include(load_default=())
    percentiles = Interpolation(load_default=False)


class SeriesQuery(WindowQuery):
    """A page of `GET /series`, with statistics if any of their parameters is given."""

    prefix = Prefix(load_default="")
    limit = Whole(1, 1000, load_default=100)
    after = SeriesName(load_default=None)
    sort = Sort(load_default=("name", False))

    @validates_schema(skip_on_field_errors=True)
    def after_a_name(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        """Only in the order of names is there something behind a name."""
        if data["after"] is not None and data["sort"] != ("name", False):
            raise ValidationError("Only goes with the order of names; with another `sort` there is one page.", "after")


class EventsQuery(Query):
    """Parameters of `GET /series/<series>/events`."""

    limit = Whole(1, 1000, load_default=100)


def load_query(schema: Query, parameters: MultiDict[str, str]) -> dict[str, Any]:
    """The parameters as the schema reads them; 400 says which is wrong, unknown or repeated."""
    if garbled := {name: ["Not UTF-8."] for name in _garbled(request.query_string)}:
        raise invalid(garbled)
    repeated = {name: ["Given more than once."] for name, found in parameters.lists() if len(found) > 1}
    if repeated:
        raise invalid(repeated)
    try:
        query: dict[str, Any] = schema.load(parameters.to_dict())
    except ValidationError as fault:
        raise invalid(fault.messages_dict) from fault
    return query


def plain_query(query: str, retention: int) -> tuple[int | None, int | None] | None:
    """The window and the last ones that a query of `GET /statistics` plainly asks for, and nothing else, as
    `StatisticsQuery` reads them; None says nothing about it."""
    match = _PLAIN_STATISTICS.fullmatch(query)
    if match is None:
        return None
    try:
        window = parse_duration(match["window"]) if match["window"] else None
    except ValueError:
        return None
    last = int(match["last"]) if match["last"] else None
    return None if last == 0 or (window is not None and window > retention) else (window, last)


def _garbled(query: bytes) -> Iterator[str]:
    """The names of parameters that hold bytes which are not UTF-8."""
    if b"%" not in query and query.isascii():
        return
    for parameter in query.split(b"&"):
        try:
            unquote_to_bytes(parameter).decode()
        except UnicodeDecodeError:
            yield unquote(parameter.partition(b"=")[0])
