"""All series as one: the recent events of every series in one order, without a second copy of them.

Its blocks hold summaries and know which series have events in them. Only the newest blocks, and those
a question has cut through lately, hold columns; another fetches its own from the series when asked.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator, Mapping, Sequence
from copy import copy
from itertools import islice

import numpy as np

from rolling.block import CAPACITY, EARLIEST, NOTHING, Columns, Values
from rolling.deck import Deck
from rolling.epochs import Epochs
from rolling.exact import summarise
from rolling.shared_block import Ids, Loaded, SharedBlock
from rolling.steps import Pause, nothing
from rolling.summary import Summary
from rolling.timeline import Timeline, joined
from rolling.tree import Path
from rolling.window import RollingWindow

Stretch = tuple[tuple[int, int], tuple[int, int]]
"""From one (time, position) up to, not including, another."""

BLOCKS_A_STEP = 4
"""Maximum number of blocks that take events in, or lose those of a series, at a time."""
UNLOADED_A_STEP = 64
"""Number of blocks that are unloaded at a time."""
MEMBERS_AT_ONCE = 100
"""Number of series that are looked into between two pauses: a millisecond of work."""
LOADED_SINGLY = 2
"""Maximum number of blocks without columns that load them one by one for a question about several."""


class AllSeries(Timeline[SharedBlock]):
    """The events of all series that are later than the horizon: those and no others, so that what the series
    have let go of, or took in too late, is never missed or met when a block fetches its columns."""

    __slots__ = ("_loaded", "_windows", "pause")

    def __init__(self, windows: Mapping[int, RollingWindow], epochs: Epochs | None = None) -> None:
        self._windows = windows
        self._loaded = Loaded()
        self.pause: Pause = nothing
        """Is called while a block gathers its columns for a question."""
        super().__init__(SharedBlock(EARLIEST, 0), epochs)

    def snapshot(self, windows: Mapping[int, RollingWindow]) -> AllSeries:
        """Return a snapshot, which fetches columns from these windows. To be called when an epoch has ended."""
        other = copy(self)
        other._windows = windows
        self.own_last()
        return other

    def own(self, path: Path[SharedBlock], block: SharedBlock) -> tuple[Path[SharedBlock], SharedBlock]:
        path, owned = super().own(path, block)
        if owned is not block and owned.loaded:
            self._loaded.note(owned)
        return path, owned

    def insert(self, path: Path[SharedBlock], block: SharedBlock, new: SharedBlock) -> None:
        super().insert(path, block, new)
        if new.loaded:  # most likely the newest of all, which will be asked for soon
            self._loaded.note(new)

    def take(self, series: int, time: int, value: float, position: int, parts: tuple[int, int]) -> None:
        """`add` for an event of a series. To be called before the series takes it."""
        block = self.add(time, value, position, parts)
        block.note(series)
        if block.summary.count == 1:
            self._loaded.note(block)

    def take_many(self, ids: Ids, columns: Columns) -> Iterator[None]:
        """`add_many` for events of several series, in steps. To be called before the series take them; until the last
        step nothing may be asked of any of them."""
        alone = bool((ids == ids[0]).all())
        self._loaded.is_kept = True
        for number, taken in enumerate(self.add_many(columns), 1):
            if taken is not None:
                block, i, j = taken
                block.note_many(ids[i:j], alone=alone)
            if taken is None or number % BLOCKS_A_STEP == 0:
                yield
        self._loaded.is_kept = False
        yield from islice(self._loaded.trim(), None, None, UNLOADED_A_STEP)

    def ready(self, time: int) -> bool:
        """See that an event of this time can be taken in at once. True if that took long."""
        _, block, end = self.find(time)
        return block.summary.count >= CAPACITY and (end is not None or time < block.newest) and self.prepare(block, 0)

    def prepare(self, block: SharedBlock, count: int) -> bool:
        """A block that gets full may have to split before the series have the events: then it must hold them itself.
        A new block, most likely the newest of all, will be asked for soon."""
        if block.summary.count and block.summary.count + count < CAPACITY:
            return False
        fetches = not block.loaded
        if fetches:
            block.hold(*self._fetched([block], nothing))
        self._loaded.note(block)
        return fetches

    def prune(self, horizon: int) -> None:
        """Let go of all events that are not later than `horizon`. To be called before the series do."""
        if self.first.oldest > horizon:
            return
        dead = before = len(self)
        dead -= self.count_after(horizon)
        for block in self.drop(dead, SharedBlock(EARLIEST, 0)):
            self._loaded.drop(block)
        dead -= before - len(self)
        if dead:
            self.drop_rows(dead)

    def remove(self, series: int, window: RollingWindow) -> Iterator[None]:
        """Let go of the events of a series, whose window has gone from the others: a block at a time. Until the last
        step nothing may be asked of it or added."""
        root = yield from self._without(series, window, self._root)
        if root is None:
            self.reset(SharedBlock(EARLIEST, 0))
        else:
            self.adopt(root)

    def _without(
        self, series: int, window: RollingWindow, node: Deck[SharedBlock] | SharedBlock
    ) -> Generator[None, None, Deck[SharedBlock] | SharedBlock | None]:
        """Return `node` without a series: `node` itself where it has nothing of it, None where nothing is left."""
        if isinstance(node, Deck):
            found = []
            for child in node.children:
                found.append((yield from self._without(series, window, child)))  # noqa: PERF401  no yield in a list
            left = [child for child in found if child is not None]
            same = left == node.children and sum(child.summary.count for child in left) == node.summary.count
            return node if same else Deck(left, self.epochs.now) if left else None
        yield
        if series in node.members:
            node = self._subtract(series, window, node)
        if node.summary.count:
            return node
        self._loaded.drop(node)
        return None

    def _subtract(self, series: int, window: RollingWindow, block: SharedBlock) -> SharedBlock:
        """Return a block without the events of a series; of its summary those are taken off, where that can be told
        from them alone."""
        columns = window.within(*_span(block, block))
        if columns is None:
            return block
        if block.epoch <= self.epochs.frozen:
            block = block.copy(self.epochs.now)
            if block.loaded:
                self._loaded.note(block)
        whole, own = block.summary, summarise(columns[2])
        inside = block.oldest < columns[0][0] and columns[0][-1] < block.newest
        if block.loaded or not inside or not whole.minimum < own.minimum <= own.maximum < whole.maximum:
            block.replace(*self._fetched([block], nothing))
            return block
        block.forget(series)
        total, squares = whole.total - own.total, whole.squares - own.squares
        block.summary = Summary(whole.count - own.count, total, squares, whole.minimum, whole.maximum)
        return block

    def open(self, block: SharedBlock) -> SharedBlock:
        """Return a block, with its columns at hand at the cost of the one used longest ago."""
        if not block.loaded:
            found = self._fetched([block], self.pause)
            if not block.loaded:  # else another question did the same meanwhile
                block.hold(*found)
        self._loaded.note(block)
        return block

    def values(self, blocks: Sequence[SharedBlock], pause: Pause) -> Values:
        """A copy of all values of neighbouring blocks; where one holds no columns, each series has to be looked into
        but once for all the blocks."""
        held = [block for block in blocks if block.summary.count]
        if all(block.loaded for block in held):
            return super().values(held, pause)
        return self._gather(held, pause)[0][2]

    def to_read(self, blocks: Sequence[SharedBlock], cut: Sequence[SharedBlock]) -> Sequence[SharedBlock]:
        """All from the first cut one to the last, where several hold no columns: see `values`."""
        if sum(not block.loaded for block in cut) <= LOADED_SINGLY:
            return cut
        return [block for block in blocks[blocks.index(cut[0]) : blocks.index(cut[-1]) + 1] if block.summary.count]

    def ordered(self, blocks: Sequence[SharedBlock], pause: Pause) -> Columns:
        """The events of some blocks, in order; those of neighbours, if several hold no columns."""
        if sum(not block.loaded for block in blocks) <= LOADED_SINGLY:
            return joined([self.open(block).columns() for block in blocks])
        return self._fetched(blocks, pause)[0]

    def _fetched(self, blocks: Sequence[SharedBlock], pause: Pause) -> tuple[Columns, Ids]:
        """The events of neighbouring blocks from the series that have them, in order, and of which each is."""
        (times, positions, values), ids = self._gather(blocks, pause)
        order = np.lexsort((positions, times))
        return (times[order], positions[order], values[order]), ids[order]

    def _gather(self, blocks: Sequence[SharedBlock], pause: Pause) -> tuple[Columns, Ids]:
        """The same, in no order."""
        members = np.unique(np.concatenate([np.frombuffer(block.members, np.uint32) for block in blocks])).tolist()
        start, end = _span(blocks[0], blocks[-1])
        pieces, owners, sizes = [NOTHING], array("I"), array("q")
        for some in range(0, len(members), MEMBERS_AT_ONCE):
            chunk = [NOTHING]
            for member in members[some : some + MEMBERS_AT_ONCE]:
                columns = self._windows[member].within(start, end) if member in self._windows else None
                if columns is not None:
                    owners.append(member)
                    sizes.append(len(columns[0]))
                    chunk.append(columns)
            pieces.append(joined(chunk))  # all at once at the end would take long
            pause()
        return joined(pieces), np.repeat(np.array(owners), np.array(sizes))

    def check(self) -> None:
        super().check()
        self._loaded.check()
        for block in self.blocks():
            columns, members = self._fetched([block], nothing)
            assert summarise(columns[2]) == block.summary
            if len(columns[0]):
                assert (columns[0][0], columns[0][-1]) == (block.oldest, block.newest)
                assert block.newest_position == columns[1][-1]
            if block.loaded:
                assert [column.tolist() for column in block.columns()] == [column.tolist() for column in columns]
                assert block.members.tolist() == members.tolist()
            assert set(members) <= set(block.members)
            assert len(block.members) <= block.summary.count


def _span(first: SharedBlock, last: SharedBlock) -> Stretch:
    """The (time, position) where the events from one block to another begin, and one behind them; the first is not
    empty."""
    begin = max((first.start, first.start_position), (first.oldest, 0))
    return begin, (last.newest, last.newest_position + 1)
