"""A block: up to CAPACITY neighbouring events of one series, as columns, with their summary.

Rows are appended as they arrive and brought into order (time, then position) only when somebody asks
for it. Positions grow with arrival, so any stable sort by time gives that order. Two columns are often
trivial and then not stored: the times when all are equal, the positions when they run without a gap.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rolling.exact import summarise
from rolling.summary import Summary

CAPACITY = 1024
"""Small enough that a look at every event of a block takes some 30 us, large enough that what a block
costs beside its events is about a byte an event."""

EARLIEST = -(2**63)
"""The start of the first block of all: no event is older."""
LATEST = 2**63 - 1

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Columns = tuple[Times, Times, Values]
"""Times, positions and values of the same events."""
NOTHING: Columns = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


class Block:
    """Events between `start` and the start of the next block. `oldest` and `newest` are their times."""

    __slots__ = (
        "_positions",
        "_times",
        "_values",
        "epoch",
        "highest",
        "lowest",
        "newest",
        "newest_position",
        "oldest",
        "ordered",
        "start",
        "start_position",
        "summary",
    )

    def __init__(self, start: int, start_position: int, epoch: int = 0) -> None:
        self.start = start
        self.start_position = start_position
        self.epoch = epoch
        self.summary = Summary()
        self.oldest = self.newest = start
        self.newest_position = start_position
        """The position of its last event."""
        self.highest = 0
        """The highest position of its events."""
        self.ordered = True
        self.lowest = 0
        """A position not above any of its events'."""
        self._times: array[int] | None = None
        self._positions: array[int] | None = None  # counted from the lowest
        self._values: array[float] | None = array("d")

    def copy(self, epoch: int) -> Self:
        """Return another block of the same events, to be changed in this epoch."""
        other = type(self)(self.start, self.start_position, epoch)
        other.summary = self.summary.copy()
        other.oldest, other.newest, other.newest_position = self.oldest, self.newest, self.newest_position
        other.highest, other.ordered, other.lowest = self.highest, self.ordered, self.lowest
        other._times = None if self._times is None else self._times[:]
        other._positions = None if self._positions is None else self._positions[:]
        other._values = None if self._values is None else self._values[:]
        return other

    def store(self, columns: Columns) -> None:
        """Hold these events, given in order, in place of any held before."""
        times, positions, values = columns
        self.oldest, self.newest, self.newest_position = int(times[0]), int(times[-1]), int(positions[-1])
        self.ordered = True
        self.lowest, self.highest = int(positions.min()), int(positions.max())
        self._positions = None
        if _gaps(positions):
            self._positions = array("I")
            self._reach(self.lowest, self.highest)
            self._positions.frombytes((positions - self.lowest).astype(self._positions.typecode).tobytes())
        self._times = None if times[0] == times[-1] else array("q", times.tobytes())
        self._values = array("d", values.tobytes())

    def append(self, time: int, value: float, position: int) -> None:
        """One event more, without its summary. A position is above all those held."""
        values = self._values
        assert values is not None
        size = len(values)
        if position > self.highest:
            self.highest = position
        if not size:
            self.oldest = self.newest = time
            self.lowest = position
        elif self._times is None and time != self.newest:
            self._times = array("q", [self.newest]) * size
        if self._positions is None and position != self.lowest + size:
            self._positions = array("I", range(size))
        if self._times is not None:
            self._times.append(time)
        if self._positions is not None:
            self._reach(position, position)
            self._positions.append(position - self.lowest)
        values.append(value)
        if time < self.newest:
            self.ordered = False
            self.oldest = min(self.oldest, time)
        else:
            self.newest, self.newest_position = time, position

    def extend(self, columns: Columns) -> None:
        """More events, without their summary, in order among themselves, at positions above all those held."""
        if not self._values:
            self.store(columns)
            return
        times, positions, values = columns
        size = len(self._values)
        self.highest = max(self.highest, int(positions.max()))
        first, last = int(times[0]), int(times[-1])
        if self._times is None and not first == last == self.newest:
            self._times = array("q", [self.newest]) * size
        if self._positions is None and (positions[0] != self.lowest + size or _gaps(positions)):
            self._positions = array("I", range(size))
        if self._times is not None:
            self._times.frombytes(times.tobytes())
        if self._positions is not None:
            self._reach(int(positions.min()), int(positions.max()))
            self._positions.frombytes((positions - self.lowest).astype(self._positions.typecode).tobytes())
        self._values.frombytes(values.tobytes())
        self.ordered = self.ordered and first >= self.newest
        self.oldest = min(self.oldest, first)
        if last >= self.newest:
            self.newest, self.newest_position = last, int(positions[-1])

    def fill(self, columns: Columns, summary: Summary) -> None:
        """Let an empty block hold these events, which are in order, with their summary."""
        self.store(columns)
        self.summary = summary

    def columns(self) -> Columns:
        """All its events in order. The arrays are views: good until the block changes."""
        self._put_in_order()
        return self._arrays()

    def values(self) -> Values:
        """Its values, in no order. The array is a view: good until the block changes."""
        assert self._values is not None
        return np.frombuffer(self._values)

    def count_after(self, time: int) -> int:
        """Return the number of its events that are later than `time`."""
        if time < self.oldest:
            return self.summary.count
        if time >= self.newest:
            return 0
        self._put_in_order()
        assert self._times is not None
        return len(self._times) - bisect_right(self._times, time)

    def row(self, place: int) -> tuple[int, int, float]:
        """The time, position and value of one of its events in order, counted as in a list."""
        self._put_in_order()
        assert self._values is not None
        place %= len(self._values)
        offset = place if self._positions is None else self._positions[place]
        return self.newest if self._times is None else self._times[place], self.lowest + offset, self._values[place]

    def piece(self, start: int, end: int) -> array[float]:
        """A copy of the values of its events in order, from one place up to another. A tenth of what arrays of numpy
        would take, where there are few."""
        self._put_in_order()
        assert self._values is not None
        return self._values[start:end]

    def times(self, start: int, end: int) -> array[int]:
        """The same of their times."""
        self._put_in_order()
        return array("q", [self.newest]) * (end - start) if self._times is None else self._times[start:end]

    def tail(self, count: int) -> Summary:
        """The summary of its last `count` events, at least one."""
        if count == self.summary.count:
            return self.summary
        self._put_in_order()
        return summarise(self.values()[-count:])

    def split(self, last: bool, epoch: int = 0) -> Self:
        """Move the later events into a new block of this epoch, which is returned. The `last` block of all keeps most:
        what follows will mostly land behind it."""
        columns = self.columns()
        size = len(columns[0])
        cut = size - size // 16 if last else size // 2
        later = part(columns, cut, size)
        right = type(self)(int(later[0][0]), int(later[1][0]), epoch)
        right.store(later)
        right.summary = summarise(later[2])
        self.summary = summarise(columns[2][:cut])
        self.store(part(columns, 0, cut))
        return right

    def drop(self, count: int) -> None:
        """Let go of the first `count` events, not of all."""
        live = part(self.columns(), count, None)
        self.store(live)
        self.summary = summarise(live[2])

    def _arrays(self) -> Columns:
        assert self._values is not None
        values = np.frombuffer(self._values)
        times = (
            np.full(len(values), self.newest, np.int64) if self._times is None else np.frombuffer(self._times, np.int64)
        )
        if self._positions is None:
            return times, np.arange(self.lowest, self.lowest + len(values)), values
        offsets = np.frombuffer(self._positions, self._positions.typecode)
        return times, offsets.astype(np.int64) + self.lowest, values

    def _put_in_order(self) -> None:
        if not self.ordered:
            self._sort()

    def _sort(self) -> NDArray[np.intp]:
        """Bring the rows into order, in place; returns the places they come from."""
        assert self._times is not None
        assert self._values is not None
        times, values = np.frombuffer(self._times, np.int64), np.frombuffer(self._values)
        order = np.argsort(times, kind="stable")
        times[:], values[:] = times[order], values[order]
        if self._positions is None:
            self._positions = array("I", order.astype(np.uint32).tobytes())
        else:
            offsets = np.frombuffer(self._positions, self._positions.typecode)
            offsets[:] = offsets[order]
        self.ordered = True
        return order

    def _reach(self, low: int, high: int) -> None:
        """Make the stored positions fit for ones from `low` to `high`."""
        assert self._positions is not None
        if low < self.lowest:  # a batch is taken in by time, so its positions need not come in order
            shift = self.lowest - low
            self.lowest = low
            self._positions = array("Q", (offset + shift for offset in self._positions))
        elif high - self.lowest >> 32 and self._positions.typecode == "I":
            self._positions = array("Q", self._positions)

    def check(self) -> None:
        times, positions, values = self._arrays()
        assert len(times) == len(positions) == len(values) == self.summary.count <= CAPACITY
        assert summarise(values) == self.summary
        assert (self.oldest, self.newest) == (times.min(), times.max()) if len(times) else self.ordered
        keys = list(zip(times.tolist(), positions.tolist(), strict=True))
        assert not self.ordered or keys == sorted(keys)
        assert len(set(positions.tolist())) == len(positions)
        assert not len(positions) or self.lowest <= positions.min() <= positions.max() == self.highest
        assert not keys or max(keys) == (self.newest, self.newest_position)


def _gaps(positions: Times) -> bool:
    return bool((positions[1:] - positions[:-1] != 1).any())


def part(columns: Columns, start: int, end: int | None) -> Columns:
    """The rows from `start` up to `end`, which count as in a slice."""
    times, positions, values = columns
    return times[start:end], positions[start:end], values[start:end]
