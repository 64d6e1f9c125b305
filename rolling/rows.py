"""Rows: the values of one lowest deck each, sorted, for those who ask for percentiles.

A deck of which nobody asked has no row. What comes to a deck after its row was sorted is late, and waits on the
shelf that the rows of a timeline share until it is folded in.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rolling.block import Values

Counts = NDArray[np.int64]
MOSTLY_DISTINCT = 0.75
"""With a smaller share of distinct values a row holds each once, and how many there are up to it."""


class Late(NamedTuple):
    """Values and the columns of the rows they belong to."""

    columns: NDArray[np.uint32]
    values: Values


class Shelf:
    """What the rows of one timeline have in common: their late values, and whether a deck has left its row."""

    __slots__ = ("_columns", "_values", "stale")

    def __init__(self) -> None:
        self.stale = True
        self._columns = array("I")
        self._values = array("d")

    def __len__(self) -> int:
        return len(self._values)

    def put(self, column: int, value: float) -> None:
        """Note one late value."""
        self._columns.append(column)
        self._values.append(value)

    def put_many(self, column: int, values: Values) -> None:
        """Note several late values of a row."""
        self._columns.extend([column] * len(values))
        self._values.frombytes(values.tobytes())

    def late(self) -> Late:
        """A copy of all late values."""
        return Late(np.array(self._columns, np.uint32), np.array(self._values, np.float64))

    def replace(self, late: Late) -> None:
        """Hold these late values in place of all others."""
        self._columns = array("I", late.columns.astype(np.uint32).tobytes())
        self._values = array("d", late.values.tobytes())


class Row:
    """The values of a deck in ascending order, once they are sorted; known to the ladder by its `column`."""

    __slots__ = ("_ends", "_values", "column", "shelf")

    def __init__(self, shelf: Shelf, column: int) -> None:
        self.shelf = shelf
        self.column = column
        self._values: Values | None = None
        self._ends: NDArray[np.uint16] | None = None  # how many values stand before each distinct one, and in all

    def __len__(self) -> int:
        if self._values is None:
            return 0
        return len(self._values) if self._ends is None else int(self._ends[-1])

    @property
    def ready(self) -> bool:
        """Whether it is sorted."""
        return self._values is not None

    @property
    def nbytes(self) -> int:
        """What it takes of the memory."""
        return sum(held.nbytes for held in (self._values, self._ends) if held is not None)

    def take(self, value: float) -> None:
        """One value more has come to the deck."""
        if self._values is not None:
            self.shelf.put(self.column, value)

    def take_many(self, values: Values) -> None:
        """Several values more have come to the deck."""
        if self._values is not None:
            self.shelf.put_many(self.column, values)

    def leave(self) -> None:
        """The deck is no longer made of what it was: this row is of no use."""
        self.shelf.stale = True

    def store(self, ascending: Values) -> None:
        """Hold these values, in a form of its own."""
        firsts = np.flatnonzero(ascending[1:] != ascending[:-1]) + 1
        if len(firsts) + 1 < MOSTLY_DISTINCT * len(ascending):
            firsts = np.concatenate(([0], firsts))
            self._values = ascending[firsts]
            self._ends = np.append(firsts, len(ascending)).astype(np.uint16)
        else:
            self._values, self._ends = ascending, None

    def drop(self) -> None:
        """Let go of the values."""
        self._values = self._ends = None

    def values(self) -> Values:
        """All its values in ascending order."""
        return self.piece(0, len(self))

    def below(self, values: Values) -> Counts:
        """How many of the row are smaller than each of these."""
        assert self._values is not None
        places = self._values.searchsorted(values)
        return places if self._ends is None else self._ends[places].astype(np.int64)

    def piece(self, start: int, end: int) -> Values:
        """The values from one rank to another; equal ones must not stand on both sides of either."""
        assert self._values is not None
        if self._ends is None:
            return self._values[start:end]
        i, j = self._ends.searchsorted((start, end)).tolist()
        return self._values[i:j].repeat(np.diff(self._ends[i : j + 1]))

    def sample(self, start: int, end: int, step: int) -> Values:
        """Each `step`-th value from one rank to another."""
        assert self._values is not None
        if self._ends is None:
            return self._values[start:end:step]
        # The first end stands before the first value.
        return self._values[self._ends.searchsorted(np.arange(start, end, step), side="right") - 1]
