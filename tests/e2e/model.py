"""Reference model of a server: its answers, worked out in fractions from the events it acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import requests

from times import format_timestamp

EVERYTHING = "sum,variance,stddev,first,last"
Event = tuple[str, int, float]
"""Series, microseconds, value."""


def statistics(events: Sequence[Event]) -> dict[str, Any]:
    """The answer of `/statistics?include=EVERYTHING` about these events, which are in order of arrival."""
    values = [Fraction(value) for _, _, value in events]
    if not values:
        empty = dict.fromkeys(("min", "max", "mean", "variance", "stddev", "first", "last"))
        return {"count": 0, "sum": 0.0, **empty}
    count, total = len(values), sum(values, Fraction())
    variance = sum((value * value for value in values), Fraction()) / count - (total / count) ** 2
    ordered = sorted(events, key=lambda event: event[1])  # stable: the later arrival is the later event
    return {
        "count": count,
        "min": float(min(values)),
        "max": float(max(values)),
        "mean": float(total / count),
        "sum": float(total),
        "variance": float(variance),
        "stddev": _root(variance),
        "first": _event(ordered[0]),
        "last": _event(ordered[-1]),
    }


def _root(variance: Fraction) -> float:
    with localcontext(prec=80):
        return float((Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt())


def _event(event: Event) -> dict[str, Any]:
    return {"timestamp": format_timestamp(event[1]), "value": event[2]}


def history(events: Iterable[Event], series: str) -> list[dict[str, Any]]:
    """The answer of `/series/<series>/events` about these events."""
    return [_event(event) for event in sorted(events, key=lambda event: event[1]) if event[0] == series]


def position(answer: requests.Response) -> int:
    """Return the position of an answer in the log."""
    return int(answer.headers["Log-Position"])
