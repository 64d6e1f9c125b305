"""Histograms: exact counts of the values of ranges, between bounds that may depend on the least and the greatest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from rolling.cut import pieces
from rolling.span import Range
from rolling.steps import Pause
from rolling.summary import Summary

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


def histogram(ranges: Sequence[Range], summary: Summary, divide: Divide, pause: Pause) -> Histogram:
    """Count the values of these ranges, of which `summary` tells the least and the greatest. An empty histogram has no
    bounds."""
    low, high = summary.min, summary.max
    bounds = () if low is None or high is None else divide(low, high)
    edges, counts = np.array(bounds, np.float64), np.zeros(len(bounds) + 1, np.int64)
    for values in pieces(ranges, pause):
        counts += np.bincount(edges.searchsorted(values, side="right"), minlength=len(counts))
    return Histogram(bounds, counts.tolist())
