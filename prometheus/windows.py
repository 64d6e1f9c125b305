"""Functions over windows, those of all steps of some series at once; exact.

The bounds of all windows cut the events into parts, each of which is read once. Sums of windows that overlap are
differences of prefix sums, which are integers and so lose nothing; minima and maxima come from a sparse table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from api.answers import in_portions
from prometheus.quantiles import quantiles
from prometheus.source import Samples
from prometheus.vectors import Floats, Present, Times
from rolling.exact import WIDEST_ROW, summarise_parts
from rolling.summary import Summary

Bounds = NDArray[np.intp]
VALUES_A_STEP = 16 * WIDEST_ROW
"""Number of values that are summed at a time: some milliseconds."""


class Windows(NamedTuple):
    """Some values and windows over them: where each begins and ends, begin < end, and of which step it is."""

    values: Floats
    begins: Bounds
    ends: Bounds
    steps: Bounds


Function = Callable[[Windows], Floats]


def over(samples: Sequence[Samples], ends: Times, width: int, function: Function) -> tuple[Floats, Present]:
    """Return for each series a row of the values of a function over end - width < time <= end, and where there are
    any: where the window has events."""
    begins = np.stack([times.searchsorted(ends - width, side="right") for times, _ in samples])
    stops = np.stack([times.searchsorted(ends, side="right") for times, _ in samples])
    there = begins < stops
    found = np.zeros(there.shape)
    if there.any():
        starts = np.cumsum([0, *(len(times) for times, _ in samples[:-1])])[:, None]
        values = np.concatenate([some for _, some in samples])
        windows = Windows(values, (begins + starts)[there], (stops + starts)[there], np.nonzero(there)[1])
        found[there] = function(windows)
    return found, there


def _extreme(least: np.ufunc) -> Function:
    def of(windows: Windows) -> Floats:
        values, begins, ends, _ = windows
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


def _summed(statistic: Callable[[Summary], float | None], *, squares: bool) -> Function:
    def of(windows: Windows) -> Floats:
        values, begins, ends, _ = windows
        cuts = np.unique(np.concatenate((begins, ends, np.arange(begins.min(), ends.max(), WIDEST_ROW))))
        totals, squared = _prefixes(values, cuts, squares)
        first, past = cuts.searchsorted(begins).tolist(), cuts.searchsorted(ends).tolist()
        counts = (ends - begins).tolist()
        rows = in_portions(zip(counts, first, past, strict=True))
        found = (Summary(n, totals[b] - totals[a], squared[b] - squared[a]) for n, a, b in rows)
        return np.array([_number(statistic(summary), summary) for summary in found])

    return of


def _prefixes(values: Floats, cuts: Bounds, squares: bool) -> tuple[list[int], list[int]]:
    """Return the exact sums, and sums of squares, of all values from the first cut up to each cut."""
    parts: list[Summary] = []
    edges = cuts.searchsorted(np.arange(cuts[0], cuts[-1], VALUES_A_STEP))
    for begin, end in in_portions(pairwise(np.unique([*edges, len(cuts) - 1]).tolist())):
        some = cuts[begin : end + 1]
        parts += summarise_parts(values[some[0] : some[-1]], some[:-1] - some[0], squares=squares)
    totals = list(accumulate((part.total for part in parts), initial=0))
    return totals, list(accumulate((part.squares for part in parts), initial=0))


def _number(value: float | None, summary: Summary) -> float:
    return value if value is not None else inf if summary.total > 0 else -inf


FUNCTIONS: dict[str, Function] = {
    "count_over_time": lambda windows: (windows.ends - windows.begins).astype(np.float64),
    "present_over_time": lambda windows: np.ones(len(windows.begins)),
    "first_over_time": lambda windows: windows.values[windows.begins],
    "last_over_time": lambda windows: windows.values[windows.ends - 1],
    "min_over_time": _extreme(np.minimum),
    "max_over_time": _extreme(np.maximum),
    "sum_over_time": _summed(lambda summary: summary.sum, squares=False),
    "avg_over_time": _summed(lambda summary: summary.mean, squares=False),
    "stdvar_over_time": _summed(lambda summary: summary.variance, squares=True),
    "stddev_over_time": _summed(lambda summary: summary.stddev, squares=True),
}
KEEP_NAME = {"first_over_time", "last_over_time"}


def quantile(shares: Floats, check: Callable[[], None]) -> Function:
    """Return the function that finds the quantile of each window, `shares` being those of the steps."""
    return lambda windows: quantiles(windows.values, windows.begins, windows.ends, shares[windows.steps], check)
