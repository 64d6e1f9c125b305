"""Units: what a range has of each lowest deck of its timeline, or of a timeline of a single block, to be read alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from rolling.block import NOTHING, Block, Values
from rolling.deck import Deck
from rolling.span import Range
from rolling.steps import Steps, finished
from rolling.summary import Summary
from rolling.timeline import Timeline

Key = tuple[int, int, int, int]


class Unit(NamedTuple):
    """The last `begin` events of a deck or block without its last `end`, as it was with so many under this summary."""

    timeline: Timeline[Any]
    node: Deck[Any] | Block
    summary: Summary
    size: int
    begin: int
    end: int

    @property
    def holds(self) -> bool:
        """Whether its timeline still has it, with the same events, whatever else has changed there."""
        return (
            self.node.summary is self.summary
            and self.summary.count == self.size
            and self.node in (self.timeline.lowest() or [self.timeline.first])
        )

    @property
    def key(self) -> Key:
        """Two that are held at the same time have the same if they are of the same events."""
        return id(self.summary), self.size, self.begin, self.end


def units(part: Range) -> Iterator[Unit]:
    """Those of a range, the last first."""
    timeline, begin, end = part
    behind = 0
    for node in reversed(timeline.lowest() or [timeline.first]):
        summary = node.summary
        size = summary.count
        first, last = min(begin - behind, size), max(end - behind, 0)
        if last < first:
            yield Unit(timeline, node, summary, size, first, last)
        behind += size
        if behind >= begin:
            return


def read(unit: Unit) -> Steps[Values]:
    """The values of a unit that holds, in no order. Takes portions where they are read from many series; they mean
    nothing if it does not hold at the end."""
    rest, before = unit.begin - unit.end, unit.size - unit.begin
    node = unit.node
    blocks: list[Any] = list(node.children) if isinstance(node, Deck) else [node]
    pieces, whole = [NOTHING[2]], []
    for block in blocks:
        count = block.summary.count
        size = min(count - before, rest)
        if size == count:
            whole.append(block)
        elif size > 0:
            # A view that outlives this portion would keep others from adding to the block.
            pieces.append(block.columns()[2][before : before + size].copy())
        before, rest = max(before - count, 0), rest - max(size, 0)
        if not rest:
            break
    for number, piece in enumerate(unit.timeline.values(whole)):
        if number:
            yield
        pieces.append(piece)
    return np.concatenate(pieces)


def values_of(ranges: Iterable[Range]) -> Values:
    """All values of these ranges, in no order."""
    return np.concatenate([NOTHING[2], *(finished(read(unit)) for part in ranges for unit in units(part))])
