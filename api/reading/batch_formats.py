"""One event, and the five formats in which many come.

A valid request takes the fast way (`gather`). Only when that finds a fault do the schemas go
through the items, to say which and why. Property tests hold both ways equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from marshmallow import ValidationError

from api.context import settings
from api.problems import invalid, invalid_body
from api.reading.bodies import JSON, explain_loosely, load_json
from api.reading.columns import ITEM, EventColumns, NewEvent, check_size, gather, plain_event, read_each, read_event
from api.reading.csv_format import CSV, from_csv
from api.reading.repeated_keys import refuse_repeated_keys, surely_without_repeated_keys
from api.reading.schemas import ColumnsSchema, EventSchema

NDJSON = "application/x-ndjson"
NDJSON_NAMES = (NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines")
_COLUMNS = ColumnsSchema()
_LONGEST_PLAIN_EVENT = 4096
"""In bytes: a longer body is no plain event, and is not parsed twice to find that."""
_SINGULAR = {"values": "value", "timestamps": "timestamp"}
_EVENT_FIELDS = EventSchema().fields.keys()
_NO_FORMAT = (
    "The body must be an array of events, or an object of columns: "
    '{"values": [...]} with, if wanted, "timestamps" and "series".'
)


def parse_event(body: bytes) -> NewEvent:
    """The one event in a JSON body; 400 says why it is none."""
    event = plain_event_in(body)
    if event is None:
        data = load_json(body, read_event)
        event = read_event(data)
        refuse_repeated_keys(body, data, event[-1:])
    return event


def plain_event_in(body: bytes) -> NewEvent | None:
    """The event in a JSON body that plainly is one; None says nothing about it."""
    if len(body) > _LONGEST_PLAIN_EVENT:
        return None
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    event = plain_event(data)
    return event if event is not None and surely_without_repeated_keys(body, data, event[-1:]) else None


def plain_events_in(body: bytes, most: int) -> EventColumns | None:
    """The events in a JSON body that plainly holds 1 to `most` of them; None says nothing about it."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    columns = _plain_columns(data, most)
    return columns if columns is not None and surely_without_repeated_keys(body, data, columns.stamps) else None


def _plain_columns(data: Any, most: int) -> EventColumns | None:
    if type(data) is list:
        return _gather_items(data) if 1 <= len(data) <= most else None
    if type(data) is dict and type(values := data.get("values")) is list and 1 <= len(values) <= most:
        return _gather_columns(data, values)
    return None


def parse_events(kind: str, body: bytes) -> EventColumns:
    """The events in a body of a media type in FORMATS; 400 when any is not valid, 413 when they are too many."""
    return FORMATS[kind](body)


def _from_json(body: bytes) -> EventColumns:
    data = load_json(body, _from_data)
    columns = _from_data(data)
    refuse_repeated_keys(body, data, columns.stamps)
    return columns


def _from_data(data: Any) -> EventColumns:
    if type(data) is list:
        return _from_items(data)
    if type(data) is dict:
        return _from_columns(data)
    raise invalid_body(_NO_FORMAT)


def _from_items(items: list[Any]) -> EventColumns:
    check_size(len(items))
    return _gather_items(items) or read_each(items, plain_event, read_event)


def _gather_items(items: list[Any]) -> EventColumns | None:
    """`gather` for events that all have the same fields."""
    if set(map(type, items)) != {dict} or len(set(map(len, items))) != 1:
        return None
    first = items[0]
    if "value" not in first or not first.keys() <= _EVENT_FIELDS:
        return None
    try:
        return gather(
            [item["value"] for item in items],
            [item["timestamp"] for item in items] if "timestamp" in first else None,
            [item["series"] for item in items] if "series" in first else None,
        )
    except KeyError:
        return None


def _from_columns(data: dict[str, Any]) -> EventColumns:
    values = data.get("values")
    if type(values) is list:
        check_size(len(values), "values")
        columns = _gather_columns(data, values)
        if columns is not None:
            return columns
    stamps = data.get("timestamps")
    if type(stamps) is list and len(stamps) > settings().max_batch:
        check_size(len(stamps), "timestamps")
    try:
        loaded = _COLUMNS.load(data)
    except ValidationError as fault:
        raise invalid(_by_index(fault.messages_dict)) from fault
    times = np.array(loaded["timestamps"], np.int64) if "timestamps" in loaded else None
    values_column = np.array(loaded["values"], np.float64)
    return EventColumns([loaded["series"]], None, times, values_column, data.get("timestamps"))


def _gather_columns(data: dict[str, Any], values: list[Any]) -> EventColumns | None:
    if not data.keys() <= _COLUMNS.fields.keys():
        return None
    stamps = data.get("timestamps", ())
    series = [data["series"]] if "series" in data else None
    if "timestamps" not in data:
        return gather(values, None, series)
    return gather(values, stamps, series) if type(stamps) is list and len(stamps) == len(values) else None


def _by_index(errors: dict[str, Any]) -> dict[str, Any]:
    """Put the errors of a column's items under the index of each item, as for other batches."""
    found: dict[str, Any] = {}
    for name, inner in errors.items():
        if isinstance(inner, dict):
            for index, messages in inner.items():
                found.setdefault(str(index), {})[_SINGULAR[name]] = messages
        else:
            found[name] = inner
    return found


def _from_ndjson(body: bytes) -> EventColumns:
    lines = [line for line in body.split(b"\n") if line.strip()]
    check_size(len(lines))
    try:
        items = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError:
        return read_each(lines, _plain_line, _read_line)
    columns = _gather_items(items) or read_each(items, plain_event, read_event)
    refuse_repeated_keys(b"[%b]" % b",".join(lines), items, columns.stamps)
    return columns


def _plain_line(line: bytes) -> NewEvent | None:
    try:
        return plain_event(orjson.loads(line))
    except orjson.JSONDecodeError:
        return None


def _read_line(line: bytes) -> NewEvent:
    try:
        return read_event(orjson.loads(line))
    except orjson.JSONDecodeError as fault:
        explain_loosely(line, read_event)
        # Which line it is, the item's index says.
        raise invalid({ITEM: [f"Not valid JSON: {fault.msg}, at column {fault.colno}."]}) from fault


FORMATS: dict[str, Callable[[bytes], EventColumns]] = {
    JSON: _from_json,
    **dict.fromkeys(NDJSON_NAMES, _from_ndjson),
    CSV: from_csv,
}
