"""Several series as one: what ranges of several timelines come to together, without a tree over all of them.

Summaries of whole timelines, decks and blocks are merged; what is left, parts of blocks, is gathered over many series
before it is worked out, since each call of numpy costs more than the few events that it is for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from rolling.block import NOTHING, Block, Columns, Times
from rolling.cut import PORTION, cut
from rolling.deck import Deck
from rolling.exact import WIDEST_ROW, summarise_rows
from rolling.figures import Figures, figures_of
from rolling.history import ends_of, outside, parts, step_of
from rolling.percentiles import Percentiles
from rolling.scan import FEW, scan
from rolling.span import Range
from rolling.steps import Pause
from rolling.summary import Summary
from rolling.timeline import Row, Timeline

SERIES_AT_ONCE = 8
"""Number of series that are looked at between two pauses, each of which costs a tenth of such a look."""
MERGED_AT_ONCE = 1024
"""Number of summaries that are merged between two pauses."""
AT_ONCE = 2**19
"""Maximum number of events whose percentiles are worked out in one look at all series."""


def summarised(ranges: Sequence[Range], pause: Pause) -> Summary:
    """Return the summary of these ranges together."""
    result = Summary()
    ready: list[Summary] = []
    loose = array("d")
    for done, one in enumerate(ranges):
        timeline, begin, end = one
        if not end and begin == len(timeline):
            ready.append(timeline.summary)
        elif timeline.first is timeline.last:  # as of most of many series: half the price of what follows
            size = len(timeline)
            loose += timeline.open(timeline.first).piece(size - begin, size - end)
        else:
            found = cut(one)
            ready += [deck.summary for deck in found.decks]
            ready += [block.summary for blocks in found.edges for block in blocks]
            for block, first, last in found.loose:
                loose += timeline.open(block).piece(first, last)
        if len(loose) >= PORTION or len(ready) >= MERGED_AT_ONCE:
            _merge(result, ready, loose)
            ready, loose = [], array("d")
        if done % SERIES_AT_ONCE == 0:
            pause()
    _merge(result, ready, loose)
    return result


def _merge(result: Summary, ready: list[Summary], loose: array[float]) -> None:
    """Take in summaries and values."""
    if loose:
        ready = [*ready, *summarise_rows(np.frombuffer(loose), WIDEST_ROW)]
    result.merge_all(ready)


def first_and_last(ranges: Sequence[Range], pause: Pause) -> tuple[Row | None, Row | None]:
    """Return the first and the last event of these ranges, none of which is empty."""
    first = last = None
    for timeline, begin, end in ranges:
        if first is None or begin < len(timeline) or timeline.first.oldest <= first[0]:
            row = timeline.row(begin)
            first = row if first is None else min(first, row)
        if last is None or end or timeline.last.newest >= last[0]:
            row = timeline.row(end + 1)
            last = row if last is None else max(last, row)
        pause()
    return first, last


class _Loose:
    """Events of many series, gathered in no order."""

    def __init__(self, *, positions: bool = False) -> None:
        self.times = array("q")
        self.values = array("d")
        self._positions: list[Times] | None = [NOTHING[0]] if positions else None

    def take(self, block: Block, after: int, until: int) -> None:
        """Take in the events of an open block with `after` < time <= `until`."""
        size = block.summary.count
        start, end = size - block.count_after(after), size - block.count_after(until)
        self.times += block.times(start, end)
        self.values += block.piece(start, end)
        if self._positions is not None:
            self._positions.append(block.columns()[1][start:end].copy())

    def columns(self) -> Columns:
        """Return them in order; with positions of 0 where none were wanted."""
        times, values = np.frombuffer(self.times, np.int64), np.frombuffer(self.values)
        positions = np.zeros(len(times), np.int64) if self._positions is None else np.concatenate(self._positions)
        order = np.lexsort((positions, times))
        return times[order], positions[order], values[order]


def sweep_several(timelines: Sequence[Timeline[Any]], bounds: list[int], *, ends: bool, pause: Pause) -> list[Figures]:
    """Return the figures of the events between each bound and the next, without percentiles."""
    steps = [_Step() for _ in range(len(bounds) - 1)]
    loose = _Loose(positions=ends)
    for timeline in timelines:
        for node in _nodes(timeline, bounds):
            step = step_of(node, bounds)
            if step is None:
                loose.take(timeline.open(node), bounds[0], bounds[-1])
            else:
                steps[step].take(timeline, node, ends=ends)
            if len(loose.times) >= PORTION:
                _deal(loose, bounds, steps, pause)
                loose = _Loose(positions=ends)
            pause()
    _deal(loose, bounds, steps, pause)
    return [figures_of(step.summary, step.first, step.last) if ends else Figures(step.summary) for step in steps]


class _Step:
    """Events found of one step."""

    __slots__ = ("first", "last", "summary")

    def __init__(self) -> None:
        self.summary = Summary()
        self.first: Row | None = None
        self.last: Row | None = None

    def take(self, timeline: Timeline[Any], node: Deck[Any] | Block, *, ends: bool) -> None:
        """Take in all that is under a node."""
        self.summary.merge(node.summary)
        if ends:
            first, last = ends_of(node)
            self.reach(timeline.open(first).row(0), timeline.open(last).row(-1))

    def reach(self, first: Row, last: Row) -> None:
        """Take note of the first and the last of some events."""
        self.first = first if self.first is None else min(first, self.first)
        self.last = last if self.last is None else max(last, self.last)


def _nodes(timeline: Timeline[Any], bounds: list[int]) -> Iterator[Any]:
    """The lowest decks that lie within one step, and the blocks of the others that may have an event in any."""
    nodes: Sequence[Any] = timeline.lowest() or [timeline.first]
    for node in nodes:
        if not node.summary.count or outside(node, bounds):
            continue
        if isinstance(node, Block) or step_of(node, bounds) is not None:
            yield node
        else:
            yield from (block for block in node.children if block.summary.count and not outside(block, bounds))


def _deal(loose: _Loose, bounds: list[int], steps: list[_Step], pause: Pause) -> None:
    """Give each step its part of some events."""
    if not loose.times:
        return
    columns = loose.columns()
    pause()
    for _, piece in parts(columns, np.arange(0, len(columns[0]), WIDEST_ROW), bounds):
        assert isinstance(piece.first, tuple)
        assert isinstance(piece.last, tuple)
        steps[piece.step].summary.merge(piece.summary)
        steps[piece.step].reach(piece.first, piece.last)
        pause()


def percentiles_of_steps(
    timelines: Sequence[Timeline[Any]], bounds: list[int], counts: list[int], wanted: Percentiles, pause: Pause
) -> Iterator[list[float | None]]:
    """The percentiles of each step, which has this count of events: of some steps at a time, as each look at all series
    costs, or of one step where that has many."""
    start = 0
    while start < len(counts):
        end, size = start, 0
        while end < len(counts) and counts[end] <= FEW and size + counts[end] <= AT_ONCE:
            size += counts[end]
            end += 1
        if end > start:
            yield from _of_some_steps(timelines, bounds[start : end + 1], wanted, pause)
        else:
            end += 1
            yield scan(_ranges(timelines, bounds[start], bounds[end], pause), wanted, pause)
        start = end


def _of_some_steps(
    timelines: Sequence[Timeline[Any]], bounds: list[int], wanted: Percentiles, pause: Pause
) -> Iterator[list[float | None]]:
    loose = _Loose()
    for timeline in timelines:
        if timeline.last.newest > bounds[0] and timeline.first.oldest <= bounds[-1]:
            for block in timeline.blocks(bounds[0] + 1, bounds[-1]):
                loose.take(timeline.open(block), bounds[0], bounds[-1])
        pause()
    steps = (np.array(bounds).searchsorted(np.frombuffer(loose.times, np.int64)) - 1).astype(np.uint16)
    pause()
    order = np.argsort(steps, kind="stable")  # of 16 bits: by radix
    starts = steps[order].searchsorted(np.arange(len(bounds)))
    pause()
    for first, last in pairwise(starts.tolist()):
        yield wanted.of(np.sort(np.frombuffer(loose.values)[order[first:last]]))
        pause()


def _ranges(timelines: Sequence[Timeline[Any]], after: int, until: int, pause: Pause) -> list[Range]:
    """The ranges of the events with `after` < time <= `until`."""
    found = []
    for timeline in timelines:
        begin, end = timeline.count_after(after), timeline.count_after(until)
        if end < begin:
            found.append(Range(timeline, begin, end))
        pause()
    return found
