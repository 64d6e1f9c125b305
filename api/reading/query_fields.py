"""Fields of query strings: the one definition of a valid parameter, for validation and for the documentation."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any, ClassVar

from marshmallow import ValidationError

from api.context import service
from api.reading.epoch import number_in
from api.reading.schemas import RequestField, SeriesName, Timestamp, series_name, text_of_name
from api.statistics import (
    BASIC,
    INCLUDABLE,
    KNOWN,
    MEDIAN,
    MOST_PERCENTILES,
    NAME_SCHEMA,
    PERCENTILE,
    is_includable,
    is_percentile,
    no_such_statistic,
)
from times import UNITS, format_duration, parse_duration

LARGEST_LAST = 10**8
MOST_PATTERNS = 20
"""Maximum number of patterns of series in one question."""
MOST_BOUNDS = 1000
"""Maximum number of bounds of one histogram, and of its bins."""
_NUMBER = "[0-9]+([.][0-9]+)?"
_UNQUOTED_PLUS = re.compile(r"(.{8,10}[Tt ][0-9:.,]+) ([0-9]{2}(?::?[0-9]{2})?)")
"""A date, a time and an offset whose `+` was not percent-encoded: in a query it says a space."""
_WHOLE = re.compile(r"[0-9]{1,12}")
_SORTABLE = ("name", *BASIC, *INCLUDABLE, MEDIAN)
"""Names that series are sorted by, beside percentiles."""


class Duration(RequestField):
    """`90s`, `1h30m` or plain seconds -> microseconds."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "description": "A duration: `90s`, `5m`, `1h30m`, `500ms`, or plain seconds.",
        "pattern": f"^({_NUMBER}|{''.join(f'({_NUMBER}{unit})?' for unit in UNITS)})$",
        "minLength": 1,
        "maxLength": 40,
        "examples": ["60s", "5m", "500ms", "2.5"],
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            return parse_duration(value)
        except ValueError as fault:
            raise ValidationError(str(fault)) from fault


class Window(Duration):
    """A duration no longer than the retention."""

    json_schema: ClassVar[dict[str, Any]] = {
        **Duration.json_schema,
        "description": "A window: `90s`, `5m`, `1h30m`, `500ms`, or plain seconds; no longer than the retention.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        limit = service().rules.retention
        try:
            window = parse_duration(value)
        except ValueError as fault:
            raise ValidationError(f"{fault} A {attr} is above zero and at most {format_duration(limit)}.") from fault
        if window > limit:
            longest = f"the longest {attr} is {format_duration(limit)}"
            raise ValidationError(f"{format_duration(window)} is longer than the retention; {longest}.")
        return window


class Moment(Timestamp):
    """A timestamp of a query, where numbers are written as JSON writes them."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if unquoted := _UNQUOTED_PLUS.fullmatch(value):
            value = "+".join(unquoted.groups())
        return super()._deserialize(number_in(value), attr, data, **kwargs)


class Whole(RequestField):
    """A whole number of a query, in plain digits."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "integer"}

    def __init__(self, least: int, most: int, **options: Any) -> None:
        self.least = least
        self.most = most
        super().__init__(metadata={"minimum": least, "maximum": most}, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not _WHOLE.fullmatch(value) or not self.least <= int(value) <= self.most:
            raise ValidationError(f"Must be a whole number from {self.least} to {self.most}, not {value[:40]!r}.")
        return int(value)


class Bounds(RequestField):
    """Rising numbers, separated by commas -> doubles."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "array",
        "items": {"type": "number"},
        "minItems": 1,
        "maxItems": MOST_BOUNDS,
        "description": "Where the counts are divided: finite numbers, rising, separated by commas.",
        "examples": [[1, 2, 5]],
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[float]:
        cells = value.split(",")
        if len(cells) > MOST_BOUNDS:
            raise ValidationError(f"Has {len(cells)} numbers; {MOST_BOUNDS} are the most.")
        bounds = [_finite(cell) for cell in cells]
        for one, following in pairwise(bounds):
            if following <= one:
                raise ValidationError(f"Must rise, and {following!r} is not above {one!r}, which comes before it.")
        return bounds


class Include(RequestField):
    """Names of further statistics, separated by commas, in the order of the answer."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "array",
        "items": NAME_SCHEMA,
        "minItems": 1,
        "description": "Further statistics to answer with, separated by commas.",
        "examples": [["sum", "stddev"]],
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        # The basic ones may be named too: they are there anyway.
        names = tuple(name for name in dict.fromkeys(value.split(",")) if name not in BASIC)
        if unknown := [name for name in names if not is_includable(name)]:
            raise ValidationError(no_such_statistic(unknown[0], KNOWN))
        if (count := sum(map(is_percentile, names))) > MOST_PERCENTILES:
            raise ValidationError(f"Names {count} percentiles; {MOST_PERCENTILES} are the most.")
        return names


class Interpolation(RequestField):
    """`nearest` or `linear` -> True if percentiles are interpolated linearly between two values."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "enum": ["nearest", "linear"],
        "description": "Percentiles by nearest rank, always the value of an event; or interpolated between two.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("nearest", "linear"):
            raise ValidationError(f"Must be nearest or linear, not {value[:40]!r}.")
        return bool(value == "linear")


class Sort(RequestField):
    """`name` or a statistic, `-` before it for descending -> (that, whether descending)."""

    json_schema: ClassVar[dict[str, Any]] = {
        "anyOf": [
            {"type": "string", "enum": [sign + name for name in _SORTABLE for sign in ("", "-")]},
            {"type": "string", "pattern": PERCENTILE.replace("^", "^-?")},
        ],
        "description": "`name`, or the statistic to sort by, `-` before it for descending; of `first` and `last` the "
        "value. Ties by name; series without one come last.",
        "examples": ["-count", "p99"],
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, bool]:
        name = value.removeprefix("-")
        if name != "name" and name not in BASIC and not is_includable(name):
            raise ValidationError(no_such_statistic(name, f"name, {', '.join(BASIC)}, {KNOWN}"))
        return name, value != name


class SeriesPatterns(RequestField):
    """Names and shell patterns of series, each a parameter of its own."""

    is_repeated = True
    json_schema: ClassVar[dict[str, Any]] = {
        "type": "array",
        "items": {key: SeriesName.json_schema[key] for key in ("type", "minLength", "maxLength", "pattern")},
        "minItems": 1,
        "maxItems": MOST_PATTERNS,
        "description": "Several series as one: all that match any of these shell patterns. A name without `*?[` is "
        "itself; such a character in a name is written `[*]`, `[?]`, `[[]`.",
        "examples": [["web/*", "AAPL"]],
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        if len(value) > MOST_PATTERNS:
            raise ValidationError(f"Given {len(value)} times; {MOST_PATTERNS} are the most.")
        return tuple(map(series_name, value))


class Prefix(RequestField):
    """The beginning of series names; may be empty, or end with a slash."""

    json_schema: ClassVar[dict[str, Any]] = {
        **SeriesName.json_schema,
        "minLength": 0,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
        "description": "What the names of the series begin with.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return text_of_name(value) if value else ""


def _finite(cell: str) -> float:
    number = number_in(cell)
    try:
        found = float(number) if isinstance(number, int | float) else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ValidationError(f"Must be finite numbers as JSON writes them, separated by commas, not {cell[:40]!r}.")
    return found + 0.0  # negative zero becomes zero
