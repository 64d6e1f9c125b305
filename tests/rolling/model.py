"""Reference model of the engine: plain lists sorted anew for each question, and `fractions.Fraction`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from math import isqrt

from rolling.figures import Figures, end_of
from rolling.percentiles import Percentiles
from rolling.summary import Summary

Row = tuple[int, int, float]
"""Time, position and value."""


def fraction_sum(values: list[float]) -> Fraction:
    return sum(map(Fraction, values), Fraction())


def fraction_variance(values: list[float]) -> Fraction:
    mean = fraction_sum(values) / len(values)
    return sum(((Fraction(value) - mean) ** 2 for value in values), Fraction()) / len(values)


def rounded(exact: Fraction) -> float | None:
    """The nearest double; None beyond their range."""
    try:
        return float(exact)
    except OverflowError:
        return None


def rounded_root(exact: Fraction) -> float | None:
    """The double nearest to the square root, by 2,400 bits of it: nothing between two doubles is that near to a
    root that is not one itself."""
    return rounded(Fraction(isqrt(int(exact * 4**2400)), 2**2400))


def assert_summarises(summary: Summary, values: list[float]) -> None:
    """Every statistic of `summary` is the exact one of these values, rounded once."""
    assert summary.count == len(values)
    assert summary.sum == rounded(fraction_sum(values))
    if not values:
        assert (summary.min, summary.max, summary.mean, summary.variance, summary.stddev) == (None,) * 5
        return
    assert (summary.min, summary.max) == (min(values), max(values))
    assert summary.mean == rounded(fraction_sum(values) / len(values))
    variance = fraction_variance(values)
    assert summary.variance == rounded(variance)
    assert summary.stddev == rounded_root(variance)


def percentiles_of(values: list[float], wanted: Percentiles) -> list[float | None]:
    """By a sorted list and exact fractions."""
    ascending, count = sorted(values), len(values)
    if not count:
        return [None] * len(wanted.shares)
    if not wanted.linear:
        return [ascending[max(-int(-share * count // 1), 1) - 1] + 0.0 for share in wanted.shares]
    found = []
    for share in wanted.shares:
        lower, part = divmod(share * (count - 1), 1)
        low, high = Fraction(ascending[lower]), Fraction(ascending[min(lower + 1, count - 1)])
        found.append(rounded(low + (high - low) * part))
    return found


@cache
def units(value: float) -> int:
    """A value in units of 2**-1074."""
    return int(Fraction(value) * 2**1074)


def summary_of(values: list[float]) -> Summary:
    """A Summary put together from Fractions, without the engine's arithmetic."""
    if not values:
        return Summary()
    whole = [units(value) for value in values]
    return Summary(len(values), sum(whole), sum(number * number for number in whole), min(values), max(values))


@dataclass
class Kept:
    """One series: every event it ever took, how many it keeps, and whether that is its own."""

    keep: int
    own: bool = True
    rows: list[Row] = field(default_factory=list)

    def live(self, cutoff: int) -> list[Row]:
        rows = sorted(self.rows)
        recent = sum(time > cutoff for time, _, _ in rows)
        return last_of(rows, max(recent, min(len(rows), self.keep)))


@dataclass
class Model:
    """A View that forgets nothing and sorts all of it for each question."""

    keep_last: int = 0
    series: dict[int, Kept] = field(default_factory=dict)
    horizon: int = 0

    def register(self, series: int, keep: int | None) -> None:
        self.series[series] = Kept(self.keep_last, own=False) if keep is None else Kept(keep)

    def add(self, series: int, time: int, value: float, position: int) -> None:
        self.series[series].rows.append((time, position, value))

    def prune(self, horizon: int) -> None:
        self.horizon = max(self.horizon, horizon)

    def change_keep(self, series: int | None, horizon: int, keep: int) -> None:
        """Change the keep; an event that is dead under `horizon` stays dead."""
        for number, kept in self.series.items():
            if number == series or (series is None and not kept.own):
                kept.rows = kept.live(horizon)
                kept.keep = keep
        if series is None:
            self.keep_last = keep
        else:
            self.series[series].own = True

    def end_series(self, series: int) -> None:
        del self.series[series]

    def rows(
        self,
        series: int | Sequence[int] | None,
        after: int | None,
        cutoff: int,
        last: int | None,
        until: int | None = None,
    ) -> list[Row]:
        """The rows a question is about, in order."""
        numbers = list(self.series) if series is None else [series] if isinstance(series, int) else series
        chosen = [self.series[number] for number in numbers]
        if after is None:
            rows = [row for kept in chosen for row in kept.live(max(cutoff, self.horizon))]
        else:
            rows = [row for kept in chosen for row in kept.rows if row[0] > max(after, self.horizon)]
        rows = sorted(row for row in rows if until is None or row[0] <= until)
        return rows if last is None else last_of(rows, last)


def last_of(rows: list[Row], count: int) -> list[Row]:
    return rows[len(rows) - min(count, len(rows)) :]


def assert_tail(tail: Figures, rows: list[Row]) -> None:
    """An answer covers exactly these rows."""
    assert tail.summary == summary_of([value for _, _, value in rows])
    assert (tail.first, tail.last) == ((end_of(rows[0]), end_of(rows[-1])) if rows else (None, None))
