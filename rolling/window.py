"""One series: its live events, and the dead ones not worth removing yet.

Nothing here depends on when `prune` ran: every answer is worked out from the last so many events, and
how many of them are live follows from the cutoff and `keep` alone. Pruning only frees memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rolling.block import EARLIEST, Block, Columns, part
from rolling.timeline import Timeline, joined

PIECE = 2**18
"""How many events are let go of at a time."""


class RollingWindow(Timeline[Block]):
    """The events of one series in order of (time, arrival); the last `keep` of them outlive any cutoff."""

    __slots__ = ("forgotten", "keep", "own_keep", "taken")

    def __init__(self, keep: int, *, own_keep: bool = False) -> None:
        super().__init__(Block(EARLIEST, 0))
        self.keep = keep
        self.own_keep = own_keep
        """Whether it keeps so many whatever others keep."""
        self.taken = 0
        """How many events it was ever given."""
        self.forgotten = 0
        """The highest position of an event of it that is gone."""

    def live(self, cutoff: int) -> int:
        """How many events are later than `cutoff` or among the last `keep`."""
        return max(self.count_after(cutoff), min(len(self), self.keep))

    def within(self, oldest: tuple[int, int], end: tuple[int, int] | None) -> Columns | None:
        """The events from one (time, position) up to, not including, another; None without any."""
        newest = self.last.newest if end is None else end[0]
        pieces = [_cut(columns, oldest, end) for columns in self.between(oldest[0], newest)]
        pieces = [columns for columns in pieces if len(columns[0])]
        return joined(pieces) if pieces else None

    def change_keep(self, horizon: int, keep: int) -> None:
        """Keep so many from now on. What is dead under `horizon` must not come to life by that: it goes at once."""
        dead = self._drop_blocks(len(self) - self.live(horizon))
        if dead:
            self.forgotten = max(self.forgotten, int(self.first.columns()[1][:dead].max()))
            self.first.drop(dead)
            self.refresh_first()
        self.keep = keep

    def prune(self, horizon: int) -> None:
        """Let go of whole blocks that are dead under `horizon`."""
        if self.first.newest <= horizon and len(self) - self.first.summary.count >= self.keep:
            self._drop_blocks(len(self) - self.live(horizon))

    def _drop_blocks(self, count: int) -> int:
        """Let go of the blocks that lie whole among the first `count` events; how many of them are left."""
        before = len(self)
        if not before:
            return 0
        block = self.drop(count, Block(EARLIEST, 0))
        while block is not None and block is not self.first:
            self.forgotten = max(self.forgotten, block.highest)
            block = block.following
        return count - (before - len(self))

    def let_go(self) -> Iterator[None]:
        """Let go of everything, a piece at a time: to free ten million events at once would take a while."""
        while len(self):
            self._drop_blocks(PIECE)
            yield

    def _check(self) -> None:
        super()._check()
        times, positions, _ = self.rows(len(self))
        assert np.array_equal(np.lexsort((positions, times)), np.arange(len(times)))
        assert self.tail(len(self)) == self.summary


def _cut(columns: Columns, oldest: tuple[int, int], end: tuple[int, int] | None) -> Columns:
    """The rows from one (time, position) up to, not including, another."""
    start = _rank(columns, oldest)
    return part(columns, start, None if end is None else _rank(columns, end))


def _rank(columns: Columns, key: tuple[int, int]) -> int:
    """How many rows stand before a (time, position)."""
    times, positions, _ = columns
    low = int(times.searchsorted(key[0]))
    if low == len(times) or times[low] != key[0]:
        return low
    high = int(times.searchsorted(key[0], side="right"))
    return low + int(positions[low:high].searchsorted(key[1]))
