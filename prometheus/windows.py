"""Functions over the windows of one series, all steps at once; exact.

The bounds of all windows cut the events into parts, each of which is read once. Sums of windows that overlap are
differences of prefix sums, which are integers and so lose nothing; minima and maxima come from a sparse table.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import copysign, floor, inf, isnan, nan

import numpy as np
from numpy.typing import NDArray

from api.answers import in_portions
from prometheus.source import Samples
from prometheus.vectors import Floats, Times
from rolling.exact import WIDEST_ROW, summarise_parts
from rolling.summary import Summary

Bounds = NDArray[np.intp]
Function = Callable[[Floats, Bounds, Bounds], Floats]
"""Of the values from each begin up to its end, begin < end."""
VALUES_A_STEP = 16 * WIDEST_ROW


def bounds(samples: Samples, ends: Times, width: int) -> tuple[Bounds, Bounds]:
    """Return where the events of each window begin and end: end - width < time <= end."""
    times = samples.times
    return times.searchsorted(ends - width, side="right"), times.searchsorted(ends, side="right")


def _count(values: Floats, begins: Bounds, ends: Bounds) -> Floats:
    return (ends - begins).astype(np.float64)


def _present(values: Floats, begins: Bounds, ends: Bounds) -> Floats:
    return np.ones(len(begins))


def _first(values: Floats, begins: Bounds, ends: Bounds) -> Floats:
    return values[begins]


def last(values: Floats, begins: Bounds, ends: Bounds) -> Floats:
    """Return the last value of each window."""
    return values[ends - 1]


def _extreme(least: np.ufunc) -> Function:
    def of(values: Floats, begins: Bounds, ends: Bounds) -> Floats:
        cuts = np.unique(np.concatenate((begins, ends)))
        table = [least.reduceat(values, cuts[cuts < len(values)])]
        while len(row := table[-1]) > (width := 2 ** (len(table) - 1)):
            table.append(least(row[:-width], row[width:]))
        first, past = cuts.searchsorted(begins), cuts.searchsorted(ends)
        found = np.empty(len(begins))
        levels = np.frexp(past - first)[1] - 1
        for level in np.unique(levels).tolist():
            chosen = levels == level
            found[chosen] = least(table[level][first[chosen]], table[level][past[chosen] - 2**level])
        return found + 0.0  # -0.0 becomes 0.0, as everywhere here

    return of


def _summed(statistic: Callable[[Summary], float | None]) -> Function:
    def of(values: Floats, begins: Bounds, ends: Bounds) -> Floats:
        start, stop = int(begins.min()), int(ends.max())
        cuts = np.unique(np.concatenate((begins, ends, np.arange(start, stop, WIDEST_ROW))))
        totals, squares = _prefixes(values, cuts)
        first, past = cuts.searchsorted(begins).tolist(), cuts.searchsorted(ends).tolist()
        counts = (ends - begins).tolist()
        rows = in_portions(zip(counts, first, past, strict=True))
        found = (Summary(n, totals[b] - totals[a], squares[b] - squares[a]) for n, a, b in rows)
        return np.array([_number(statistic(summary), summary) for summary in found])

    return of


def _prefixes(values: Floats, cuts: Bounds) -> tuple[list[int], list[int]]:
    """Return the exact sums, and sums of squares, of all values from the first cut up to each cut."""
    parts: list[Summary] = []
    size = VALUES_A_STEP // WIDEST_ROW
    groups = range(0, len(cuts) - 1, size)
    for begin in in_portions(groups):
        some = cuts[begin : begin + size + 1]
        parts += summarise_parts(values[some[0] : some[-1]], some[:-1] - some[0])
    totals = list(accumulate((part.total for part in parts), initial=0))
    return totals, list(accumulate((part.squares for part in parts), initial=0))


def _number(value: float | None, summary: Summary) -> float:
    return copysign(inf, summary.total) if value is None else value


FUNCTIONS: dict[str, Function] = {
    "count_over_time": _count,
    "present_over_time": _present,
    "first_over_time": _first,
    "last_over_time": last,
    "min_over_time": _extreme(np.minimum),
    "max_over_time": _extreme(np.maximum),
    "sum_over_time": _summed(lambda summary: summary.sum),
    "avg_over_time": _summed(lambda summary: summary.mean),
    "stdvar_over_time": _summed(lambda summary: summary.variance),
    "stddev_over_time": _summed(lambda summary: summary.stddev),
}
KEEP_NAME = {"first_over_time", "last_over_time"}


def quantiles(share: Floats, check: Callable[[], None]) -> Function:
    """Return what finds the quantile of each window, interpolated linearly; `check` is called between windows."""

    def of(values: Floats, begins: Bounds, ends: Bounds) -> Floats:
        found = []
        for q, begin, end in in_portions(zip(share.tolist(), begins.tolist(), ends.tolist(), strict=True)):
            check()
            found.append(_quantile(q, values[begin:end]))
        return np.array(found)

    return of


def _quantile(q: float, values: Floats) -> float:
    if isnan(q) or not 0 <= q <= 1:
        return nan if isnan(q) else copysign(inf, q)
    rank = q * (len(values) - 1)
    low = floor(rank)
    high = min(low + 1, len(values) - 1)
    part = np.partition(values, (low, high))
    return float(part[low] * (1 - (rank - low)) + part[high] * (rank - low))
