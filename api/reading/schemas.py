"""Schemas of an event and of a series: the one definition, for validation and for the documentation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, validates_schema

from api.openapi.components import TIME_OR_NUMBER
from api.reading.epoch import epoch_time
from event_log.series import LONGEST_NAME
from times import parse_timestamp
from view.portions import giving_way

DEFAULT_SERIES = "default"
_TEXT = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{LONGEST_NAME}}}")
SERIES_NAME = re.compile(rf"{_TEXT.pattern}(?<!/)")
"""Neither control characters (Unicode category Cc) nor halves of surrogate pairs, which UTF-8 cannot write; and no
slash at the end, which in a path may be there or not, and would make two series of one."""
NAME = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
_REQUIRED = "Missing; it is required."
_JSON_TYPES = {str: "a string", bool: "a boolean", type(None): "null", list: "an array", dict: "an object"}


def series_name(name: object) -> str:
    """The name if it is a valid one. Raises ValidationError saying what is wrong."""
    found = text_of_name(name)
    if found.endswith("/"):
        raise ValidationError("Must not end with a slash; leave it out.")
    return found


def text_of_name(name: object) -> str:
    """Return a name whose text is valid, a slash at its end too. Raises ValidationError."""
    if not isinstance(name, str):
        raise ValidationError(f"Must be a string, not {_JSON_TYPES.get(type(name), 'a number')}.")
    if not 1 <= len(name) <= LONGEST_NAME:
        raise ValidationError(f"Must have 1 to {LONGEST_NAME} characters, not {len(name)}.")
    if not _TEXT.fullmatch(name):
        raise ValidationError("Must not contain control characters or lone surrogates.")
    return name


class RequestField(fields.Field[Any]):
    """A field of a native request."""

    json_schema: ClassVar[dict[str, Any]] = {}
    """Schema of the field in the OpenAPI document."""
    is_repeated: ClassVar[bool] = False
    """True if a query may give it several times: then it takes a list."""
    default_error_messages = {"required": _REQUIRED}

    def __init__(self, **options: Any) -> None:
        # Null goes through `_deserialize` too, so that it gets a message that says what belongs there.
        super().__init__(allow_none=True, **options)

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        if value is None:
            return self._deserialize(value, attr, data)
        return super().deserialize(value, attr, data, **kwargs)


class SeriesName(RequestField):
    """The name of a series."""

    json_schema: ClassVar[dict[str, Any]] = {
        **NAME,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u001f\u007f-\u009f/]$",
        "description": "The name of a series: no control characters, no slash at its end.",
        "examples": ["AAPL", "BTC/USD"],
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return series_name(value)


class Timestamp(RequestField):
    """ISO-8601, or a number since the epoch -> microseconds since the epoch."""

    json_schema: ClassVar[dict[str, Any]] = {
        **TIME_OR_NUMBER,
        "description": "ISO-8601 with date and time; no zone means UTC; cut to microseconds. Or a number since the "
        "epoch, by its absolute value: below 10^11 seconds, below 10^14 milliseconds, below 10^17 microseconds, else "
        "nanoseconds; to the nearest microsecond. Not far in the future.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if type(value) in _JSON_TYPES and not isinstance(value, str):
            found = _JSON_TYPES[type(value)]
            raise ValidationError(
                f"Must be an ISO-8601 string such as 2025-06-26T14:30:00Z or a number since the epoch, not {found}; "
                "leave it out to have the event stamped on arrival."
            )
        try:
            return parse_timestamp(value) if isinstance(value, str) else epoch_time(value)
        except ValueError as fault:
            raise ValidationError(str(fault)) from fault


class Value(RequestField):
    """A JSON number, finite as a double. Negative zero becomes zero."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "number",
        "description": "Finite as a 64-bit float.",
        "examples": [12.34],
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if type(value) not in (int, float):
            raise ValidationError(f"Must be a JSON number such as 12.34, not {_JSON_TYPES[type(value)]}.")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValidationError("Must be finite as a 64-bit float: no NaN, no Infinity, nothing beyond 1.8e308.")
        return number + 0.0


class Column(fields.List[Any]):
    """Many values of one kind, 1 to MAX_BATCH."""

    is_batch = True

    def __init__(self, inner: RequestField, **options: Any) -> None:
        super().__init__(
            inner,
            error_messages={
                "required": _REQUIRED,
                "null": "Must be an array, not null.",
                "invalid": "Must be an array.",
            },
            **options,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        return super()._deserialize(giving_way(value) if type(value) is list else value, attr, data, **kwargs)


class Strict(Schema):
    """A schema that refuses what it does not know, and names what it does."""

    class Meta:
        unknown = RAISE

    noun: ClassVar[str] = "field"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.error_messages["unknown"] = f"Unknown {self.noun}; known are {', '.join(self.fields) or 'none'}."
        self.error_messages["type"] = "Must be a JSON object."

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """List what is not known last and as it came; marshmallow has it in the order of a set."""
        if isinstance(data, Mapping) and isinstance(error.messages, dict):
            places = {name: place for place, name in enumerate(data) if name not in self.fields}
            found = error.messages.items()
            error.messages = dict(sorted(found, key=lambda item: places.get(item[0], -1)))


class BodySchema(Strict):
    """A schema of a body, which may hold very many fields; what marshmallow does for one unknown field takes 4 us."""

    many_fields: ClassVar[int] = 100
    """Number of fields up to which marshmallow is shown all of them."""

    def load(self, data: Any, **options: Any) -> Any:
        """Load `data`; of many fields marshmallow is shown those that it knows and the first that it does not."""
        if not isinstance(data, Mapping) or len(data) <= self.many_fields:
            return super().load(data, **options)
        unknown = [name for name in data if name not in self.fields]
        try:
            return super().load({name: data[name] for name in [*self.fields, unknown[0]] if name in data}, **options)
        except ValidationError as fault:
            if isinstance(fault.messages, dict) and unknown[0] in fault.messages:
                fault.messages |= dict.fromkeys(unknown, fault.messages[unknown[0]])
            raise


class EventSchema(BodySchema):
    """One event; without `timestamp` it is stamped on arrival."""

    timestamp = Timestamp()
    value = Value(required=True)
    series = SeriesName(load_default=DEFAULT_SERIES)


class ColumnsSchema(BodySchema):
    """Events of one series as columns; without `timestamps` all are stamped on arrival."""

    series = SeriesName(load_default=DEFAULT_SERIES)
    timestamps = Column(Timestamp())
    values = Column(Value(), required=True)

    @validates_schema(skip_on_field_errors=True)
    def same_length(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        """Each value has its timestamp."""
        stamps = data.get("timestamps")
        if stamps is not None and len(stamps) != len(data["values"]):
            raise ValidationError(
                f"Must be as many as values: {len(stamps)} timestamps, {len(data['values'])} values.", "timestamps"
            )
