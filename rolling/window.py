"""One series: its live events, and the dead ones not worth removing yet.

Nothing here depends on when `prune` ran: every answer is worked out from the last events, and
the number of live ones follows from the cutoff and `keep` alone. Pruning only frees memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import numpy as np

from rolling.block import CAPACITY, EARLIEST, LATEST, NOTHING, Block, Columns, part
from rolling.epochs import Epochs
from rolling.steps import Pause
from rolling.timeline import Timeline, joined

COPIED = CAPACITY // 4
"""Number of events from which on the last block is not copied for the first event after a snapshot: more would take the
memory of many series twice, fewer would leave them in small blocks."""
PIECE = 2**18
"""Maximum number of events that are let go of at a time."""


class RollingWindow(Timeline[Block]):
    """The events of one series in order of (time, arrival); the last `keep` of them outlive any cutoff."""

    __slots__ = ("_gone_until", "epoch", "forgotten", "keep", "own_keep", "taken")

    def __init__(self, keep: int, epochs: Epochs | None = None, *, own_keep: bool = False) -> None:
        super().__init__(Block(EARLIEST, 0), epochs)
        self.epoch = self.epochs.now
        self.keep = keep
        self.own_keep = own_keep
        """True if the series has a keep of its own, which the rules do not change."""
        self.taken = 0
        """Number of events that it was ever given."""
        self.forgotten = 0
        """The highest position of an event of it that is gone."""
        self._gone_until = EARLIEST

    def copy(self) -> RollingWindow:
        """Return another window of the same events, which may be written to in this epoch. A last block of many events
        is not copied: what comes on time goes to a new one behind it."""
        other, last = copy(self), self.last
        other.epoch = self.epochs.now
        if last.summary.count < COPIED:
            other.own_last()
        else:
            new = Block(last.newest, last.newest_position + 1, self.epochs.now)
            other.insert(other.own_decks(self._edge), last, new)
        return other

    def live(self, cutoff: int) -> int:
        """Return the number of events that are later than `cutoff` or among the last `keep`."""
        return max(self.count_after(cutoff), min(len(self), self.keep))

    def kept_since(self) -> tuple[int, int]:
        """The (time, position) from which on an event that is not later than the horizon may be live."""
        if not self.keep:
            return LATEST, 0
        return self.row(self.keep)[:2] if self.keep <= len(self) else (EARLIEST, 0)

    @property
    def latest(self) -> int:
        """The time of its last event; where it has none left, one not before that."""
        return self.last.newest if len(self) else self._gone_until

    def forget(self, position: int, until: int) -> None:
        """Note that events are gone that it was never given: up to a position, and none later than a time."""
        self.forgotten = max(self.forgotten, position)
        self._gone_until = max(self._gone_until, until)

    def behind(self, after: int, limit: int, pause: Pause) -> Columns:
        """Its first `limit` events behind a position, in order of position. O(blocks)."""
        found = NOTHING
        pieces: list[Columns] = []
        waiting, end = 0, LATEST
        for block in self.blocks():
            if block.highest > after and block.lowest <= end and block.summary.count:
                pieces.append(_standing(block.columns(), after, end))
                waiting += len(pieces[-1][1])
            if waiting > limit + CAPACITY:
                found = _first([found, *pieces], limit)
                pieces, waiting, end = [], 0, int(found[1][-1])
            pause()
        return _first([found, *pieces], limit)

    def within(self, oldest: tuple[int, int], end: tuple[int, int] | None) -> Columns | None:
        """The events from one (time, position) up to, not including, another; None without any."""
        newest = self.last.newest if end is None else end[0]
        pieces = [_cut(columns, oldest, end) for columns in self.between(oldest[0], newest)]
        pieces = [columns for columns in pieces if len(columns[0])]
        return joined(pieces) if pieces else None

    def change_keep(self, horizon: int, keep: int) -> None:
        """Change the keep. What is dead under `horizon` must not come to life by that: it goes at once."""
        dead = self._drop_blocks(len(self) - self.live(horizon))
        if dead:
            times, positions, _ = self.first.columns()
            self.forget(int(positions[:dead].max()), int(times[dead - 1]))
            self.drop_rows(dead)
        self.keep = keep

    def may_prune(self, horizon: int) -> bool:
        """Say whether there may be whole blocks that are dead under `horizon`. Cheap: asked of all."""
        return self.first.newest <= horizon and len(self) - self.first.summary.count >= self.keep

    def prune(self, horizon: int) -> None:
        """Let go of whole blocks that are dead under `horizon`."""
        self._drop_blocks(len(self) - self.live(horizon))

    def _drop_blocks(self, count: int) -> int:
        """Let go of the blocks that lie whole among the first `count` events; return the number of events left."""
        before = len(self)
        if not before:
            return 0
        for block in self.drop(count, Block(EARLIEST, 0)):
            self.forget(block.highest, block.newest)
        return count - (before - len(self))

    def let_go(self) -> Iterator[None]:
        """Let go of everything, a chunk at a time: to free ten million events at once would take a while."""
        while len(self):
            self._drop_blocks(PIECE)
            yield

    def check(self) -> None:
        super().check()
        times, positions, _ = self.rows(len(self))
        assert np.array_equal(np.lexsort((positions, times)), np.arange(len(times)))
        assert self.tail(len(self)) == self.summary


def _standing(columns: Columns, after: int, end: int) -> Columns:
    """The rows behind a position, up to another one."""
    times, positions, values = columns
    rows = np.flatnonzero((positions > after) & (positions <= end))
    return times[rows], positions[rows], values[rows]


def _first(pieces: list[Columns], limit: int) -> Columns:
    """The first `limit` events of these by position, each once."""
    times, positions, values = joined(pieces)
    positions, rows = np.unique(positions, return_index=True)
    return times[rows[:limit]], positions[:limit], values[rows[:limit]]


def _cut(columns: Columns, oldest: tuple[int, int], end: tuple[int, int] | None) -> Columns:
    """The rows from one (time, position) up to, not including, another."""
    start = rank(columns, oldest)
    return part(columns, start, None if end is None else rank(columns, end))


def rank(columns: Columns, key: tuple[int, int]) -> int:
    """Return the number of rows before a (time, position)."""
    times, positions, _ = columns
    low = int(times.searchsorted(key[0]))
    if low == len(times) or times[low] != key[0]:
        return low
    high = int(times.searchsorted(key[0], side="right"))
    return low + int(positions[low:high].searchsorted(key[1]))
