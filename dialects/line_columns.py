"""Lines of InfluxDB's protocol that are plainly valid, parsed in columns.

Plain are lines without backslash, quote or comment whose numbers are as JSON writes them (integers with an `i`,
booleans as `true` and `false`), all with a time or all without.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from api.reading.columns import pack
from dialects.line_names import series_name
from event_log.batch import ON_ARRIVAL, Ids, Times, Values
from times import EARLIEST, LATEST

Precision = tuple[int, int]
"""Factor and divisor that turn a time of a line into microseconds."""
Known = dict[tuple[str, str], str]
"""Series by head (measurement and tags) and field, each as it is written."""
MICROSECONDS = (1, 1)
_SPECIAL = ("\\", '"', "\r", "#", "\t")
_NUMBERS = {int, float}
_LARGEST_INTEGER = 2**63 - 1
_SPACE, _LINE_END, _NINE = b" \n9"
_NO_MARKS = bytes(set(range(256)) - set(b"=, "))


class Chunk(NamedTuple):
    """The values of some lines in columns."""

    names: list[str]
    which: Ids
    times: Times
    """A time of ON_ARRIVAL stands for a value without one."""
    values: Values
    lines: Ids
    """The number of each value's line."""
    line_count: int
    left_out: int
    """Number of string fields, which are no values."""

    @classmethod
    def of(
        cls,
        names: list[str],
        which: Sequence[int],
        rows: Sequence[tuple[int | None, int]],
        values: Sequence[float],
        line_count: int,
        left_out: int,
    ) -> Self:
        """Return values that were read one by one; of each the time and the number of its line."""
        times = np.array([ON_ARRIVAL if time is None else time for time, _ in rows], np.int64)
        lines = np.array([line for _, line in rows], np.uint32)
        return cls(names, np.array(which, np.uint32), times, np.array(values, np.float64), lines, line_count, left_out)


def parse_columns(text: str, precision: Precision, first_line: int, known: Known) -> Chunk | None:
    """Return the values of plain lines, the first of which has this number; None where a line is not plain."""
    if not text or any(char in text for char in _SPECIAL):
        return None
    lines = text.count("\n") + 1
    words = text.replace("\n", " ").split(" ")
    width = len(words) // lines
    if width not in (2, 3) or not _are_rows(text, width):
        return None
    heads, fields = words[::width], words[1::width]
    cells, alike = _cells(fields)
    values = None if cells is None else _values(cells[1::2])
    times = _times(words[2::3], precision) if width == 3 else np.full(lines, ON_ARRIVAL, np.int64)
    if cells is None or values is None or times is None:
        return None
    try:
        if alike:
            rows = np.repeat(np.arange(lines), len(alike))
            names, which = _numbered_alike(heads, alike, known)
        else:
            rows = np.repeat(np.arange(lines), [field.count("=") for field in fields])
            names, which = _numbered(heads, cells[::2], rows, known)
    except ValueError:
        return None
    return Chunk(names, which, times[rows], values, (rows + first_line).astype(np.uint32), lines, 0)


def _are_rows(text: str, width: int) -> bool:
    """Return True where every line has `width` words, none of them empty."""
    chars = np.frombuffer(text.encode() + b"\n", np.uint8)
    ends = np.flatnonzero(chars <= _SPACE)
    if len(ends) % width or np.diff(ends, prepend=-1).min() < 2:
        return False
    found = chars[ends].reshape(-1, width)
    return bool((found[:, -1] == _LINE_END).all() and (found[:, :-1] == _SPACE).all())


