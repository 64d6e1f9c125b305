"""InfluxDB's line protocol, read line by line: all that it allows, and what is wrong with what it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dialects.line_columns import Chunk, Known, Precision
from dialects.line_names import LONGEST_ECHO, series_name
from times import EARLIEST, LATEST
from view.portions import giving_way

LINES_AT_ONCE = 200
"""Lines of a chunk, at most; they take some milliseconds."""
CHARACTERS_AT_ONCE = 1 << 15
"""Characters after which no other line is added to a chunk: blank lines and comments take time too."""
LONGEST_HEAD = 1000
"""Characters of a measurement and its tags, at most; a series has 128."""
_TRUE = {"t", "T", "true", "True", "TRUE"}
_FALSE = {"f", "F", "false", "False", "FALSE"}
_NAME = r"(?:[^,= \\\n\r]|\\[,= ]|\\(?![,= ]))+"
_MEASUREMENT = r"(?:[^, \\\n\r]|\\[, ]|\\(?![, ]))+"
_HEAD = re.compile(rf"({_MEASUREMENT})((?:,{_NAME}={_NAME})*)")
_SPACES = re.compile(" +")
_TAG = re.compile(rf",({_NAME})=({_NAME})")
_FIELD = re.compile(rf'({_NAME})=("(?:[^"\\]++|\\.)*+"|[^, "\n\r]+)', re.DOTALL)
_BLANK = re.compile(rf"(?:[ \t\r]*+(?:#[^\n]*+)?\n){{1,{LINES_AT_ONCE}}}")
_TIME = re.compile(r" +(-?[0-9]{1,19})(?=[ \r\n])")
_END = re.compile(r" *\r?\n")
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}i|[0-9]{1,400}u")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


class BadLine(Exception):
    """A line is not line protocol; the message names it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")


@dataclass(slots=True)
class Reader:
    """Reads a body, which ends with a newline, from `at` on, where the line with this number begins."""

    text: str
    precision: Precision
    at: int = 0
    number: int = 1
    known: Known = field(default_factory=dict)

    def skip(self, end: int) -> None:
        """Go on at `end`, where a line begins."""
        self.number += self.text.count("\n", self.at, end)
        self.at = end

    def read(self, end: int) -> Iterator[Chunk]:
        """Yield the lines that begin before `end`, some at once. Raises BadLine."""
        while self.at < end:
            yield self._some(end)

    def _some(self, end: int) -> Chunk:
        names = dict[str, int]()
        which, rows, values = list[int](), list[tuple[int | None, int]](), list[float]()
        count = left_out = 0
        stop = min(end, self.at + CHARACTERS_AT_ONCE)
        while self.at < stop and count < LINES_AT_ONCE:
            if blank := _BLANK.match(self.text, self.at):
                self.skip(blank.end())
                continue
            try:
                fields, time, after = self._line()
            except ValueError as fault:
                raise BadLine(self.number, str(fault)) from fault
            for series, value in giving_way(fields.items()):
                if value is None:
                    left_out += 1
                    continue
                which.append(names.setdefault(series, len(names)))
                values.append(value)
                rows.append((time, self.number))
            count += 1
            self.skip(after)
        return Chunk.of(list(names), which, rows, values, count, left_out)

    def _line(self) -> tuple[dict[str, float | None], int | None, int]:
        """Return the series and value of each field (None: a string), the time, and where the next line begins. Raises
        ValueError that says what is wrong."""
        head, at = self._head()
        found = dict[str, float | None]()
        for match in giving_way(self._fields(at)):
            series = self._name(head, match[1])
            if series in found:
                raise ValueError(f"the field {match[1][:LONGEST_ECHO]!r} is repeated")
            found[series] = _value(match[2])
            at = match.end()
        time = _TIME.match(self.text, at)
        after = self._match(_END, at if time is None else time.end(), "the end of the line").end()
        return found, None if time is None else self._time(int(time[1])), after

    def _head(self) -> tuple[re.Match[str], int]:
        """Return the measurement and its tags, and where the fields begin."""
        head = _HEAD.match(self.text, self.at, self.at + LONGEST_HEAD)
        spaces = head and _SPACES.match(self.text, head.end())
        if head is None or spaces is None:
            what = f"a measurement, tags such as ,host=a ({LONGEST_HEAD} characters at most)"
            raise self._expected(f"{what}, a space and fields such as value=1.5", self.at)
        return head, spaces.end()

    def _fields(self, at: int) -> Iterator[re.Match[str]]:
        while True:
            found = self._match(_FIELD, at, "a field such as value=1.5")
            yield found
            if self.text[found.end()] != ",":
                return
            at = found.end() + 1

    def _match(self, pattern: re.Pattern[str], at: int, what: str) -> re.Match[str]:
        found = pattern.match(self.text, at)
        if found is None:
            raise self._expected(what, at)
        return found

    def _expected(self, what: str, at: int) -> ValueError:
        rest = self.text[at : at + LONGEST_ECHO].partition("\n")[0]
        return ValueError(f"expected {what}, not {rest!r}")

    def _name(self, head: re.Match[str], name: str) -> str:
        written = head[0], name
        series = self.known.get(written)
        if series is None:
            tags = [(tag[1], tag[2]) for tag in _TAG.finditer(head[2])]
            series = self.known[written] = series_name(head[1], tags, name)
        return series

    def _time(self, given: int) -> int:
        factor, divisor = self.precision
        time = given * factor // divisor
        if not EARLIEST <= time <= LATEST or not -(2**63) <= given < 2**63:
            raise ValueError(f"the time {given} is beyond the years 1 to 9999, or 64 bits, in this precision")
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
    raise ValueError(f"{text[:LONGEST_ECHO]!r} is no finite number, 64-bit integer, boolean or string in quotes")
