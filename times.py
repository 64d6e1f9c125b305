"""Reading and writing of times: ISO-8601 timestamps and durations, both held as integer microseconds."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Microseconds: the years 1 to 9999."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DATE = r"\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d-[1-7]|\d{4}W\d\d[1-7]"
_TIME = r"\d\d(?::[0-5]\d(?::[0-5]\d{0})?)?|\d\d(?:[0-5]\d(?:[0-5]\d{0})?)?".replace("{0}", r"(?:[.,]\d{1,9})?")
_OFFSET = r"[Zz]|[+-]\d\d(?::?[0-5]\d)?"
_DATE_AND_TIME = re.compile(f"(?:{_DATE})[Tt ](?:{_TIME})(?:{_OFFSET})?", re.ASCII)
"""`datetime.fromisoformat` knows the calendar, but is lax: it reads 14:30.5 as half a second past 14:30."""
_DATE_ALONE = re.compile(_DATE, re.ASCII)
_TOO_FINE = re.compile(r"[.,]\d{10}")
_EXAMPLE = "such as 2025-06-26T14:30:00Z"
UNITS = {"d": 24 * HOUR, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": SECOND // 1000}
"""In the order in which a duration names them."""
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>\d+(?:\.\d+)?){unit})?" for unit in UNITS), re.ASCII)
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_LONGEST_TEXT = 40
"""No sensible timestamp or duration is longer; bounds the work a client can ask for."""


def wall_clock() -> int:
    """Microseconds since the epoch, now."""
    return time.time_ns() // 1000


def parse_timestamp(text: str) -> int:
    """Microseconds of an ISO-8601 date and time; no zone means UTC. Raises ValueError saying what is wrong."""
    if not _DATE_AND_TIME.fullmatch(text):
        raise ValueError(_form_fault(text))
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(f"There is no such date or time as {text}.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    time = (moment - _EPOCH) // _MICROSECOND
    if not EARLIEST <= time <= LATEST:
        raise ValueError(f"{text} is beyond the years 1 to 9999 in UTC.")
    return time


def _form_fault(text: str) -> str:
    if _TOO_FINE.search(text):
        return "Finer than nanoseconds; give at most nine decimals of a second."
    if _DATE_ALONE.fullmatch(text):
        return f"A date without a time; give both, {_EXAMPLE}."
    return f"Not an ISO-8601 date and time {_EXAMPLE}."


def format_timestamp(microseconds: int) -> str:
    """ISO-8601 in UTC with `Z`, with as many decimals (0, 3 or 6) as the time needs."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    digits = "seconds" if microseconds % SECOND == 0 else "milliseconds" if microseconds % 1000 == 0 else "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def parse_duration(text: str) -> int:
    """Microseconds of `90s`, `5m`, `1h30m`, `500ms`, `2.5`. Raises ValueError for anything else or not above zero."""
    if len(text) <= _LONGEST_TEXT:
        match = _DURATION.fullmatch(f"{text}s" if _SECONDS.fullmatch(text) else text)
        if match and text:
            parts = ((Fraction(number), UNITS[unit]) for unit, number in match.groupdict().items() if number)
            if total := int(sum(number * unit for number, unit in parts)):
                return total
            raise ValueError(f"{text!r} is not above zero; the shortest duration is one microsecond.")
    raise ValueError(f"{text[:_LONGEST_TEXT]!r} is not a duration; write 90s, 5m, 1h30m, 500ms or plain seconds.")


def format_duration(microseconds: int) -> str:
    """The shortest form that `parse_duration` reads back: `1h30m`, `2.5s`, `500ms`."""
    parts = []
    rest = microseconds
    for unit in ("h", "m"):
        count, rest = divmod(rest, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        unit = "s" if rest >= SECOND or not rest else "ms"
        parts.append(f"{rest / UNITS[unit]:.6f}".rstrip("0").rstrip(".") + unit)
    return "".join(parts)
