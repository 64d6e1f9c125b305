"""How times are written: ISO-8601 timestamps and durations, both held as integer microseconds."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TOO_FINE = re.compile(r"[.,]\d{10}")
_DATE_AND_TIME = re.compile(r"[\dWw-]{7,10}[Tt ][\d:.,]+(?:[Zz]|[+-][\d:.]+)?", re.ASCII)
"""Only the outline; `datetime.fromisoformat` checks the rest, but lets any separator and spaces pass."""
_NOT_A_TIMESTAMP = "Not an ISO-8601 date and time such as 2025-06-26T14:30:00Z."
_DURATION = re.compile(
    r"(?:(?P<d>\d+(?:\.\d+)?)d)?(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?",
    re.ASCII,
)
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_UNITS = {"d": 24 * HOUR, "h": HOUR, "m": MINUTE, "s": SECOND}
_LONGEST_TEXT = 40
"""No sensible timestamp or duration is longer; bounds the work a client can ask for."""


def wall_clock() -> int:
    """Microseconds since the epoch, now."""
    return time.time_ns() // 1000


def parse_timestamp(text: str) -> int:
    """Microseconds of an ISO-8601 date and time; no zone means UTC. Raises ValueError saying what is wrong."""
    if _TOO_FINE.search(text):
        raise ValueError("Finer than nanoseconds; give at most nine decimals of a second.")
    if len(text) > _LONGEST_TEXT or not _DATE_AND_TIME.fullmatch(text):
        raise ValueError(_NOT_A_TIMESTAMP)
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(_NOT_A_TIMESTAMP) from None
    offset = moment.utcoffset()
    shift = 0 if offset is None else offset // _MICROSECOND
    return (moment.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND - shift


def format_timestamp(microseconds: int) -> str:
    """ISO-8601 in UTC with `Z`, with as many decimals (0, 3 or 6) as the time needs."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    digits = "seconds" if microseconds % SECOND == 0 else "milliseconds" if microseconds % 1000 == 0 else "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def parse_duration(text: str) -> int:
    """Microseconds of `90s`, `5m`, `1h30m`, `2.5`. Raises ValueError for anything else or not above zero."""
    if len(text) <= _LONGEST_TEXT:
        if _SECONDS.fullmatch(text):
            text += "s"
        match = _DURATION.fullmatch(text)
        if match and text:
            parts = ((Fraction(number), _UNITS[unit]) for unit, number in match.groupdict().items() if number)
            if total := int(sum(number * unit for number, unit in parts)):
                return total
            raise ValueError(f"{text!r} is not above zero; the shortest duration is one microsecond.")
    raise ValueError(f"{text[:_LONGEST_TEXT]!r} is not a duration; write 90s, 5m, 1h30m or plain seconds.")


def format_duration(microseconds: int) -> str:
    """The shortest form that `parse_duration` reads back: `1h30m`, `2.5s`."""
    parts = []
    rest = microseconds
    for unit in ("h", "m"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{rest / SECOND:.6f}".rstrip("0").rstrip(".") + "s")
    return "".join(parts)