def _cells(fields: list[str]) -> tuple[list[str] | None, list[str]]:
    """Return names and values of all fields in turn, None where `=` and `,` do not take turns; and the names of a
    line's fields where all lines have the same ones in the same order, as most bodies do, else none."""
    joined = " ".join(fields)
    marks = joined.encode().translate(None, _NO_MARKS)
    width = fields[0].count("=")
    are_as_many = marks == ((b"=," * (width - 1) + b"= ") * len(fields))[:-1]
    if not are_as_many and marks.replace(b" ", b",") != (b"=," * (len(marks) // 2 + 1))[:-1]:
        return None, []
    cells = joined.replace(" ", ",").replace("=", ",").split(",")
    names = cells[: 2 * width : 2] if are_as_many else []
    is_same = all(cells[2 * place :: 2 * width].count(name) == len(fields) for place, name in enumerate(names))
    return cells, names if is_same and len(set(names)) == len(names) else []


def _values(cells: list[str]) -> Values | None:
    """Return numbers as JSON writes them, integers with an `i`, true and false; nothing with a comma comes here."""
    joined = ",".join(cells) + ","
    has_integers = "i," in joined
    values = _json(joined.replace("i,", ",") if has_integers else joined, len(cells))
    if values is None or not set(map(type, values)) <= _NUMBERS | {bool}:
        return None
    if has_integers and not all(
        type(value) is int and value <= _LARGEST_INTEGER
        for cell, value in zip(cells, values, strict=True)
        if cell[-1:] == "i"
    ):
        return None
    return pack(values)


def _times(stamps: list[str], precision: Precision) -> Times | None:
    joined = ",".join(stamps)
    if np.frombuffer(joined.encode(), np.uint8).max() > _NINE:  # true would be a 1
        return None
    try:
        numbers = np.frombuffer(struct.pack(f"{len(stamps)}q", *_json(joined + ",", len(stamps)) or ()), np.int64)
    except struct.error:
        return None
    factor, divisor = precision
    if not EARLIEST * divisor // factor <= numbers.min() <= numbers.max() <= LATEST * divisor // factor:
        return None
    return numbers * factor // divisor


def _json(joined: str, count: int) -> list[int | float] | None:
    """Return `count` numbers, each before a comma; None where there are fewer or more."""
    try:
        values: list[int | float] = orjson.loads(f"[{joined[:-1]}]")
    except orjson.JSONDecodeError:
        return None
    return values if len(values) == count else None


def _numbered_alike(heads: list[str], fields: list[str], known: Known) -> tuple[list[str], Ids]:
    """Return the series and the index of each value's own, where all lines have these fields. Raises ValueError where a
    name is not valid."""
    head_ids = defaultdict[str, int](count().__next__)
    of_heads = np.fromiter(map(head_ids.__getitem__, heads), np.int64, len(heads))
    names = dict[str, int]()
    table = [names.setdefault(_series(head, field, known), len(names)) for head in head_ids for field in fields]
    which = (of_heads[:, np.newaxis] * len(fields) + np.arange(len(fields))).ravel()
    return list(names), np.array(table, np.uint32)[which]


def _numbered(heads: list[str], fields: list[str], rows: NDArray[np.int64], known: Known) -> tuple[list[str], Ids]:
    """Return the series and the index of each value's own. Raises ValueError where a name is not valid, or a field
    comes again in its line."""
    head_ids, field_ids = defaultdict[str, int](count().__next__), defaultdict[str, int](count().__next__)
    of_heads = np.fromiter(map(head_ids.__getitem__, heads), np.int64, len(heads))[rows]
    of_fields = np.fromiter(map(field_ids.__getitem__, fields), np.int64, len(fields))
    if len(rows) > len(heads):
        places = np.sort(rows * len(field_ids) + of_fields)
        if (places[1:] == places[:-1]).any():
            raise ValueError("a field is repeated")
    pairs, which = np.unique(of_heads * len(field_ids) + of_fields, return_inverse=True)
    heads, fields, names, table = list(head_ids), list(field_ids), dict[str, int](), []
    for pair in pairs.tolist():
        head, field = divmod(pair, len(fields))
        series = _series(heads[head], fields[field], known)
        table.append(names.setdefault(series, len(names)))
    return list(names), np.array(table, np.uint32)[which]


def _series(head: str, field: str, known: Known) -> str:
    found = known.get((head, field))
    if found is None:
        measurement, *tags = head.split(",")
        pairs = [tag.split("=") for tag in tags]
        if not measurement or any(len(pair) != 2 or not all(pair) for pair in pairs):
            raise ValueError(head)
        found = known[head, field] = series_name(measurement, [(name, value) for name, value in pairs], field)
    return found
