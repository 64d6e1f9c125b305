"""The rules: what the file of ALERTS may say of an alert, and what follows from it.

No message repeats a text of the file but names that are sound: a secret may have been pasted into the wrong place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from event_log.patterns import compiled, exact_name, is_pattern
from event_log.series import LONGEST_NAME
from rolling.percentiles import Percentiles, percent
from times import parse_duration

MOST_RULES = 1000
MOST_ALERTS = 10_000
"""Maximum number of alerts of all rules together."""
DEFAULT_LIMIT = 1000
"""Maximum number of alerts of a rule that names no limit."""
MOST_LABELS = 20
LONGEST_TEXT = 1000
"""Characters of a label or a summary."""
CONDITIONS = ("above", "below", "outside", "absent")
FIELDS = (
    *("name", "series", "statistic", "window", "last", *CONDITIONS, "for"),
    *("keep_firing_for", "labels", "summary", "to", "limit"),
)
PLAIN = ("count", "min", "max", "mean", "sum", "variance", "stddev", "first", "last", "median", "rate")
ZERO_WHEN_EMPTY = ("count", "sum", "rate")
_PERCENTILE = re.compile(r"p(100([.]0{1,4})?|[0-9]{1,2}([.][0-9]{1,4})?)", re.ASCII)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_PLACES = re.compile(r"\{series\}|\{value\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class BadField(Exception):
    """A field of an entry is wrong; the message says how, and the way out."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Rule:
    """One entry `[[alert]]`. Durations in microseconds."""

    name: str
    series: str | None
    """A name or a pattern; None: all series together."""
    statistic: str
    window: int | None
    last: int | None
    condition: str
    bounds: tuple[float, ...]
    """One number, or two for `outside`; for `absent` the microseconds."""
    holds: int
    """Microseconds that the condition must hold before the alert fires."""
    keeps: int
    """Microseconds that the alert goes on firing after the condition has ceased to hold."""
    labels: Mapping[str, str]
    summary: str
    to: tuple[str, ...] | None
    """Names of receivers; None: all."""
    limit: int
    since: int = 0
    """Log time since when the rule is in force."""

    @cached_property
    def is_pattern(self) -> bool:
        """Return whether there is one alert for each series that matches."""
        return self.series is not None and is_pattern(self.series)

    @cached_property
    def exact(self) -> str:
        """The one series; empty for all series together."""
        return "" if self.series is None else exact_name(self.series)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The pattern, compiled; `*` takes slashes too."""
        return compiled(self.series or "")

    @cached_property
    def wanted(self) -> Percentiles | None:
        """The percentile that is the statistic, as a question asks for it; None where it is none."""
        if self.statistic == "median":
            return Percentiles((percent("50"),))
        return Percentiles((percent(self.statistic[1:]),)) if self.statistic[0] == "p" else None

    def is_met(self, value: float) -> bool:
        """Return whether the condition holds for this value."""
        low, high = self.bounds[0], self.bounds[-1]
        if self.condition == "above":
            return value > low
        if self.condition == "below":
            return value < low
        return value < low or value > high if self.condition == "outside" else value >= low

    def told(self, series: str, value: float | None) -> str:
        """Return the summary with its places filled in, literally."""
        texts = {"{series}": series or "all series", "{value}": "no value" if value is None else f"{value:.15g}"}
        return _PLACES.sub(lambda place: texts[place[0]], self.summary)


def parse_rule(entry: Mapping[str, Any], retention: int | None = None) -> Rule:
    """One entry. Raises BadField."""
    name = _text(entry, "name", LONGEST_NAME)
    if unknown := sorted(set(entry) - set(FIELDS)):
        raise BadField(unknown[0], f"this field is not known; there are {', '.join(FIELDS)}")
    condition = _condition(entry)
    absent = condition == "absent"
    if absent and (extra := [field for field in ("statistic", "window", "last") if field in entry]):
        raise BadField(extra[0], "absent asks for no statistic and no window; leave this out")
    bounds = (float(_duration(entry, "absent", retention)),) if absent else _bounds(entry, condition)
    window, last = _duration(entry, "window", retention) or None, _whole(entry, "last", 10**8)
    if not absent and window is None and last is None:
        raise BadField("name", 'write window, such as window = "1m", or last, such as last = 1000')
    return Rule(
        name,
        _text(entry, "series", LONGEST_NAME) if "series" in entry else None,
        "absent" if absent else _statistic(entry, window),
        window,
        last,
        condition,
        bounds,
        _duration(entry, "for"),
        _duration(entry, "keep_firing_for"),
        _labels(entry.get("labels", {})),
        _summary(entry.get("summary", "")),
        _receivers(entry["to"]) if "to" in entry else None,
        _whole(entry, "limit", MOST_ALERTS) or DEFAULT_LIMIT,
    )


def _text(entry: Mapping[str, Any], field: str, longest: int) -> str:
    value = entry.get(field)
    if not (isinstance(value, str) and 0 < len(value) <= longest and not _CONTROL.search(value)):
        raise BadField(field, f"write a text of 1 to {longest} characters, none of them a control character, in quotes")
    return value


def _condition(entry: Mapping[str, Any]) -> str:
    found = [name for name in CONDITIONS if name in entry]
    if len(found) != 1:
        field = found[1] if found else "name"
        raise BadField(field, f"write exactly one of {', '.join(CONDITIONS)}")
    return found[0]


def _bounds(entry: Mapping[str, Any], condition: str) -> tuple[float, ...]:
    value = entry[condition]
    if condition != "outside":
        if not _is_number(value):
            raise BadField(condition, "write a finite number without quotes, such as 0.8")
        return (float(value),)
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]):
        raise BadField(condition, "write two finite numbers, the lower one first, such as [1.0, 5.0]")
    return float(value[0]), float(value[1])


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(float(value))
    except OverflowError:
        return False


def _statistic(entry: Mapping[str, Any], window: int | None) -> str:
    value = entry.get("statistic")
    if not (isinstance(value, str) and (value in PLAIN or _PERCENTILE.fullmatch(value))):
        raise BadField("statistic", f"write one of {', '.join(PLAIN)}, or p0 to p100, such as p99.9")
    if value == "rate" and window is None:
        raise BadField("statistic", "rate needs a window: it is the events a second over it")
    return value


def _duration(entry: Mapping[str, Any], field: str, most: int | None = None) -> int:
    """Return the microseconds of a field; 0 where it is not there."""
    if field not in entry:
        return 0
    value = entry[field]
    try:
        found = parse_duration(value if isinstance(value, str) else "")
    except ValueError:
        raise BadField(field, "write a duration above zero in quotes, such as 90s, 5m or 1h30m") from None
    if most is not None and found > most:
        raise BadField(field, "this is longer than the retention; shorten it, or raise TIDEMARK_RETENTION")
    return found


def _whole(entry: Mapping[str, Any], field: str, most: int) -> int | None:
    value = entry.get(field)
    if field in entry and (type(value) is not int or not 1 <= value <= most):
        raise BadField(field, f"write a whole number from 1 to {most} without quotes")
    return value


def _labels(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MOST_LABELS:
        raise BadField("labels", f'write at most {MOST_LABELS} labels, such as {{ severity = "page" }}')
    for name, text in value.items():
        if not _LABEL.fullmatch(name) or name in ("alertname", "series") or len(name) > LONGEST_NAME:
            raise BadField("labels", "name a label with letters, digits and _, but not alertname or series")
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT:
            raise BadField("labels", f"write the value of a label as a text of 1 to {LONGEST_TEXT} characters")
    return value


def _summary(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise BadField("summary", f"write a text of at most {LONGEST_TEXT} characters")
    if "{" in (rest := _PLACES.sub("", value)) or "}" in rest:
        raise BadField("summary", "only {series} and {value} are replaced; write no other brace")
    return value


def _receivers(value: Any) -> tuple[str, ...]:
    if not (isinstance(value, list) and value and all(isinstance(name, str) for name in value)):
        raise BadField("to", 'write a list of names of receivers, such as ["ops"], or leave it out for all')
    return tuple(dict.fromkeys(value))
