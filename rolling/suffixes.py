"""Suffix sums: the summaries of all tails of the blocks that moving windows cut.

A window that moves cuts the same block again and again. At the second cut the sums of all tails of that block are
worked out at once, as limbs; from then on a question takes one row of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rolling.block import CAPACITY, Block
from rolling.exact import WIDEST_ROW, cut_up, join, limb_sums, summarise
from rolling.recent import Recent
from rolling.summary import Summary

MOST_BLOCKS = 64
"""Maximum number of blocks that are remembered, least recently used first; each takes some 90 KB."""
MOST_SEEN = 16
"""Maximum number of blocks of which it is remembered that they were cut once: windows at random shall not pay for sums
that nobody asks for again."""

assert CAPACITY <= WIDEST_ROW  # else the sums of products are not exact


class SuffixSums:
    """The summary of each tail of one block, as the block was when this was made."""

    __slots__ = ("_maxima", "_minima", "_sums", "_unit", "_values")

    def __init__(self, block: Block) -> None:
        values = self._values = block.columns()[2].copy()  # a view would keep others from adding to the block
        self._sums = None
        cut = cut_up(values)
        if cut is not None:
            limbs, self._unit = cut
            self._sums = limb_sums(limbs, lambda row: row[::-1].cumsum())
            self._minima = np.minimum.accumulate(values[::-1])
            self._maxima = np.maximum.accumulate(values[::-1])

    def tail(self, count: int) -> Summary:
        """Return the summary of the last `count` events, at least one."""
        if self._sums is None:
            return summarise(self._values[-count:])
        last = count - 1
        totals, squares = (digits[:, last].tolist() for digits in self._sums)
        minimum, maximum = float(self._minima[last]), float(self._maxima[last])
        return Summary(count, join(totals, self._unit), join(squares, 2 * self._unit), minimum, maximum)


class _Cut(NamedTuple):
    """A block that was cut, its summary and size at that time, and its sums from the second cut on."""

    summary: Summary
    size: int
    sums: SuffixSums | None = None


class Suffixes:
    """The blocks that were cut lately. Not thread safe: the caller holds the lock of the windows."""

    def __init__(self) -> None:
        self._seen = Recent[Block, _Cut](MOST_SEEN)
        self._cuts = Recent[Block, _Cut](MOST_BLOCKS)

    def tail(self, block: Block, count: int) -> Summary:
        """Return the summary of the last `count` events of a block, at least one."""
        if count == block.summary.count:
            return block.summary
        sums = self._sums(block)
        return block.tail(count) if sums is None else sums.tail(count)

    def _sums(self, block: Block) -> SuffixSums | None:
        cut = self._cuts.pop(block, None) or self._seen.pop(block, None)
        if cut is None or cut.summary is not block.summary or cut.size != block.summary.count:
            self._seen.put(block, _Cut(block.summary, block.summary.count))
            return None
        if cut.sums is None:
            cut = cut._replace(sums=SuffixSums(block))
        return self._cuts.put(block, cut).sums

    def check(self, blocks: Mapping[Block, Callable[[Any], Block]]) -> None:
        """Assert every invariant for the blocks of these that are held; each is given with what opens it. For
        tests."""
        assert len(self._cuts) <= MOST_BLOCKS
        assert len(self._seen) <= MOST_SEEN
        for block in self._cuts.keys() & blocks.keys():
            cut = self._cuts[block]
            if cut.sums is not None and cut.summary is block.summary and cut.size == block.summary.count:
                values = blocks[block](block).columns()[2].copy()
                for count in {1, len(values) // 2 + 1, len(values)}:
                    assert cut.sums.tail(count) == summarise(values[-count:])
