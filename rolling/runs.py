"""Sorted runs: the values of one lowest deck each, in ascending order, for those who ask for percentiles.

A run never changes. What comes to a deck after its run was sorted waits on the deck.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from rolling.block import NOTHING, Values
from rolling.recent import Recent
from rolling.steps import Pause

Counts = NDArray[np.int64]
Found = dict[int, float]
"""The values at some ranks."""
MOSTLY_DISTINCT = 0.75
"""With a smaller share of distinct values a run holds each once, and the number of values up to it."""
MARKS = 512
"""Number of quantiles that make a scale."""
STRIDE = 64
"""A scale is chosen from every `STRIDE`-th value of the runs."""
MOST_SLICES = 8
"""Number of stretches between two marks whose values a place remembers."""
SCALES = 4
"""Number of scales that are remembered of a timeline, one for each size of question."""


class Scale:
    """Ascending marks from -inf to inf, chosen from `size` values."""

    __slots__ = ("adjacent", "marks", "size")

    def __init__(self, sample: Values, size: int) -> None:
        """`sample` ascends."""
        chosen = sample[np.linspace(0, len(sample) - 1, MARKS).astype(np.intp)]
        repeated = chosen[1:][chosen[1:] == chosen[:-1]]
        with np.errstate(over="ignore"):  # the value behind the largest double is inf, which is a mark already
            self.marks = np.unique(np.concatenate(([-inf], chosen, np.nextafter(repeated, inf), [inf])) + 0.0)
            self.adjacent = np.nextafter(self.marks[:-1], inf) == self.marks[1:]
        """Mask of the marks with no other value between them and the next."""
        self.size = size


class Run:
    """Values in ascending order."""

    __slots__ = ("_counts", "_ends", "_values")

    def __init__(self, ascending: Values) -> None:
        self._values = ascending
        self._ends: NDArray[np.uint16] | None = None  # number of values before each distinct one, and in all
        self._counts = Recent[Scale, NDArray[np.uint16]](SCALES)
        firsts = np.flatnonzero(ascending[1:] != ascending[:-1]) + 1
        if len(firsts) + 1 < MOSTLY_DISTINCT * len(ascending):
            firsts = np.concatenate(([0], firsts))
            self._values = ascending[firsts]
            self._ends = np.append(firsts, len(ascending)).astype(np.uint16)

    def __len__(self) -> int:
        return len(self._values) if self._ends is None else int(self._ends[-1])

    @property
    def nbytes(self) -> int:
        """The memory that its values take."""
        return self._values.nbytes + (0 if self._ends is None else self._ends.nbytes)

    def values(self) -> Values:
        """All of them."""
        return self.piece(0, len(self))

    def counts(self, scale: Scale) -> NDArray[np.uint16]:
        """The number of values below each mark of a scale."""
        found = self._counts.use(scale)
        if found is None:
            places = self._values.searchsorted(scale.marks)
            found = self._counts.put(scale, places.astype(np.uint16) if self._ends is None else self._ends[places])
        return found

    def piece(self, start: int, end: int) -> Values:
        """The values from one rank to another; equal ones must not stand on both sides of either."""
        if self._ends is None:
            return self._values[start:end]
        i, j = self._ends.searchsorted((start, end)).tolist()
        return self._values[i:j].repeat(np.diff(self._ends[i : j + 1]))

    def sample(self, step: int) -> Values:
        """Each `step`-th value."""
        if self._ends is None:
            return self._values[::step]
        # The first end stands before the first value.
        return self._values[self._ends.searchsorted(np.arange(0, len(self), step), side="right") - 1]


class Holder:
    """Cache entry for the run of a deck, held as long as there is room for it; with the tick of its last use."""

    __slots__ = ("__weakref__", "run", "used")

    def __init__(self, run: Run, tick: int) -> None:
        self.run: Run | None = run
        self.used = tick


class Place:
    """Runs that a question goes over, and what is remembered of their values."""

    __slots__ = ("_counts", "_runs", "_slices", "scale", "totals", "used")

    def __init__(self, runs: Sequence[Run], scale: Scale, pause: Pause) -> None:
        self.scale = scale
        self.used = 0
        """The tick of the last question."""
        counts = []
        for run in runs:
            counts.append(run.counts(scale))
            pause()
        self._runs = runs
        self._counts = np.stack(counts)
        self.totals: Counts = self._counts.sum(axis=0, dtype=np.int64)
        """The number of values below each mark."""
        self._slices = Recent[int, Values](MOST_SLICES)

    def widest(self) -> int:
        """Return the most values between two marks that are not the same ones."""
        return int(np.diff(self.totals)[~self.scale.adjacent].max(initial=0))

    def find(self, loose: Values, wanted: Sequence[int]) -> Found:
        """Return the values at these ranks of all runs and of more values, which ascend."""
        before = loose.searchsorted(self.scale.marks)
        below = self.totals + before
        numbers = (below.searchsorted(wanted, side="right") - 1).tolist()
        found = {}
        for rank, number in zip(wanted, numbers, strict=True):
            if self.scale.adjacent[number]:
                found[rank] = float(self.scale.marks[number])
            else:
                few, many = loose[before[number] : before[number + 1]], self._slice(number)
                found[rank] = _pick(few, many, rank - int(below[number]))
        return found

    def _slice(self, mark: int) -> Values:
        """The values that are not below a mark, but below the next, in ascending order."""
        found = self._slices.use(mark)
        if found is None:
            starts, ends = self._counts[:, mark], self._counts[:, mark + 1]
            some = np.flatnonzero(starts != ends)
            bounds = zip(some.tolist(), starts[some].tolist(), ends[some].tolist(), strict=True)
            pieces = [NOTHING[2], *(self._runs[i].piece(j, k) for i, j, k in bounds)]
            found = self._slices.put(mark, np.sort(np.concatenate(pieces)))
        return found


def _pick(few: Values, many: Values, rank: int) -> float:
    """The value at a rank of both together."""
    ranks = many.searchsorted(few) + np.arange(len(few))  # of the few among all
    before = int(ranks.searchsorted(rank))
    if before < len(few) and ranks[before] == rank:
        return float(few[before])
    return float(many[rank - before])
