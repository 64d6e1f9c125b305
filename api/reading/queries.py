"""What a valid query string is, and how it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import quote, unquote, unquote_to_bytes

from flask import request
from marshmallow import ValidationError, pre_load
from werkzeug.datastructures import MultiDict

from api.problems import invalid
from api.reading.schemas import LARGEST_LAST, LONGEST_NAME, Include, Prefix, SeriesName, Strict, Whole, Window


class Query(Strict):
    """The parameters of a query string."""

    noun: ClassVar[str] = "parameter"


class StatisticsQuery(Query):
    """Which events `GET /statistics` covers, and what it adds."""

    window = Window()
    last = Whole(1, LARGEST_LAST)
    include = Include(load_default=())

    @pre_load
    def no_series(self, data: dict[str, str], **kwargs: Any) -> dict[str, str]:
        """Where to name a series, for those who look for it here."""
        if "series" in data and "series" not in self.fields:
            path = f"/statistics/{quote(data['series'][:LONGEST_NAME])}"
            raise ValidationError(f"One series has its own path: {path}.", "series")
        return data


class SeriesQuery(Query):
    """A page of `GET /series`."""

    prefix = Prefix(load_default="")
    limit = Whole(1, 1000, load_default=100)
    after = SeriesName(load_default=None)


class EventsQuery(Query):
    """How many events `GET /series/<series>/events` shows."""

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


def _garbled(query: bytes) -> Iterator[str]:
    """The names of parameters that hold bytes which are not UTF-8."""
    if b"%" not in query and query.isascii():
        return
    for parameter in query.split(b"&"):
        try:
            unquote_to_bytes(parameter).decode()
        except UnicodeDecodeError:
            yield unquote(parameter.partition(b"=")[0])
