"""A ladder: ascending values, the rungs, and how many values of each row are below each of them.

The sum of a rung's counts over neighbouring rows costs a microsecond, so a few of them enclose the value at any
rank in a thin slice of the rows. Rungs are added where a question needs them; what is asked again finds them there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from rolling.block import Values
from rolling.rows import Row

MOST_RUNGS = 4096
"""With more, those not used for longest go, down to half of them."""


class Ladder:
    """Rungs from -inf to inf over rows, each of which has a column."""

    __slots__ = ("_below", "_levels", "_tick", "_used", "rungs")

    def __init__(self) -> None:
        self.rungs = [-inf, inf]
        self._levels = np.array(self.rungs)  # the same as an array
        self._below = np.zeros((2, 0), np.uint16)
        self._used = np.zeros(2, np.int64)
        self._tick = 0

    @property
    def nbytes(self) -> int:
        """What it takes of the memory."""
        return self._below.nbytes

    def total(self, rung: int, start: int, end: int) -> int:
        """How many values of these rows are below a rung."""
        self._tick += 1
        self._used[rung] = self._tick
        return int(self._below[rung, start:end].sum())

    def bounds(self, rung: int, start: int, end: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """For each of these rows, where the values from this rung up to the next begin and end."""
        return self._below[rung, start:end], self._below[rung + 1, start:end]

    def find(self, value: float) -> int:
        """The last rung that is not above a finite value."""
        return bisect_right(self.rungs, value) - 1

    def measure(self, row: Row) -> None:
        """Count a row anew."""
        self._below[:, row.column] = row.below(self._levels)

    def add_to(self, column: int, ascending: Values) -> None:
        """Count these values more in a column."""
        self._below[:, column] += ascending.searchsorted(self._levels).astype(np.uint16)

    def arrange(self, columns: Sequence[int]) -> None:
        """Let the columns be these of the present ones; -1 for a new one, of a row not sorted yet."""
        wider = np.zeros((len(self.rungs), len(columns)), np.uint16)
        chosen = np.array(columns, np.intp)
        old = chosen >= 0
        wider[:, old] = self._below[:, chosen[old]]
        self._below = wider

    def add_rungs(self, values: Values, rows: Sequence[Row]) -> None:
        """Put rungs in between, which must be ascending and new. `rows` are those of all columns."""
        if len(self.rungs) + len(values) > MOST_RUNGS:
            self._thin_out()
        counts = np.zeros((len(values), len(rows)), np.uint16)
        for row in rows:
            if row.ready:
                counts[:, row.column] = row.below(values)
        places = self._levels.searchsorted(values)
        self._levels = np.insert(self._levels, places, values)
        self.rungs = self._levels.tolist()
        self._below = np.insert(self._below, places, counts, axis=0)
        self._used = np.insert(self._used, places, self._tick)

    def _thin_out(self) -> None:
        kept = self._used > np.median(self._used)
        kept[[0, -1]] = True
        self._levels = self._levels[kept]
        self.rungs = self._levels.tolist()
        self._below, self._used = self._below[kept], self._used[kept]

    def _check(self, rows: Sequence[Row]) -> None:
        assert self._below.shape == (len(self.rungs), len(rows))
        assert len(self._used) == len(self.rungs) <= MOST_RUNGS
        assert (self.rungs[0], self.rungs[-1]) == (-inf, inf)
        assert sorted(set(self.rungs)) == self.rungs == self._levels.tolist()
        for column, row in enumerate(rows):
            assert row.column == column
            assert not row.ready or self._below[:, column].tolist() == row.below(self._levels).tolist()
