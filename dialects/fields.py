"""Request fields that take and refuse what the original services' models do, worded as pydantic words it.

One deliberate difference: pydantic also reads numbers out of strings and booleans; here a number is a JSON number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from math import isfinite
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from api.context import settings
from api.reading.columns import gather
from api.reading.schemas import NAME, SERIES_NAME
from dialects.requests import MISSING, MOST_FAULTS, Fault, fault, value_error
from event_log.batch import Values
from event_log.series import LONGEST_NAME

_MILLISECOND = 1000
_WHOLE_NUMBER = re.compile(r"\s*([+-]?\d+(?:_\d+)*)(?:\.0+)?\s*", re.ASCII)
_MOST_DIGITS = 4300
"""Maximum number of digits that Python converts to an integer."""

TEXT = fault("string_type", "Input should be a valid string")
NUMBER = fault("float_type", "Input should be a valid number")
FINITE = fault("finite_number", "Input should be a finite number")
INTEGER = fault("int_type", "Input should be a valid integer")
NOT_DIGITS = fault("int_parsing", "Input should be a valid integer, unable to parse string as an integer")
LIST = fault("list_type", "Input should be a valid list")


class Model(Schema):
    """A request of one of the original services: fields it does not know are ignored."""

    class Meta:
        unknown = EXCLUDE


class _Field(fields.Field[Any]):
    """Words its errors as faults."""

    json_schema: ClassVar[dict[str, Any]] = {}


class SeriesName(_Field):
    """A name that can be a series: 1 to 128 characters, none of them a control character."""

    json_schema = NAME
    default_error_messages = {
        "required": MISSING,
        "null": TEXT,
        "invalid": TEXT,
        "short": fault("string_too_short", "String should have at least 1 character", min_length=1),
        "long": fault(
            "string_too_long", f"String should have at most {LONGEST_NAME} characters", max_length=LONGEST_NAME
        ),
        "characters": value_error("control characters and lone surrogates are not allowed"),
        "slash": value_error("a slash at the end is not allowed"),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        if not value:
            raise self.make_error("short")
        if len(value) > LONGEST_NAME:
            raise self.make_error("long")
        if not SERIES_NAME.fullmatch(value):
            raise self.make_error("slash" if value.endswith("/") else "characters")
        return value


class Symbol(SeriesName):
    """A series name, missed in the words of the service of batches."""

    default_error_messages = {"short": value_error("Symbol cannot be empty")}


class Number(_Field):
    """A JSON number, finite as a double. Negative zero becomes zero."""

    json_schema = {"type": "number"}
    default_error_messages = {
        "required": MISSING,
        "null": NUMBER,
        "invalid": NUMBER,
        "infinite": FINITE,
        "text": fault("float_parsing", "Input should be a valid number, unable to parse string as a number"),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if type(value) not in (int, float):
            raise self.make_error("text" if isinstance(value, str) and not _is_float(value) else "invalid")
        try:
            number = float(value)
        except OverflowError:
            raise self.make_error("invalid") from None
        if not isfinite(number):
            raise self.make_error("infinite")
        return number + 0.0


class Milliseconds(_Field):
    """A moment in milliseconds since the epoch; loads as microseconds."""

    json_schema = {"type": "integer", "description": "Milliseconds since the epoch."}
    default_error_messages = {
        "required": MISSING,
        "null": INTEGER,
        "invalid": INTEGER,
        "infinite": FINITE,
        "fraction": fault("int_from_float", "Input should be a valid integer, got a number with a fractional part"),
        "text": NOT_DIGITS,
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if type(value) is int:
            return value * _MILLISECOND
        if type(value) is not float:
            is_prose = isinstance(value, str) and not _WHOLE_NUMBER.fullmatch(value)
            raise self.make_error("text" if is_prose else "invalid")
        if not isfinite(value):
            raise self.make_error("infinite")
        if not value.is_integer():
            raise self.make_error("fraction")
        return int(value) * _MILLISECOND


class WholeNumber(_Field):
    """An integer in a query or a path, which comes as text."""

    json_schema = {"type": "integer"}
    default_error_messages = {
        "required": MISSING,
        "invalid": NOT_DIGITS,
        "size": fault("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size"),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        digits = _WHOLE_NUMBER.fullmatch(value)
        if digits is None:
            raise self.make_error("invalid")
        if len(digits[1]) > _MOST_DIGITS:
            raise self.make_error("size")
        return int(digits[1])


class Limit(WholeNumber):
    """Maximum number of items in the answer, from 1 to 1,000; 1,000 when not said."""

    json_schema = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000}
    default_error_messages = {
        "low": fault("greater_than_equal", "Input should be greater than or equal to 1", ge=1),
        "high": fault("less_than_equal", "Input should be less than or equal to 1000", le=1000),
    }

    def __init__(self) -> None:
        super().__init__(load_default=1000)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        limit = super()._deserialize(value, attr, data)
        if limit < 1:
            raise self.make_error("low")
        if limit > 1000:
            raise self.make_error("high")
        return limit


class Numbers(_Field):
    """1 to MAX_BATCH JSON numbers, all finite; loads as a column, with no look at each one in Python."""

    json_schema = {"type": "array", "items": Number.json_schema}
    is_batch = True
    default_error_messages = {
        "required": MISSING,
        "null": LIST,
        "invalid": LIST,
        "empty": value_error("Values cannot be empty"),
    }
    _item = Number()

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Values:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        if not value:
            raise self.make_error("empty")
        most = settings().max_batch
        if len(value) > most:
            raise ValidationError([value_error(f"Batch size cannot exceed {most} values")])
        columns = gather(value)
        if columns is None:
            raise ValidationError(list(islice(self._faults(value), MOST_FAULTS)))
        return columns.values

    def _faults(self, items: list[Any]) -> Iterator[Fault]:
        for index, item in enumerate(items):
            try:
                self._item.deserialize(item)
            except ValidationError as error:
                yield {**error.messages_dict, "at": index}


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
