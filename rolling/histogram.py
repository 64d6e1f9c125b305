"""Histograms: exact counts of the values of some ranges, between bounds that may depend on the least and the greatest.

The values are read in chunks, as `rolling.scan` reads them; the bounds and the counts are of one moment, the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import count
from typing import NamedTuple

from rolling.scan import Census, Where
from rolling.steps import Steps, finished
from rolling.summary import Summary

ATTEMPTS = 3
"""Maximum number of times the values are counted while others are let in; then they are counted exclusively."""

Divide = Callable[[float, float], Sequence[float]]
"""Return the bounds of a histogram, rising, given the least and the greatest value."""


class Histogram(NamedTuple):
    """Counts of the values below the first bound, from each bound up to the next, and from the last on."""

    bounds: Sequence[float]
    counts: list[int]


def at_bounds(bounds: Sequence[float]) -> Divide:
    """Return a function that divides at these bounds, whatever the values."""
    return lambda low, high: bounds


def in_bins(number: int) -> Divide:
    """Return a function that divides from the least to the greatest value into this many bins of the same width."""

    def divide(low: float, high: float) -> Sequence[float]:
        start, width = Fraction(low), Fraction(high) - Fraction(low)
        # Adding 0.0 makes zero of negative zero, which an inner bound may round to.
        return sorted({float(start + width * i / number) + 0.0 for i in range(1, number)})

    return divide


def histogram(where: Where, summary: Callable[[], Summary], divide: Divide) -> Steps[Histogram]:
    """Count the values of these ranges, of which `summary` tells the least and the greatest. An empty histogram has no
    bounds. Yields between chunks, in which events may come and go."""
    for attempt in count(1):
        bounds = _bounds(summary(), divide)
        census = Census([(bound, bound) for bound in bounds])
        work = census.take(where)
        if attempt <= ATTEMPTS:
            yield from work
        else:
            finished(work)
        if _bounds(summary(), divide) == bounds:
            break
    return Histogram(bounds, _counts(census.totals, len(bounds)))


def _bounds(summary: Summary, divide: Divide) -> Sequence[float]:
    if summary.min is None or summary.max is None:
        return ()
    return divide(summary.min, summary.max)


def _counts(totals: Sequence[int], bounds: int) -> list[int]:
    """Add the values that equal a bound to those above it: a census counts them apart."""
    above = totals[2 : 2 * bounds + 1 : 2]
    return [totals[0], *(equal + more for equal, more in zip(totals[1 : 2 * bounds : 2], above, strict=True))]
