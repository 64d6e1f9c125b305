"""A block over several series, which knows whose events it has; it need not hold them itself."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rolling.block import Block, Columns
from rolling.exact import summarise
from rolling.summary import Summary

Ids = NDArray[np.uint32]

LOADED = 256
"""Maximum number of blocks that hold columns at a time: some 7 MB."""


class SharedBlock(Block):
    """A block over several series, with columns only while it is loaded."""

    __slots__ = ("members",)

    def __init__(self, start: int, start_position: int, epoch: int = 0) -> None:
        super().__init__(start, start_position, epoch)
        self.members = array("I")
        """While it is loaded, the series of each row; else those with events here, some of them more than once."""

    @property
    def loaded(self) -> bool:
        return self._values is not None

    def copy(self, epoch: int) -> SharedBlock:
        other = super().copy(epoch)
        other.members = self.members[:]
        return other

    def append(self, time: int, value: float, position: int) -> None:
        if self.loaded:
            super().append(time, value, position)
        else:
            self._stretch(time, time, position)

    def extend(self, columns: Columns) -> None:
        if self.loaded:
            super().extend(columns)
        else:
            self._stretch(int(columns[0][0]), int(columns[0][-1]), int(columns[1][-1]))

    def note(self, series: int) -> None:
        """One row more has come, of this series."""
        members = self.members
        if self._values is not None or not members or members[-1] != series:
            members.append(series)

    def note_many(self, ids: Ids, *, alone: bool) -> None:
        """Note further rows of these series, an id for each row; all of one series, if `alone`."""
        if self.loaded:
            self.members.frombytes(ids.tobytes())
        else:
            self.members.frombytes(ids[:1].tobytes() if alone else np.unique(ids).tobytes())

    def fill(self, columns: Columns, summary: Summary) -> None:
        """Hold the summary only: so many events at once are seldom asked for one by one."""
        self._stretch(int(columns[0][0]), int(columns[0][-1]), int(columns[1][-1]))
        self.summary = summary
        self._values = None

    def split(self, last: bool, epoch: int = 0) -> SharedBlock:
        right = super().split(last, epoch)
        right.members = self.members[self.summary.count :]
        del self.members[self.summary.count :]
        return right

    def drop(self, count: int) -> None:
        super().drop(count)
        del self.members[:count]

    def hold(self, columns: Columns, members: Ids) -> None:
        """Be loaded with these events, given in order, and their series."""
        self.store(columns)
        self.members = array("I", members.tobytes())

    def replace(self, columns: Columns, members: Ids) -> None:
        """Have these events, given in order, in place of others; hold them only if it held those."""
        self.summary = summarise(columns[2])
        if not len(columns[0]):
            return
        loaded = self.loaded
        self.hold(columns, members)
        if not loaded:
            self.unload()

    def forget(self, series: int) -> None:
        """While it is not loaded: none of its events is of this series."""
        self.members = array("I", set(self.members) - {series})

    def unload(self) -> None:
        """Drop the columns, until the next question that needs them."""
        self._times = self._positions = self._values = None
        self.members = array("I", np.unique(np.frombuffer(self.members, np.uint32)).tobytes())

    def check(self) -> None:
        """Its events are checked by AllSeries, which knows where they are."""

    def _sort(self) -> NDArray[np.intp]:
        order = super()._sort()
        members = np.frombuffer(self.members, np.uint32)
        members[:] = members[order]
        return order

    def _stretch(self, oldest: int, newest: int, position: int) -> None:
        if self.summary.count:
            oldest = min(self.oldest, oldest)
        self.oldest = oldest
        if newest >= self.newest or not self.summary.count:
            self.newest, self.newest_position = newest, position


class Loaded:
    """The blocks that hold columns, least recently used first. All series and their snapshots share one."""

    def __init__(self) -> None:
        self._blocks: dict[SharedBlock, None] = {}
        self.is_kept = False
        """True while events are taken in: a block may have some that its series are yet to be given, which it could not
        fetch again, and questions on snapshots look for room between the steps."""

    def note(self, block: SharedBlock) -> None:
        """Note that a block is used, and unload those used longest ago, beyond LOADED."""
        self._blocks.pop(block, None)
        self._blocks[block] = None
        if not self.is_kept:
            for _ in self.trim():
                pass

    def drop(self, block: SharedBlock) -> None:
        """Forget a block that is let go of."""
        self._blocks.pop(block, None)

    def trim(self) -> Iterator[None]:
        """Unload the blocks beyond LOADED, in steps."""
        while len(self._blocks) > LOADED:
            oldest = next(iter(self._blocks))
            del self._blocks[oldest]
            oldest.unload()
            yield

    def check(self) -> None:
        """Assert every invariant. For tests."""
        assert len(self._blocks) <= LOADED
        assert all(block.loaded for block in self._blocks)
