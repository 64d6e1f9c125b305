"""A cut: what a range of a timeline comes to, as whole decks, whole blocks, and parts of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from rolling.block import NOTHING, Block, Values
from rolling.deck import Deck, lowest
from rolling.span import Range
from rolling.steps import Pause

PORTION = 2**15
"""Number of values that are read at a time, roughly: some milliseconds of work."""
SMALLEST = 100
"""Minimum number of values that a chunk counts as: finding a smaller one costs as much."""


class Cut(NamedTuple):
    """Decks wholly inside a range, but for those above the last block of all; the whole blocks of each other deck, but
    for that one; and from where to where it goes in the remaining blocks."""

    decks: list[Deck[Any]]
    edges: list[list[Block]]
    loose: list[tuple[Block, int, int]]

    def lowest(self) -> Iterator[Deck[Any]]:
        """Yield the decks of blocks at or below those of it."""
        for deck in self.decks:
            yield from lowest(deck)

    def groups(self) -> Iterator[list[Any]]:
        """Yield all whole blocks, those of one deck at a time."""
        for deck in self.lowest():
            yield deck.children
        yield from self.edges


def cut(part: Range) -> Cut:
    """Return what a range comes to. O(log n)."""
    timeline, begin, end = part
    size = len(timeline)
    if timeline.first is timeline.last:  # as of most of many series
        return Cut([], [], [(timeline.first, max(size - begin, 0), size - end)])
    found = Cut([], [], [])
    _collect(timeline, timeline._root, max(size - begin, 0), size - end, found)
    return found


def blocks_of(part: Range) -> Iterator[tuple[Block, int, int]]:
    """All blocks of a range, and from where to where it goes in each."""
    found = cut(part)
    for blocks in found.groups():
        yield from ((block, 0, block.summary.count) for block in blocks)
    yield from found.loose


def _collect(timeline: Any, node: Deck[Any] | Block, start: int, end: int, found: Cut) -> None:
    """Add the events of a node from one place up to another."""
    size = node.summary.count
    whole = start <= 0 and end >= size and _last(node) is not timeline.last
    if isinstance(node, Block):
        if whole:
            found.edges[-1].append(node)
        else:
            found.loose.append((node, max(start, 0), min(end, size)))
    elif whole:
        found.decks.append(node)
    else:
        blocks = isinstance(node.children[0], Block)
        if blocks:
            found.edges.append([])
        for child in node.children:
            count = child.summary.count
            if start < count and end > 0 and count:
                _collect(timeline, child, start, end, found)
            start -= count
            end -= count
        if blocks and not found.edges[-1]:
            del found.edges[-1]


def _last(node: Deck[Any] | Block) -> Block:
    while isinstance(node, Deck):
        node = node.children[-1]
    return node


def loose_values(timeline: Any, loose: list[tuple[Block, int, int]]) -> Iterator[Values]:
    """The values of parts of blocks; copies, since a block whose array is looked at cannot grow."""
    for block, start, end in loose:
        yield np.frombuffer(timeline.open(block).piece(start, end))


def pieces(ranges: Sequence[Range], pause: Pause) -> Iterator[Values]:
    """All values of these ranges, in no order, about PORTION at a time."""
    some: list[Values] = []
    work = 0
    for part in ranges:
        for values in _pieces(part, pause):
            some.append(values)
            work += max(len(values), SMALLEST)
            if work >= PORTION:
                yield np.concatenate(some)
                some, work = [], 0
                pause()
    yield np.concatenate([NOTHING[2], *some])


def _pieces(part: Range, pause: Pause) -> Iterator[Values]:
    found = cut(part)
    for blocks in found.groups():
        yield part.timeline.values(blocks, pause)
    yield from loose_values(part.timeline, found.loose)


def values_of(ranges: Sequence[Range], pause: Pause) -> Values:
    """All values of these ranges, in no order."""
    return np.concatenate(list(pieces(ranges, pause)))
