"""A timeline: blocks of events in order of (time, position), under decks of summaries.

Whatever the order of arrival, an event goes to the one block whose stretch of time it falls in, so a
late event costs what a punctual one does. Every question is about a tail, the last so many events, or about a
range: those among the last `begin` events, but not among the last `end`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Generic

import numpy as np

from rolling.block import CAPACITY, EARLIEST, NOTHING, Block, Columns, Values, part
from rolling.deck import FAN_OUT, B, Deck
from rolling.exact import summarise, summarise_rows
from rolling.steps import Steps
from rolling.summary import Summary, exact

ADDED_SINGLY = 4
"""Up to so many events for one block are quicker added one by one."""
BULK = CAPACITY // 2
"""So many events at once, all behind those held, become blocks of their own."""

Path = list[Deck[B]]
Row = tuple[int, int, float]
"""Time, position and value of one event; rows compare as events are ordered."""


class Timeline(Generic[B]):
    """Blocks of kind B in order, from `first` on, each knowing the one `following` it."""

    COST = 1
    """How many times as long as from columns it takes to read its events."""

    __slots__ = ("_edge", "_root", "asked", "first", "last")

    def __init__(self, block: B) -> None:
        self.reset(block)

    def reset(self, block: B) -> None:
        """Hold this one block and nothing else."""
        self._root: Deck[B] | B = block
        self.first = block
        self.last = block
        self._edge: Path[B] = []  # the decks above the last block
        self.asked = False
        """Whether its lowest decks may have rows; read for each event, as looking at the decks would cost more."""

    def __len__(self) -> int:
        return self._root.summary.count

    @property
    def summary(self) -> Summary:
        """The summary of all its events. Not to be changed."""
        return self._root.summary

    def count_after(self, time: int) -> int:
        """How many events are later than `time`. O(log n)."""
        count = 0
        node = self._root
        while isinstance(node, Deck):
            index = node.index(time)
            for child in node.children[index + 1 :]:
                count += child.summary.count
            node = node.children[index]
        return count + node.count_after(time)

    def tail(self, count: int) -> Summary:
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
            taken.append(node.tail(count))
        return merged(taken)

    def tail_after(self, time: int) -> Summary:
        """A new summary of all events later than `time`. O(log n), and half the price of finding their count first."""
        if time < self.first.oldest:
            return self._root.summary.copy()
        taken = []
        node = self._root
        while isinstance(node, Deck):
            index = node.index(time)
            taken += [child.summary for child in node.children[index + 1 :]]
            node = node.children[index]
        if count := node.count_after(time):
            taken.append(node.tail(count))
        return merged(taken)

    def summarise(self, begin: int, end: int = 0) -> Summary:
        """A new summary of the last `begin` events without the last `end`, of those there are. O(log n)."""
        if not end:
            return self.tail(begin)
        taken: list[Summary] = []
        begin = min(begin, len(self))
        if end < begin:
            _cover(self._root, begin, end, taken)
        return merged(taken)

    def row(self, count: int) -> Row:
        """The oldest of the last `count` events, 1 <= count <= len. O(log n)."""
        node = self._root
        while isinstance(node, Deck):
            for child in reversed(node.children):
                if count <= child.summary.count:
                    node = child
                    break
                count -= child.summary.count
        times, positions, values = node.columns()
        return int(times[-count]), int(positions[-count]), float(values[-count])

    def rows(self, count: int) -> Columns:
        """The last `count` events, of those there are, in order. O(count)."""
        count = min(count, len(self))
        if not count:
            return NOTHING
        return part(joined(self.between(self.row(count)[0], self.last.newest)), -count, None)

    def blocks(self) -> Iterator[B]:
        """All blocks, in order."""
        block: B | None = self.first
        while block is not None:
            yield block
            block = block.following

    def between(self, oldest: int, newest: int) -> Iterator[Columns]:
        """All blocks that may hold events from `oldest` to `newest`, both included, in order."""
        node = self._root
        while isinstance(node, Deck):
            # Events of one time may begin in the block before the first that starts with that time.
            node = node.children[node.index(oldest - 1)]
        block: Block | None = node
        while block is not None and block.start <= newest:
            if block.newest >= oldest:
                yield block.columns()
            block = block.following

    def values(self, blocks: Sequence[B]) -> Iterator[Values]:
        """All values of neighbouring blocks, in no order; in pieces of which none takes more than some milliseconds."""
        yield np.concatenate([NOTHING[2], *(block.values() for block in blocks)])

    def to_read(self, blocks: Sequence[B], cut: Sequence[B]) -> Sequence[B]:
        """Which of these blocks of a deck to read for the events of some that a question cuts: neighbours of the cut
        ones too, where that costs less."""
        return cut

    def ordered(self, blocks: Sequence[B]) -> Steps[Columns]:
        """The events of some blocks, in order. Takes portions where they are read from many series; it means nothing if
        the blocks change meanwhile."""
        yield from ()
        return joined(block.columns() for block in blocks)

    def lowest(self) -> list[Deck[B]]:
        """The decks that hold blocks, in order."""
        decks = [self._root] if isinstance(self._root, Deck) else []
        while decks and isinstance(decks[0].children[0], Deck):
            decks = [child for deck in decks for child in deck.children if isinstance(child, Deck)]
        return decks

    def place(self, offset: int) -> tuple[Deck[B] | None, int, int]:
        """The lowest deck with the event before which so many stand, less than there are; which of its blocks holds
        it, and how many stand before it there. O(log n)."""
        parent, index = None, 0
        node = self._root
        while isinstance(node, Deck):
            parent, index = node, 0
            while offset >= (size := node.children[index].summary.count):
                offset -= size
                index += 1
            node = node.children[index]
        return parent, index, offset

    def add(self, time: int, value: float, position: int, parts: tuple[int, int]) -> B:
        """Take in one event, given with its `exact(value)`, at a position above all others. O(log n)."""
        if time >= self.last.start:
            path, block = self._edge, self.last
        else:
            path, block, _ = self.find(time)
        if block.summary.count >= CAPACITY:
            self.room(time, position)
            path, block, _ = self.find(time)
        block.append(time, value, position)
        units, square = parts
        block.summary.add(value, units, square)
        for deck in path:
            deck.summary.add(value, units, square)
        if self.asked and path and (row := path[-1].row) is not None:
            row.take(value)
        return block

    def add_many(self, columns: Columns, summaries: list[Summary] | None = None) -> Iterator[tuple[B, int, int]]:
        """Take in events that are in order, at positions above all others. Yields each block that took
        some, and which; runs to the end only when all is taken from it. `summaries` may give those of
        each CAPACITY of them."""
        times = columns[0]
        size = len(times)
        i = 0
        while i < size:
            path, block, end = self.find(int(times[i]))
            if end is None and size - i >= BULK and times[i] >= block.newest:
                yield from self._append(part(columns, i, size), i, summaries if i == 0 else None)
                return
            if block.summary.count >= CAPACITY:
                self.room(int(times[i]), int(columns[1][i]))
                continue
            j = size if end is None else int(times.searchsorted(end))
            j = min(j, i + CAPACITY - block.summary.count)
            block.expect(j - i)
            if j - i <= ADDED_SINGLY:
                for time, position, value in _each(part(columns, i, j)):
                    self.add(time, value, position, exact(value))
            else:
                self._extend(path, block, part(columns, i, j))
            yield block, i, j
            i = j

    def _extend(self, path: Path[B], block: B, columns: Columns) -> None:
        block.extend(columns)
        summary = summarise(columns[2])
        block.summary.merge(summary)
        _count_in(path, columns, summary)

    def _append(self, columns: Columns, offset: int, summaries: list[Summary] | None) -> Iterator[tuple[B, int, int]]:
        """New blocks behind all others, CAPACITY events each."""
        size = len(columns[0])
        summaries = summaries or summarise_rows(columns[2], CAPACITY)
        for i, summary in zip(range(0, size, CAPACITY), summaries, strict=True):
            j = min(i + CAPACITY, size)
            chunk = part(columns, i, j)
            new = self.last.successor(int(chunk[0][0]), int(chunk[1][0]))
            new.fill(chunk, summary)
            _count_in(self._edge, chunk, summary)
            self.insert(self._edge, self.last, new)
            yield new, i + offset, j + offset

    def find(self, time: int) -> tuple[Path[B], B, int | None]:
        """The block an event of this time belongs to, the decks above it, and where the next block starts."""
        path: Path[B] = []
        end = None
        node = self._root
        while isinstance(node, Deck):
            path.append(node)
            starts = node.starts
            if time >= starts[-1]:
                node = node.children[-1]
            else:
                index = node.index(time)
                end = starts[index + 1]
                node = node.children[index]
        return path, node, end

    def room(self, time: int, position: int) -> None:
        """Make room for an event where the block it belongs to is full."""
        path, block, end = self.find(time)
        if end is None and time >= block.newest:
            self.insert(path, block, block.successor(time, position))
        else:
            self.insert(path, block, block.split(last=end is None))

    def insert(self, path: Path[B], block: B, new: B) -> None:
        """Put a block behind `block`. The decks of `path` must count its events already."""
        new.following = block.following
        block.following = new
        if block is self.last:
            self.last = new
        self._grow(path, block, new)
        self._edge = self.find(self.last.start)[0]

    def _grow(self, path: Path[B], node: Deck[B] | B, new: Deck[B] | B) -> None:
        if not path:
            self._root = Deck([node, new])
            return
        deck = path[-1]
        deck.insert_after(node, new)
        if len(deck.children) > FAN_OUT:
            self._grow(path[:-1], deck, deck.split(last=deck.children[-1] is new))

    def drop(self, count: int, spare: B) -> B | None:
        """Let go of the blocks that lie whole among the first `count` events, and of empty ones before them; where
        that is all of them, `spare` takes their place. Returns the first block let go of, if any, for whom the others
        follow. O(log n), however many they are."""
        if count >= len(self):
            dropped = self.first
            self.reset(spare)
            return dropped
        node = self._behind(count)
        if node is self.first:
            return None
        dropped, self.first = self.first, node
        node.start, node.start_position = EARLIEST, 0
        self.settle()
        return dropped

    def settle(self) -> None:
        """Bring all in line with a new first block and with what has gone before it."""
        self.refresh_first()
        while isinstance(self._root, Deck) and len(self._root.children) == 1:
            self._root = self._root.children[0]
        self._edge = self.find(self.last.start)[0]

    def _behind(self, count: int) -> B:
        """The first block that ends behind the first `count` events, cut off from those before it."""
        node = self._root
        while isinstance(node, Deck):
            index = 0
            while node.children[index].summary.count <= count:
                count -= node.children[index].summary.count
                index += 1
            del node.children[:index]
            node = node.children[0]
        return node

    def refresh_first(self) -> None:
        """Bring the decks above the first block in line with it."""
        for deck in reversed(self.leftmost()):
            deck.refresh()

    def leftmost(self) -> Path[B]:
        """The decks above the first block."""
        path: Path[B] = []
        node = self._root
        while isinstance(node, Deck):
            path.append(node)
            node = node.children[0]
        return path

    def _check(self) -> None:
        """Every invariant of the structure, as assertions. O(n); for tests."""
        blocks = list(self._check_node(self._root))
        assert blocks[0] is self.first
        assert blocks[-1] is self.last
        assert self.last.following is None
        assert self.find(self.last.start)[:2] == (self._edge, self.last)
        assert (self.first.start, self.first.start_position) == (EARLIEST, 0)
        for left, right in pairwise(blocks):
            assert left.following is right
            assert left.newest <= right.start
            assert (left.start, left.start_position) <= (right.start, right.start_position)
        for block in blocks:
            block._check()
        depths = {depth for depth, _ in self._depths(self._root, 0)}
        assert len(depths) == 1

    def _check_node(self, node: Deck[B] | B) -> Iterator[B]:
        if not isinstance(node, Deck):
            yield node
            return
        assert 1 <= len(node.children) <= FAN_OUT
        assert node.starts == [child.start for child in node.children]
        whole = Summary()
        for child in node.children:
            yield from self._check_node(child)
            whole.merge(child.summary)
        assert whole == node.summary

    def _depths(self, node: Deck[B] | B, depth: int) -> Iterator[tuple[int, B]]:
        if not isinstance(node, Deck):
            yield depth, node
            return
        for child in node.children:
            yield from self._depths(child, depth + 1)


def _count_in(path: Path[B], columns: Columns, summary: Summary) -> None:
    """Have the decks of a path know of events that a block below them takes in."""
    for deck in path:
        deck.summary.merge(summary)
    if path and (row := path[-1].row) is not None:
        row.take_many(columns[2])


def _cover(node: Deck[B] | B, begin: int, end: int, taken: list[Summary]) -> None:
    """Add to `taken` what covers the node's last `begin` events without its last `end`; there is at least one."""
    if end <= 0 and begin >= node.summary.count:
        taken.append(node.summary)
    elif not isinstance(node, Deck):
        values = node.columns()[2]
        taken.append(summarise(values[max(len(values) - begin, 0) : len(values) - max(end, 0)]))
    else:
        for child in reversed(node.children):
            size = child.summary.count
            if end < size and size:
                _cover(child, begin, end, taken)
            begin -= size
            end -= size
            if begin <= 0:
                return


def _each(columns: Columns) -> Iterator[Row]:
    times, positions, values = columns
    return zip(times.tolist(), positions.tolist(), values.tolist(), strict=True)


def merged(summaries: Iterable[Summary]) -> Summary:
    """A new summary of all that these cover."""
    result = Summary()
    result.merge_all(summaries)
    return result


def joined(pieces: Iterable[Columns]) -> Columns:
    """These pieces, of which there must be one, as columns of their own."""
    times, positions, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return times, positions, values
