"""Schemas of query strings, and their reading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote, unquote_to_bytes

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
    SeriesPatterns,
    Sort,
    Whole,
    Window,
)
from api.reading.schemas import SeriesName, Strict
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


class OfSeries(Query):
    """The series of a question: several as one, or all without any. Where the path names one, it is made without."""

    series = SeriesPatterns(load_default=None)

    @pre_load
    def once(self, data: dict[str, str], **kwargs: Any) -> dict[str, str]:
        """A question is about what the path names, or about what the query names."""
        if "series" in data and "series" not in self.fields:
            raise ValidationError("The path names a series already; leave it out there to ask for several.", "series")
        return data


class StatisticsQuery(WindowQuery, OfSeries):
    """`GET /statistics`, now or as of a moment."""

    at = Moment()


class HistogramQuery(OfSeries):
    """Parameters of `GET /histogram`: the events that it counts, and the bounds between its bins."""

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


class HistoryQuery(OfSeries):
    """Parameters of `GET /history`: its window, and the steps of that."""

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
    given: dict[str, Any] = dict(parameters.lists())
    single = given.keys() - {name for name, field in schema.fields.items() if getattr(field, "is_repeated", False)}
    if repeated := {name: ["Given more than once."] for name in schema.fields.keys() & single if len(given[name]) > 1}:
        raise invalid(repeated)
    try:
        query: dict[str, Any] = schema.load(given | {name: given[name][0] for name in single})
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
