"""Reference answers to questions, worked out by brute force in fractions from the events there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from tests.history.recording import Question
from times import format_duration, format_timestamp

SCALE = 1074
"""Every double is a whole number of 2^-1074: sums of such numbers are exact, and quicker than those of fractions."""


class Stored(NamedTuple):
    """An event in the log. Tuples of these sort as events do: by time, then by arrival."""

    time: int
    position: int
    value: float
    series: str


def answers(question: Question, events: Sequence[Stored], moments: tuple[int, int]) -> Iterator[Any]:
    """Each answer that is right at some moment between these two; None stands for 404. The events are those that the
    question is about, in the order of time and arrival."""
    if question.window is None or question.at is not None:
        yield _answer(question, _within(question, events, question.at))
        return
    first, last = moments
    between = {event.time for event in events if first - question.window < event.time <= last - question.window}
    for after in sorted({first - question.window, *between}):
        yield _answer(question, [event for event in events if event.time > after])


def _within(question: Question, events: Sequence[Stored], at: int | None) -> Sequence[Stored]:
    if at is None:
        return events
    after = at - (question.window or at)
    return [event for event in events if after < event.time <= at]


def _answer(question: Question, events: Sequence[Stored]) -> Any:
    if question.last is not None:
        events = events[-question.last :]
    return _KINDS[question.kind](question, events)


def _statistics(question: Question, events: Sequence[Stored]) -> dict[str, Any]:
    return statistics([event.value for event in events], question.include) | {
        name: _edge(events, index) for name, index in (("first", 0), ("last", -1)) if name in question.include
    }


def statistics(values: Sequence[float], include: Sequence[str]) -> dict[str, Any]:
    """Return what these values come to: each number the double nearest to the exact one."""
    exact = [_units(value) for value in values]
    count, total = len(values), sum(exact)
    found: dict[str, Any] = {
        "count": count,
        "min": min(values, default=None),
        "max": max(values, default=None),
        "mean": _float(Fraction(total, count << SCALE)) if count else None,
    }
    if "sum" in include:
        found["sum"] = _float(Fraction(total, 1 << SCALE))
    if {"variance", "stddev"} & set(include):
        squares = sum(unit * unit for unit in exact)
        variance = Fraction(count * squares - total * total, count * count << 2 * SCALE) if count else None
        if "variance" in include:
            found["variance"] = None if variance is None else _float(variance)
        if "stddev" in include:
            found["stddev"] = None if variance is None else _root(variance)
    for name in include:
        if name == "median" or (name.startswith("p") and name[1:].isdigit()):
            found[name] = _percentile(values, 50 if name == "median" else int(name[1:]))
    return found


def _history(question: Question, events: Sequence[Stored]) -> dict[str, Any]:
    assert question.at is not None
    assert question.window is not None
    assert question.step is not None
    step = question.step
    start = (question.at - question.window + 1) // step * step  # the window is open where it begins
    points = []
    for begin in range(start, question.at + 1, step):
        inside = [event for event in events if begin <= event.time < begin + step]
        figures = _statistics(question, inside)
        points.append({"start": format_timestamp(begin), "end": format_timestamp(begin + step)} | figures)
    return {"step": format_duration(step), "points": points}


def _events(question: Question, events: Sequence[Stored]) -> dict[str, Any] | None:
    shown = [_shown(event) for event in events]
    return {"series": question.series, "events": shown} if shown else None


def _series(_: Question, events: Sequence[Stored]) -> dict[str, Any]:
    entries = []
    for name in sorted({event.series for event in events}):
        own = [event for event in events if event.series == name]
        entries.append({"series": name, "count": len(own), "first": _shown(own[0]), "last": _shown(own[-1])})
    return {"series": entries, "next": None}


_KINDS = {"statistics": _statistics, "history": _history, "events": _events, "series": _series}


def _edge(events: Sequence[Stored], index: int) -> dict[str, Any] | None:
    return _shown(events[index]) if events else None


def _shown(event: Stored) -> dict[str, Any]:
    return {"timestamp": format_timestamp(event.time), "value": event.value}


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """The nearest rank."""
    return sorted(values)[max(-(-percent * len(values) // 100), 1) - 1] if values else None


@lru_cache(maxsize=1 << 20)
def _units(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator << SCALE - denominator.bit_length() + 1


def _float(exact: Fraction) -> float | None:
    try:
        return float(exact)
    except OverflowError:
        return None


def _root(variance: Fraction) -> float | None:
    with localcontext(prec=80):
        return _float(Fraction((Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()))
