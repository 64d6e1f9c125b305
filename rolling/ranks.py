"""Percentiles by ranks: the value at any rank of a range of a timeline, from sorted runs and a scale over them.

The lowest decks wholly inside a range are runs; so are the whole blocks of the two decks that it cuts, for as long as
it ends in the same ones. What remains, parts of two blocks and what came late to the decks, is *loose* and sorted for
each question. A scale of marks tells where each rank lies: between two marks there are few values.

Runs take memory: when there are too many, those unused for longest go. Where there is no room, and for ranges of
several timelines, every value is read (see scan).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import numpy as np

from rolling.block import CAPACITY, NOTHING, Block, Values
from rolling.cut import cut, loose_values
from rolling.deck import FAN_OUT, Deck
from rolling.percentiles import Percentiles
from rolling.recent import Recent
from rolling.runs import MARKS, SCALES, STRIDE, Found, Holder, Place, Run, Scale
from rolling.scan import scan
from rolling.span import Range
from rolling.steps import Pause
from rolling.summary import Summary
from rolling.timeline import Timeline

assert CAPACITY * FAN_OUT < 2**16  # else the counts of a run leave uint16

SLICE = 2048
"""Maximum number of values between two marks, or COARSE times its share of all, before a new scale is made."""
COARSE = 4
LATE_IN_A_DECK = 1024
"""Maximum number of late values that wait on a deck a question has looked at."""
PLACES = 8
"""Number of places that are remembered: windows that are asked for in turn."""
EDGES = 32
"""Number of edges that are remembered."""

SORTED_AT_ONCE = 8192
"""Maximum number of values of a range that are sorted for each question: that takes some 50 us."""


class Ranks:
    """The runs of all timelines, in a bounded number of bytes, and what is remembered of the ranges asked for lately.
    Not thread safe: the caller holds the view's lock."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.holders: WeakSet[Holder] = WeakSet()
        self.places = Recent[tuple[Run, ...], Place](PLACES)
        self._edges = Recent[tuple[int, ...], tuple[list[Summary], Run]](EDGES)
        self._tick = 0  # counts questions
        self._ticks: deque[tuple[int, int]] = deque()  # moments, and the tick at each

    def percentiles(self, ranges: Sequence[Range], wanted: Percentiles, pause: Pause) -> list[float | None]:
        """Return the percentiles of these ranges together. O(log n) where they were asked for lately."""
        if len(ranges) == 1 and (size := ranges[0].begin - ranges[0].end) > SORTED_AT_ONCE:
            found = self._find(ranges[0], wanted.ranks(size), pause)
            if found is not None:
                return wanted.values(size, found)
        return scan(ranges, wanted, pause)

    def _find(self, part: Range, wanted: Sequence[int], pause: Pause) -> Found | None:
        """Return the values at these ranks of a range; None where its runs find no room."""
        self._tick += 1
        tick = self._tick
        whole = cut(part)
        runs: list[Run] = []
        rest: list[Values] = [NOTHING[2]]
        for deck in whole.lowest():
            held = self._held(part.timeline, deck, tick, pause)
            if held is None:
                return None
            runs.append(held[0])  # with what came late to it, whatever becomes of both in a pause
            rest.append(held[1])
        runs += [self._edge(part.timeline, blocks, pause) for blocks in whole.edges]
        rest += loose_values(part.timeline, whole.loose)
        values = np.sort(np.concatenate(rest)) + 0.0
        if not runs:
            return {rank: float(values[rank]) for rank in wanted}
        taken = tuple(runs)
        place = self.places.use(taken) or self.places.put(taken, _new_place(part.timeline, taken, pause))
        place.used = tick
        # Whoever changed a deck without telling its run would be found out here, before any answer is wrong.
        assert place.totals[-1] + len(values) == part.begin - part.end
        return place.find(values, wanted)

    def drop(self, holder: Holder) -> None:
        """Take a run away from whoever holds it. A question that has it goes on with it."""
        run, holder.run = holder.run, None
        for runs in [runs for runs in self.places if run in runs]:
            del self.places[runs]

    def maintain(self, moment: int, idle: int) -> None:
        """Let go of runs nobody has asked for in `idle` microseconds before this moment. To be called now and then,
        with the moment of each call."""
        self._ticks.append((moment, self._tick))
        unused = -1
        while self._ticks[0][0] <= moment - idle:
            unused = self._ticks.popleft()[1]
        for holder in self._holding():
            if holder.used <= unused:
                self.drop(holder)
        for runs in [runs for runs, place in self.places.items() if place.used <= unused]:
            del self.places[runs]
        if not self.places:
            self._edges.clear()

    @property
    def held(self) -> int:
        """The bytes that all runs take."""
        return sum(holder.run.nbytes for holder in self.holders if holder.run is not None)

    def _holding(self) -> list[Holder]:
        """The holders that have a run, in order of their last use."""
        return sorted((other for other in self.holders if other.run is not None), key=lambda holder: holder.used)

    def _has_room(self, size: int, tick: int) -> bool:
        """Make room for `size` bytes at the cost of runs last asked for before a tick; False if that is not enough."""
        spare = self.most_bytes - self.held - size
        for holder in self._holding() if spare < 0 else ():
            if spare >= 0 or holder.used >= tick:
                break
            assert holder.run is not None
            spare += holder.run.nbytes
            self.drop(holder)
        return spare >= 0

    def _held(self, timeline: Timeline[Any], deck: Deck[Any], tick: int, pause: Pause) -> tuple[Run, Values] | None:
        """Return the run of a deck, sorted if need be, and what came late to it; None where it finds no room."""
        held, late = deck.held, deck.late
        if held is not None and held.run is not None:
            held.used = tick
            if late is None or len(late) <= LATE_IN_A_DECK:
                return held.run, NOTHING[2] if late is None else np.array(late)
            run = Run(np.sort(np.concatenate((held.run.values(), np.array(late) + 0.0)), kind="stable"))
        elif self._has_room(8 * deck.summary.count, tick):
            run = Run(np.sort(timeline.values(deck.children, pause)) + 0.0)
        else:
            return None
        deck.held, deck.late = Holder(run, tick), None
        self.holders.add(deck.held)
        pause()
        return run, NOTHING[2]

    def _edge(self, timeline: Timeline[Any], blocks: list[Block], pause: Pause) -> Run:
        """Return the sorted values of neighbouring blocks."""
        summaries = [block.summary for block in blocks]
        # A summary is another once its block has lost events, and held here it gives its id to no other.
        key = (*map(id, summaries), *(summary.count for summary in summaries))
        found = self._edges.use(key)
        if found is None:
            found = self._edges.put(key, (summaries, Run(np.sort(timeline.values(blocks, pause)) + 0.0)))
        return found[1]

    def check(self) -> None:
        """Every invariant, as assertions. For tests."""
        assert len(self.places) <= PLACES
        assert len(self._edges) <= EDGES
        for runs, place in self.places.items():
            values = np.sort(np.concatenate([run.values() for run in runs]))
            assert place.totals.tolist() == values.searchsorted(place.scale.marks).tolist()


def _new_place(timeline: Timeline[Any], runs: tuple[Run, ...], pause: Pause) -> Place:
    """Return a place with a scale that fits: one made for about as many values, or else a new one."""
    size = sum(map(len, runs))
    near = [scale for scale in timeline.scales if scale.size <= 2 * size <= 4 * scale.size]
    if near:
        place = Place(runs, near[-1], pause)
        if place.widest() <= max(SLICE, COARSE * size // MARKS):
            return place
    scale = Scale(np.sort(np.concatenate([run.sample(STRIDE) for run in runs])), size)
    others = [other for other in timeline.scales if other not in near]
    timeline.scales[:] = [*others, scale][-SCALES:]
    return Place(runs, scale, pause)
