"""Percentiles without runs, by reading every value twice: of ranges of several timelines, or where memory is short.

The first reading leaves a sketch of each portion, every STRIDE-th of its values in order. The sketches tell two values
that enclose a rank, with few values between them. The second counts all values by these bounds, and retains the ones
strictly between; those that equal a bound are only counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from rolling.block import Values
from rolling.cut import pieces, values_of
from rolling.percentiles import Percentiles
from rolling.span import Range
from rolling.steps import Pause

STRIDE = 64
HELD = 2**20
"""Maximum number of values that are held from the first reading to the second: to find those of many series takes
long."""
FEW = 2**15
"""Maximum number of values that are sorted at once, without sketches."""


def scan(ranges: Sequence[Range], wanted: Percentiles, pause: Pause) -> list[float | None]:
    """Return the percentiles of these ranges together."""
    size = sum(begin - end for _, begin, end in ranges)
    if size <= FEW:
        return wanted.of(np.sort(values_of(ranges, pause)))
    ranks = wanted.ranks(size)
    held = list(pieces(ranges, pause)) if size <= HELD else None
    ends = _enclosing([np.sort(values)[::STRIDE] for values in held or pieces(ranges, pause)], ranks)
    # Without zeros of two signs; inf, which no value is, comes last. Class 2 i + 1 has the values equal to the i-th
    # bound, class 2 i those between it and the one before.
    bounds = np.unique(np.array([end for pair in ends for end in pair if end > -inf] + [inf]) + 0.0)
    kept = np.zeros(2 * len(bounds), np.bool_)
    for low, high in ends:
        first = int(bounds.searchsorted(low, side="right"))
        kept[2 * first : 2 * int(bounds.searchsorted(high)) + 1 : 2] = True
    totals = np.zeros(len(kept), np.int64)
    between: list[tuple[NDArray[np.intp], Values]] = []
    for values in held or pieces(ranges, pause):
        pause()
        places = bounds.searchsorted(values)
        classes = 2 * places + (bounds[places] == values)
        totals += np.bincount(classes, minlength=len(kept))
        chosen = kept[classes]
        between.append((classes[chosen], values[chosen]))
    classes, values = (np.concatenate(column) for column in zip(*between, strict=True))
    upto = np.cumsum(totals)
    found = {}
    for rank, number in zip(ranks, upto.searchsorted(ranks, side="right").tolist(), strict=True):
        if number % 2:
            found[rank] = float(bounds[number // 2])
        else:
            place = rank - int(upto[number] - totals[number])
            found[rank] = float(np.partition(values[classes == number], place)[place]) + 0.0
    return wanted.values(size, found)


def _enclosing(sketches: Sequence[Values], ranks: Sequence[int]) -> list[tuple[float, float]]:
    """For each rank two values that enclose the one there: at most STRIDE values for each of a sketch are below it, at
    least as many, but for one sketch value a sketch, are not above it."""
    values = np.sort(np.concatenate(sketches))
    ends = []
    for rank in ranks:
        high = rank // STRIDE + len(sketches) + 1
        ends.append((float(values[rank // STRIDE]), float(values[high]) if high < len(values) else inf))
    return ends
