"""Ranks: the value at any rank of a range of a timeline, from sorted runs and a scale over them.

The lowest decks wholly inside a range are runs; so are the whole blocks of the two decks that it cuts, for as long as
it ends in the same ones. What remains, parts of two blocks and what came late to the decks, is *loose* and sorted for
each question. A scale of marks tells where each rank lies: between two marks there are few values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

import numpy as np

from rolling.block import CAPACITY, NOTHING, Block, Values
from rolling.cut import cut, loose_values
from rolling.deck import FAN_OUT, Deck
from rolling.runs import MARKS, SCALES, STRIDE, Found, Holder, Place, Run, Scale
from rolling.span import Range
from rolling.steps import Pause
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

Grant = Callable[[int], bool]
"""Asks for a number of bytes of memory; returns whether there is room."""


class Ranks:
    """The runs of all timelines, and what is remembered of the ranges asked for lately."""

    def __init__(self) -> None:
        self.holders: WeakSet[Holder] = WeakSet()
        self.places: dict[tuple[Run, ...], Place] = {}  # least recently used first
        self._edges: dict[tuple[int, ...], tuple[list[object], Run]] = {}  # likewise

    def find(self, part: Range, wanted: Sequence[int], tick: int, grant: Grant, pause: Pause) -> Found | None:
        """Return the values at these ranks of a range; None where its runs find no room."""
        decks, edges, loose = cut(part)
        runs: list[Run] = []
        rest: list[Values] = [NOTHING[2]]
        for deck in decks:
            held = self._held(part.timeline, deck, tick, grant, pause)
            if held is None:
                return None
            runs.append(held[0])  # with what came late to it, whatever becomes of both in a pause
            rest.append(held[1])
        runs += [self._edge(part.timeline, blocks, pause) for blocks in edges]
        rest += loose_values(part.timeline, loose)
        values = np.sort(np.concatenate(rest)) + 0.0
        if not runs:
            return {rank: float(values[rank]) for rank in wanted}
        place = self._place(part.timeline, tuple(runs), pause)
        place.used = tick
        # Whoever changed a deck without telling its run would be found out here, before any answer is wrong.
        assert place.totals[-1] + len(values) == part.begin - part.end
        return place.find(values, wanted)

    def drop(self, holder: Holder) -> None:
        """Take a run away from whoever holds it. A question that has it goes on with it."""
        run, holder.run = holder.run, None
        self.places = {runs: place for runs, place in self.places.items() if run not in runs}

    def forget(self, unused: int) -> None:
        """Let go of what nobody has asked for since a tick."""
        for holder in [holder for holder in self.holders if holder.run is not None and holder.used <= unused]:
            self.drop(holder)
        self.places = {runs: place for runs, place in self.places.items() if place.used > unused}
        if not self.places:
            self._edges.clear()

    def _held(
        self, timeline: Timeline[Any], deck: Deck[Any], tick: int, grant: Grant, pause: Pause
    ) -> tuple[Run, Values] | None:
        """Return the run of a deck, sorted if need be, and what came late to it; None where it finds no room."""
        held, late = deck.held, deck.late
        if held is not None and held.run is not None:
            held.used = tick
            if late is None or len(late) <= LATE_IN_A_DECK:
                return held.run, NOTHING[2] if late is None else np.array(late)
            run = Run(np.sort(np.concatenate((held.run.values(), np.array(late) + 0.0)), kind="stable"))
        elif grant(8 * deck.summary.count):
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
        found = self._edges.pop(key, None)
        if found is None:
            values = timeline.values(blocks, pause)
            found = [*summaries], Run(np.sort(values) + 0.0)
            if len(self._edges) >= EDGES:
                del self._edges[next(iter(self._edges))]
        self._edges[key] = found
        return found[1]

    def _place(self, timeline: Timeline[Any], runs: tuple[Run, ...], pause: Pause) -> Place:
        """Return the remembered place of these runs, or a new one."""
        found = self.places.pop(runs, None)
        if found is None:
            found = _new_place(timeline, runs, pause)
            if len(self.places) >= PLACES:
                del self.places[next(iter(self.places))]
        self.places[runs] = found
        return found

    def check(self) -> None:
        """Assert every invariant. For tests."""
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
