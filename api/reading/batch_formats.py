"""One event, and the five formats in which many come.

A valid request takes the fast way (`gather`). Only when that finds a fault do the schemas go
through the items, to say which and why. Property tests hold both ways equal.
"""

from __future__ import annotations

import csv
import io
import json
from codecs import BOM_UTF8
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any, cast

import numpy as np
import orjson
from marshmallow import ValidationError

from api.context import settings
from api.problems import BODY, Problem, invalid, invalid_body
from api.reading.bodies import JSON, explain_loosely, load_json
from api.reading.columns import ITEM, EventColumns, NewEvent, gather, plain_event, read_each, read_event
from api.reading.repeated_keys import refuse_repeated_keys, surely_without_repeated_keys
from api.reading.schemas import DEFAULT_SERIES, ColumnsSchema
from view.portions import giving_way

NDJSON = "application/x-ndjson"
CSV = "text/csv"
_COLUMNS = ColumnsSchema()
_SINGULAR = {"values": "value", "timestamps": "timestamp"}
_HEADERS = (["timestamp", "value"], ["series", "timestamp", "value"])
_LONGEST_PLAIN_CELL = 1000
"""Far below where the csv module refuses a cell, and far above what any valid one needs."""
_LONGEST_ECHO = 40
"""Characters of a wrong cell that an answer repeats."""
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
        refuse_repeated_keys(body, data)
    return event


def plain_event_in(body: bytes) -> NewEvent | None:
    """The event in a JSON body that plainly is one; None says nothing about it."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    event = plain_event(data)
    return event if event is not None and surely_without_repeated_keys(body, data) else None


def plain_events_in(body: bytes, most: int) -> EventColumns | None:
    """The events in a JSON body that plainly holds 1 to `most` of them; None says nothing about it."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    columns = _plain_columns(data, most)
    return columns if columns is not None and surely_without_repeated_keys(body, data) else None


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
    refuse_repeated_keys(body, data)
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
    try:
        stamps = [item["timestamp"] for item in items]
        values = [item["value"] for item in items]
        if len(items[0]) == 2:
            return gather(values, stamps)
        return gather(values, stamps, [item["series"] for item in items]) if len(items[0]) == 3 else None
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
    return EventColumns([loaded["series"]], None, times, np.array(loaded["values"], np.float64))


def _gather_columns(data: dict[str, Any], values: list[Any]) -> EventColumns | None:
    if not data.keys() <= _COLUMNS.fields.keys():
        return None
    stamps = data.get("timestamps", ())
    series = [data["series"]] if "series" in data else None
    if "timestamps" not in data:
        return gather(values, None, series)
    return gather(values, stamps, series) if type(stamps) is list and len(stamps) == len(values) else None


def _by_index(errors: dict[str, Any]) -> dict[str, Any]:
    """What is wrong with items of a column goes under the item's index, as for other batches."""
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
    refuse_repeated_keys(b"[%b]" % b",".join(lines), items)
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


def _from_csv(body: bytes) -> EventColumns:
    return _from_plain_csv(body) or _from_rows(body)


def _from_plain_csv(body: bytes) -> EventColumns | None:
    """The events of a valid CSV without quotes, cut into cells as a whole: measured, 4.9 ms
    for 10,000 lines where the csv module and its rows take 6.9."""
    first, _, rest = body.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n").partition(b"\n")
    header = first.decode(errors="replace").split(",")
    lines = rest if rest.endswith(b"\n") else rest + b"\n"
    if sorted(header) not in _HEADERS or b'"' in rest or b"\r" in rest or not _is_table(lines, len(header)):
        return None
    try:
        cells = lines.decode().replace("\n", ",").split(",")
    except UnicodeDecodeError:
        return None
    count = len(cells) // len(header)
    return _gather_cells(header, cells[:-1]) if count <= settings().max_batch else None


def _is_table(lines: bytes, width: int) -> bool:
    """Whether every line is of so many cells, and none of them long."""
    text = np.frombuffer(lines, np.uint8)
    ends = np.flatnonzero((text == ord(",")) | (text == ord("\n")))
    if len(ends) % width or np.diff(ends, prepend=0).max() > _LONGEST_PLAIN_CELL:
        return False
    separators = text[ends].reshape(-1, width)
    return bool((separators[:, :-1] == ord(",")).all() and (separators[:, -1] == ord("\n")).all())


def _from_rows(body: bytes) -> EventColumns:
    try:
        text = io.StringIO(body.decode("utf-8-sig"), newline="")
        rows = [row for row in giving_way(csv.reader(text, strict=True)) if row]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise invalid_body(f"Not valid CSV in UTF-8: {fault}.") from fault
    header = rows.pop(0) if rows else []
    if sorted(header) not in _HEADERS:
        raise invalid_body("The first line of the CSV must be its header: timestamp,value or timestamp,value,series.")
    check_size(len(rows))
    return _gather_rows(header, rows) or read_each(rows, partial(_plain_row, header), partial(_read_row, header))


def _gather_rows(header: list[str], rows: list[list[str]]) -> EventColumns | None:
    return _gather_cells(header, list(chain.from_iterable(rows))) if set(map(len, rows)) == {len(header)} else None


def _gather_cells(header: list[str], cells: list[str]) -> EventColumns | None:
    """`gather` for the cells of a table, row after row."""
    columns = {name: cells[index :: len(header)] for index, name in enumerate(header)}
    try:
        values = orjson.loads(f"[{','.join(columns['value'])}]")
    except orjson.JSONDecodeError:
        return None
    series = columns.get("series")
    if series is not None and "" in series:
        series = [name or DEFAULT_SERIES for name in series]
    # A cell that is not one number makes the numbers more or fewer than the rows, or not all numbers.
    return gather(values, columns["timestamp"], series) if len(values) == len(columns["value"]) else None


def _plain_row(header: list[str], row: list[str]) -> NewEvent | None:
    return plain_event(_item_of(header, row)) if len(row) == len(header) else None


def _read_row(header: list[str], row: list[str]) -> NewEvent:
    if len(row) != len(header):
        raise invalid({ITEM: [f"Must have {len(header)} cells, not {len(row)}."]})
    item = _item_of(header, row)
    try:
        return read_event(item)
    except Problem as problem:
        if item["value"] is None:  # for the schema null, which nobody wrote
            cell = row[header.index("value")]
            errors = {**(problem.errors or {}), "value": [f"Not a number such as 12.34: {cell[:_LONGEST_ECHO]!r}."]}
            raise invalid(errors) from problem
        raise


def _item_of(header: list[str], row: list[str]) -> dict[str, Any]:
    item: dict[str, Any] = dict(zip(header, row, strict=True))
    item["series"] = item.get("series") or DEFAULT_SERIES
    item["value"] = _number(item["value"])
    return item


def _number(cell: str) -> float | None:
    """The number that a cell is, finite or not."""
    with suppress(ValueError, RecursionError):
        number = json.loads(cell)
        if type(number) in (int, float):
            return cast(float, number)
    return None


def check_size(count: int, field: str = BODY) -> None:
    """400 for an empty batch, which names the field that holds it; 413 for one with more than MAX_BATCH events."""
    limit = settings().max_batch
    if count == 0:
        raise invalid({field: ["The batch is empty; send at least one event."]})
    if count > limit:
        raise Problem(413, f"The batch has {count} events; the most in one request is {limit} (MAX_BATCH).")


FORMATS: dict[str, Callable[[bytes], EventColumns]] = {JSON: _from_json, NDJSON: _from_ndjson, CSV: _from_csv}
