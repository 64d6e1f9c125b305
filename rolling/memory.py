"""The memory that percentiles take: when there are too many sorted runs, those unused for longest go."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from rolling.cut import values_of
from rolling.percentiles import Percentiles
from rolling.ranks import Ranks
from rolling.scan import scan
from rolling.span import Range
from rolling.steps import Pause

SORTED_AT_ONCE = 8192
"""Maximum number of values of few ranges that are sorted for each question: that takes some 50 us."""
FEW_RANGES = 64
"""Maximum number of ranges that are few: each takes some 5 us more."""


class Memory:
    """The runs of all timelines, in a bounded number of bytes. Not thread safe: the caller holds the view's lock."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.ranks = Ranks()
        self._tick = 0  # counts questions
        self._ticks: deque[tuple[int, int]] = deque()  # moments, and the tick at each

    def percentiles(self, ranges: Sequence[Range], wanted: Percentiles, pause: Pause) -> list[float | None]:
        """Return the percentiles of these ranges together. O(log n) where they were asked for lately."""
        size = sum(begin - end for _, begin, end in ranges)
        if len(ranges) <= FEW_RANGES and size <= SORTED_AT_ONCE:
            return wanted.of(np.sort(values_of(ranges, pause)))
        if len(ranges) == 1:
            self._tick += 1
            tick = self._tick
            found = self.ranks.find(ranges[0], wanted.ranks(size), tick, lambda more: self._grant(more, tick), pause)
            if found is not None:
                return wanted.values(size, found)
        return scan(ranges, wanted, pause)

    def maintain(self, moment: int, idle: int) -> None:
        """Let go of runs nobody has asked for in `idle` microseconds before this moment. To be called now and then,
        with the moment of each call."""
        self._ticks.append((moment, self._tick))
        unused = -1
        while self._ticks[0][0] <= moment - idle:
            unused = self._ticks.popleft()[1]
        self.ranks.forget(unused)

    @property
    def held(self) -> int:
        """The bytes that all runs take."""
        return sum(holder.run.nbytes for holder in self.ranks.holders if holder.run is not None)

    def _grant(self, size: int, tick: int) -> bool:
        """Make room for `size` bytes at the cost of runs last asked for before a tick; False if that is not enough."""
        spare = self.most_bytes - self.held - size
        if spare >= 0:
            return True
        others = [holder for holder in self.ranks.holders if holder.run is not None and holder.used < tick]
        for holder in sorted(others, key=lambda holder: holder.used):
            assert holder.run is not None
            spare += holder.run.nbytes
            self.ranks.drop(holder)
            if spare >= 0:
                return True
        return False

    def check(self) -> None:
        """Assert every invariant. For tests."""
        self.ranks.check()
