"""The memory that percentiles take: which timelines have sorted rows, and whose rows go when there are too many."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from rolling.percentiles import Percentiles
from rolling.ranks import Ranks
from rolling.scan import scan
from rolling.span import Range
from rolling.steps import Steps
from rolling.timeline import Timeline
from rolling.units import values_of

SORTED_AT_ONCE = 8192
"""Up to so many values of few ranges are sorted for each question: that takes some 50 us."""
FEW_RANGES = 64
"""So many ranges are few: each takes some 5 us more."""
FOLDED_AT_ONCE = 4
"""So many rows a question may bring up to date, some 100 us each."""


class Memory:
    """The rows of all timelines, in a bounded number of bytes. Not thread safe: the caller holds the view's lock."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._ranks: dict[Timeline[Any], Ranks] = {}  # least recently used first
        self._bytes: dict[Ranks, int] = {}  # what each took when it was last weighed
        self._held = 0  # all of those
        self._tick = 0  # counts questions
        self._ticks: deque[tuple[int, int]] = deque()  # moments, and the tick at each

    def percentiles(self, where: Callable[[], list[Range]], wanted: Percentiles) -> Steps[list[float | None]]:
        """The percentiles of these ranges together. O(log n) where they were asked for lately."""
        ranges = where()
        if len(ranges) <= FEW_RANGES and sum(begin - end for _, begin, end in ranges) <= SORTED_AT_ONCE:
            return wanted.of(np.sort(values_of(ranges)))
        if len(ranges) == 1:
            found = yield from self._by_rows(where, wanted)
            if found is not None:
                return found
        return (yield from scan(where, wanted))

    def maintain(self, moment: int, idle: int) -> Iterator[None]:
        """Sort late values in where many wait, and let go of rows nobody has asked for in `idle` microseconds before
        this moment; yields between portions. To be called now and then, with the moment of each call."""
        self._ticks.append((moment, self._tick))
        unused = -1
        while self._ticks[0][0] <= moment - idle:
            unused = self._ticks.popleft()[1]
        for timeline, ranks in list(self._ranks.items()):
            while (oldest := ranks.oldest()) is not None and oldest[0] <= unused:
                ranks.drop(oldest[1])
            self._weigh(ranks)
            if ranks.used <= unused and self._ranks.pop(timeline, None) is not None:
                self._held -= self._bytes.pop(ranks)
            else:
                yield from ranks.fold()

    def _by_rows(self, where: Callable[[], list[Range]], wanted: Percentiles) -> Steps[list[float | None] | None]:
        """The percentiles of one range; None if it ceases to be one, or its rows find no room."""
        self._tick += 1
        tick = self._tick
        timeline = where()[0].timeline
        ranks = self._ranks.pop(timeline, None) or Ranks(timeline)
        self._ranks[timeline] = ranks
        while True:
            yield from ranks.prepare(lambda: _only(where()), tick, lambda size: self._grant(ranks, size, tick))
            ranges = where()
            if len(ranges) != 1 or ranges[0].timeline is not timeline or not ranks.ready(*_only(ranges)):
                return None
            for _ in islice(ranks.fold(), FOLDED_AT_ONCE):
                pass
            begin, end = _only(ranges)
            found = ranks.find(begin, end, wanted.ranks(begin - end))
            self._weigh(ranks)
            if found is not None:
                return wanted.values(begin - end, found)
            yield

    def _grant(self, asking: Ranks, size: int, tick: int) -> bool:
        """Make room for so many bytes at the cost of what was asked for before a tick; False if that is not enough."""
        self._weigh(asking)
        while self._held + size > self._most_bytes:
            for ranks in self._ranks.values():
                oldest = ranks.oldest()
                if oldest is not None and oldest[0] < tick:
                    ranks.drop(oldest[1])
                    self._weigh(ranks)
                    break
            else:
                return False
        return True

    def _weigh(self, ranks: Ranks) -> None:
        if self._ranks.get(ranks.timeline) is ranks:
            taken = ranks.nbytes
            self._held += taken - self._bytes.get(ranks, 0)
            self._bytes[ranks] = taken

    def _check(self) -> None:
        """Every invariant, as assertions. For tests."""
        assert self._held == sum(self._bytes.values())
        assert self._bytes.keys() <= set(self._ranks.values())
        for timeline, ranks in self._ranks.items():
            assert ranks.timeline is timeline
            ranks._check()


def _only(ranges: list[Range]) -> tuple[int, int]:
    """The ends of the one range there is; an empty one where there is none."""
    return (ranges[0].begin, ranges[0].end) if len(ranges) == 1 else (0, 0)
