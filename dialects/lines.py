"""InfluxDB's line protocol, parsed: `measurement,tag=value field=1.5,other=2i 1750948200000000000`.

Lines that are plainly valid (no backslash, no quote, numbers as JSON writes them, all with a time or all without) are
parsed in columns; whatever else goes line by line, which also says what is wrong. Tests hold both ways equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import orjson

from api.reading.columns import pack
from api.reading.schemas import SERIES_NAME
from event_log.batch import Ids, Times, Values
from view.portions import giving_way

PRECISIONS = {"ns": (1, 1000), "n": (1, 1000), "us": (1, 1), "u": (1, 1), "µ": (1, 1), "ms": (1000, 1), "s": (10**6, 1)}
"""What a time is multiplied with and divided by to be microseconds."""
VALUES_A_LINE = 10
"""Values that a request may have for each line that it may have."""
_EARLIEST, _LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Microseconds: the years 1 to 9999."""
_TRUE = {"t", "T", "true", "True", "TRUE"}
_FALSE = {"f", "F", "false", "False", "FALSE"}
_NAME = r"(?:[^,= \\\n\r]|\\[,= ]|\\(?![,= ]))+"
_MEASUREMENT = re.compile(r"(?:[^, \\\n\r]|\\[, ]|\\(?![, ]))+")
_TAG = re.compile(rf",({_NAME})=({_NAME})")
_FIELD = re.compile(rf'({_NAME})=("(?:[^"\\]|\\.)*"|[^, "\n\r]+)', re.DOTALL)
_SPACES = re.compile(r" +")
_BLANK = re.compile(r"(?:[ \t\r]*(?:#[^\n]*)?\n)+")
_TIME = re.compile(r" +(-?[0-9]{1,19})(?=[ \r\n])")
_END = re.compile(r" *\r?\n")
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}i|[0-9]{1,400}u")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NUMBERS = {int, float}
_LONGEST_TIME = 20
"""Characters of 64 bits."""
_LONGEST_ECHO = 40


class BadLine(Exception):
    """A line is not line protocol; the message names it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")


class TooMany(Exception):
    """More lines or values than a request may have."""


@dataclass(slots=True)
class Points:
    """The values of a body in columns. A time of None: stamped on arrival, all or those in `unstamped`."""

    names: list[str]
    which: Ids
    times: Times | None
    values: Values
    lines: Ids | None = None
    """The number of each value's line; None: the values are one a line."""
    unstamped: Times | None = None
    """Indexes of values without a time among some that have one."""
    left_out: int = 0
    """String fields, which are no values."""


def parse(text: str, precision: tuple[int, int], most: int) -> Points:
    """Return the values of a body of at most `most` lines. Raises BadLine or TooMany."""
    return _parse_plain(text, precision, most) or _parse_each(text, precision, most)


def _parse_plain(text: str, precision: tuple[int, int], most: int) -> Points | None:
    """Return the values of lines that have one plain number each; None where any is not plain."""
    if "\\" in text or '"' in text or "\r" in text or "#" in text or "\t" in text or not text:
        return None
    lines = text.removesuffix("\n")
    count = lines.count("\n") + 1
    words = lines.replace("\n", " ").split(" ")
    width = len(words) // count
    if count > most or width not in (2, 3) or not _are_rows(lines, width):
        return None
    keys, fields = words[::width], words[1::width]
    joined = "=".join(fields)
    cells = joined.split("=")
    if len(cells) != 2 * count or "," in joined:
        return None
    values, times = _plain_values(cells[1::2]), None
    if width == 3:
        times = _plain_times(words[2::3], precision)
    if values is None or (width == 3 and times is None):
        return None
    try:
        names, which = _numbered(list(map("/".join, zip(keys, cells[::2], strict=True))))
    except ValueError:
        return None
    return Points(names, which, times, values)


def _are_rows(lines: str, width: int) -> bool:
    """Return True where every line has so many words, none of them empty."""
    text = np.frombuffer(lines.encode() + b"\n", np.uint8)
    ends = np.flatnonzero((text == 32) | (text == 10))
    if len(ends) % width or np.diff(ends, prepend=-1).min() < 2:
        return False
    found = text[ends].reshape(-1, width)
    return bool((found[:, -1] == 10).all() and (found[:, :-1] == 32).all())


def _plain_values(cells: list[str]) -> Values | None:
    """Return numbers as JSON writes them, or all of them integers; nothing that holds a comma comes here."""
    joined, kinds = ",".join(cells), _NUMBERS
    if joined.endswith("i") and joined.count("i,") == len(cells) - 1 == joined.count("i") - 1:
        joined, kinds = joined.replace("i", ""), {int}
    values = _json(joined, len(cells))
    return pack(values) if values is not None and kinds >= set(map(type, values)) else None


def _plain_times(stamps: list[str], precision: tuple[int, int]) -> Times | None:
    joined = ",".join(stamps)
    values = _json(joined, len(stamps))
    if values is None or set(map(type, values)) != {int} or max(map(len, stamps)) > _LONGEST_TIME:
        return None
    factor, divisor = precision
    if not _EARLIEST * divisor // factor <= min(values) <= max(values) <= min(2**63 - 1, _LATEST * divisor // factor):
        return None
    return np.array(values, np.int64) * factor // divisor


def _json(joined: str, count: int) -> list[int | float] | None:
    """Return so many numbers; None where there are fewer or more."""
    try:
        values: list[int | float] = orjson.loads(f"[{joined}]")
    except orjson.JSONDecodeError:
        return None
    return values if len(values) == count else None


