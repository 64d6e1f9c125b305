"""A timeline: blocks of events in order of (time, position), under decks of summaries.

Whatever the order of arrival, an event goes to the one block whose stretch of time it falls in, so a
late event costs what a punctual one does. Every question is about a tail, which is the last n events, or about a
range: those among the last `begin` events, but not among the last `end`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rolling.block import CAPACITY, NOTHING, Columns, Values, part
from rolling.deck import B, Deck
from rolling.exact import summarise, summarise_rows
from rolling.steps import Pause
from rolling.suffixes import Suffixes
from rolling.summary import Summary, exact
from rolling.tree import Path, Tree

ADDED_SINGLY = 4
"""Maximum number of events for one block that are quicker added one by one."""
BULK = CAPACITY // 2
"""Minimum number of events that become blocks of their own, if they come at once and are later than all held."""

Row = tuple[int, int, float]
"""Time, position and value of one event; rows compare as events are ordered."""
Taken = tuple[B, int, int] | None
"""A block, and the rows of some columns that it has taken in, from and to; None between two chunks of other work."""


class Timeline(Tree[B]):
    """Events in blocks of kind B."""

    __slots__ = ()

    def count_after(self, time: int) -> int:
        """Return the number of events that are later than `time`. O(log n)."""
        count = 0
        node = self._root
        while isinstance(node, Deck):
            index = node.index(time)
            for child in node.children[index + 1 :]:
                count += child.summary.count
            node = node.children[index]
        if node.oldest <= time < node.newest:
            self.open(node)
        return count + node.count_after(time)

    def tail(self, count: int, suffixes: Suffixes | None = None) -> Summary:
        """A new summary of the last `count` events, of those there are. O(log n)."""
        node = self._root
        if count >= node.summary.count:
            return node.summary.copy()
        taken = []
        while isinstance(node, Deck):
            for child in reversed(node.children):
                if count < child.summary.count:
                    node = child
                    break
                taken.append(child.summary)
                count -= child.summary.count
        if count:
            self.open(node)
            taken.append(suffixes.tail(node, count) if suffixes else node.tail(count))
        found = Summary()
        found.merge_all(taken)
        return found

    def row(self, count: int) -> Row:
        """The oldest of the last `count` events, 1 <= count <= len. O(log n)."""
        node = self._root
        while isinstance(node, Deck):
            for child in reversed(node.children):
                if count <= child.summary.count:
                    node = child
                    break
                count -= child.summary.count
        return self.open(node).row(-count)

    def rows(self, count: int) -> Columns:
        """The last `count` events, of those there are, in order. O(count)."""
        count = min(count, len(self))
        if not count:
            return NOTHING
        return part(joined(self.between(self.row(count)[0], self.last.newest)), -count, None)

    def between(self, oldest: int, newest: int) -> Iterator[Columns]:
        """All blocks that may hold events from `oldest` to `newest`, both included, in order."""
        for block in self.blocks(oldest, newest):
            if block.newest >= oldest:
                yield self.open(block).columns()

    def drop_rows(self, count: int) -> None:
        """Let go of the first `count` events of the first block, not of all."""
        self.own_first()
        self.open(self.first).drop(count)
        self.refresh_first()

    def values(self, blocks: Sequence[B], pause: Pause) -> Values:
        """A copy of all values of neighbouring blocks, in no order."""
        return np.concatenate([NOTHING[2], *(block.values() for block in blocks)])

    def to_read(self, blocks: Sequence[B], cut: Sequence[B]) -> Sequence[B]:
        """Return the blocks of a deck to read for the events of those that a question cuts: neighbours of these too,
        where that costs less."""
        return cut

    def ordered(self, blocks: Sequence[B], pause: Pause) -> Columns:
        """The events of some blocks, in order."""
        return joined(block.columns() for block in blocks)

    def add(self, time: int, value: float, position: int, parts: tuple[int, int]) -> B:
        """Take in one event, given with its `exact(value)`, at a position above all others. O(log n)."""
        if time >= self.last.start:
            path, block = self._edge, self.last  # owned, and without a run
        else:
            path, block = self._late(time, value)
        if block.summary.count >= CAPACITY:
            self.room(time, position)
            path, block = self.own(*self.find(time)[:2])
        block.append(time, value, position)
        units, square = parts
        block.summary.add(value, units, square)
        for deck in path:
            deck.summary.add(value, units, square)
        return block

    def _late(self, time: int, value: float) -> tuple[Path[B], B]:
        """Return the block for a late event, and the decks above it."""
        path, block, _ = self.find(time)
        path, block = self.own(path, block)
        if path and path[-1].held is not None:
            path[-1].take(np.array([value]))
        return path, block

    def add_many(self, columns: Columns) -> Iterator[Taken[B]]:
        """Take in events that are in order, at positions above all others; runs to the end only when all is taken
        from it."""
        times = columns[0]
        size = len(times)
        i = 0
        while i < size:
            path, block, end = self.find(int(times[i]))
            if end is None and size - i >= BULK and times[i] >= block.newest:
                yield from self._append(part(columns, i, size), i)
                return
            if block.summary.count >= CAPACITY:
                if (end is not None or times[i] < block.newest) and self.prepare(block, 0):
                    yield None
                self.room(int(times[i]), int(columns[1][i]))
                continue
            path, block = self.own(path, block)
            j = size if end is None else int(times.searchsorted(end))
            j = min(j, i + CAPACITY - block.summary.count)
            if self.prepare(block, j - i):
                yield None
            if j - i <= ADDED_SINGLY:
                for time, position, value in each(part(columns, i, j)):
                    self.add(time, value, position, exact(value))
            else:
                chunk = part(columns, i, j)
                block.extend(chunk)
                summary = summarise(chunk[2])
                block.summary.merge(summary)
                _count_in(path, chunk, summary)
            yield block, i, j
            i = j

    def prepare(self, block: B, count: int) -> bool:
        """See that a block can take `count` more events, or split if that is none. True if that took long."""
        return False

    def _append(self, columns: Columns, offset: int) -> Iterator[Taken[B]]:
        """New blocks behind all others, CAPACITY events each."""
        size = len(columns[0])
        for i, summary in zip(range(0, size, CAPACITY), summarise_rows(columns[2], CAPACITY), strict=True):
            j = min(i + CAPACITY, size)
            chunk = part(columns, i, j)
            new = type(self.last)(int(chunk[0][0]), int(chunk[1][0]), self.epochs.now)
            new.fill(chunk, summary)
            _count_in(self._edge, chunk, summary)
            self.insert(self._edge, self.last, new)
            yield new, i + offset, j + offset


def _count_in(path: Path[B], columns: Columns, summary: Summary) -> None:
    """Have the decks of a path know of events that a block below them takes in."""
    for deck in path:
        deck.summary.merge(summary)
    if path:
        path[-1].take(columns[2])


def each(columns: Columns) -> Iterator[Row]:
    """The events of some columns, one by one."""
    times, positions, values = columns
    return zip(times.tolist(), positions.tolist(), values.tolist(), strict=True)


def joined(pieces: Iterable[Columns]) -> Columns:
    """These pieces, of which there must be one, as columns of their own."""
    times, positions, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return times, positions, values