def _numbered(keys: list[str]) -> tuple[list[str], Ids]:
    """Return the series and for each key the index of its own. Raises ValueError where one is not plain."""
    table, names = {}, dict[str, int]()
    for key in dict.fromkeys(keys):
        head, _, field = key.rpartition("/")
        series = _plain_series(head, field)
        table[key] = names.setdefault(series, len(names))
    return list(names), np.fromiter(map(table.__getitem__, keys), np.uint32, len(keys))


def _plain_series(head: str, field: str) -> str:
    measurement, *tags = head.split(",")
    pairs = [tag.split("=") for tag in tags]
    if not measurement or not field or any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise ValueError(head)
    return _series(measurement, [(name, value) for name, value in pairs], field)


def _series(measurement: str, tags: list[tuple[str, str]], field: str) -> str:
    """Return the series of a field. Raises ValueError that says what is wrong with it."""
    names = [name for name, _ in tags]
    if len(set(names)) < len(names):
        raise ValueError(f"a tag is repeated among {', '.join(map(repr, names))[:100]}")
    head = ",".join([measurement, *(f"{name}={value}" for name, value in sorted(tags))])
    series = f"{head}/{field.replace('/', chr(92) + '/')}"
    if not SERIES_NAME.fullmatch(series):
        raise ValueError(
            f"the series {series[:_LONGEST_ECHO]!r} must have 1 to 128 characters, none of them a control character, "
            "and no slash at its end"
        )
    return series


@dataclass(slots=True)
class _Reader:
    """Reads a body line by line."""

    text: str
    precision: tuple[int, int]
    at: int = 0
    number: int = 1

    def lines(self) -> Iterator[tuple[int, list[tuple[str, float | None]], int | None]]:
        """Yield for each line its number, the series and value of its fields (None: a string), and its time."""
        while self.at < len(self.text):
            if blank := _BLANK.match(self.text, self.at):
                self._pass(blank.end())
            else:
                start = self.at
                fields, time = self._line()
                yield self.number, fields, time
                self.at, end = start, self.at
                self._pass(end)

    def _pass(self, end: int) -> None:
        self.number += self.text.count("\n", self.at, end)
        self.at = end

    def _line(self) -> tuple[list[tuple[str, float | None]], int | None]:
        measurement = self._take(_MEASUREMENT, "a measurement").group()
        tags = []
        while self.text[self.at] == ",":
            tag = self._take(_TAG, "a tag such as ,host=a")
            tags.append((tag[1], tag[2]))
        self._take(_SPACES, "a space and then fields such as value=1.5")
        fields = [self._field(measurement, tags)]
        while self.text[self.at] == ",":
            self.at += 1
            fields.append(self._field(measurement, tags))
        names = [series for series, _ in fields]
        if len(set(names)) < len(names):
            raise BadLine(self.number, "a field is repeated")
        time = self._time()
        self._take(_END, "the end of the line")
        return fields, time

    def _take(self, pattern: re.Pattern[str], what: str) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if found is None:
            rest = self.text[self.at : self.at + _LONGEST_ECHO].partition("\n")[0]
            raise BadLine(self.number, f"expected {what}, not {rest!r}")
        self.at = found.end()
        return found

    def _field(self, measurement: str, tags: list[tuple[str, str]]) -> tuple[str, float | None]:
        found = self._take(_FIELD, "a field such as value=1.5")
        try:
            return _series(measurement, tags, found[1]), _value(found[2])
        except ValueError as fault:
            raise BadLine(self.number, str(fault)) from fault

    def _time(self) -> int | None:
        found = _TIME.match(self.text, self.at)
        if found is None:
            return None
        self.at, given = found.end(), int(found[1])
        factor, divisor = self.precision
        time = given * factor // divisor
        if not _EARLIEST <= time <= _LATEST or not -(2**63) <= given < 2**63:
            raise BadLine(self.number, f"the time {given} is beyond the years 1 to 9999, or 64 bits, in this precision")
        return time


def _value(text: str) -> float | None:
    """Return the number that a field is; None for a string. Raises ValueError."""
    if text.startswith('"'):
        return None
    if text in _TRUE or text in _FALSE:
        return float(text in _TRUE)
    if _INTEGER.fullmatch(text):
        whole = int(text[:-1])
        if -(2**63) <= whole < (2**64 if text.endswith("u") else 2**63):
            return float(whole)
    elif _FLOAT.fullmatch(text) and abs(value := float(text)) != float("inf"):
        return value + 0.0
    raise ValueError(f"{text[:_LONGEST_ECHO]!r} is no finite number, 64-bit integer, boolean or string in quotes")


def _parse_each(text: str, precision: tuple[int, int], most: int) -> Points:
    names: dict[str, int] = {}
    which, times, values, numbers = [], list[int | None](), list[float](), []
    lines = left_out = 0
    for number, fields, time in giving_way(_Reader(text + "\n", precision).lines()):
        lines += 1
        for series, value in fields:
            if value is None:
                left_out += 1
                continue
            which.append(names.setdefault(series, len(names)))
            values.append(value)
            times.append(time)
            numbers.append(number)
        if lines > most or len(values) > VALUES_A_LINE * most:
            raise TooMany
    missing = np.array([index for index, time in enumerate(times) if time is None], np.int64)
    stamped = None if len(missing) == len(times) else np.array([time or 0 for time in times], np.int64)
    found = np.array(which, np.uint32), stamped, np.array(values), np.array(numbers, np.uint32)
    return Points(
        list(names), found[0], found[1], found[2], found[3], missing if stamped is not None else None, left_out
    )
