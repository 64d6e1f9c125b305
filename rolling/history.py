"""History: the events of a window laid out in steps, each with its summary, in one sweep over the tree.

A deck or block that lies within one step is merged by its summary; of the others only the blocks that a step's edge
cuts are read, all of a deck at once. That goes in portions: what a lowest deck leaves holds until the deck changes, and
is then read again. At the end, in one portion, all is put together, so that the points are those of one moment, the
last, and their counts add up to what is asked of the same window under the same hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rolling.block import Block, Columns
from rolling.deck import Deck
from rolling.exact import summarise_parts
from rolling.span import Range
from rolling.steps import Steps, finished
from rolling.summary import Summary
from rolling.timeline import Row, Timeline

ROUNDS = 10
"""So many times is read again what changed while others were let in; then nobody is let in any more."""

Ask = Callable[[Callable[[], list[Range]]], Steps[list[float | None]]]
"""Finds the percentiles of the ranges that a function gives."""
Key = tuple[int, int, int | None]
End = tuple[int, int, int]
State = tuple[int, ...]


class Bounds:
    """Where steps begin and end: step i holds the events later than the i-th bound, but not later than the next."""

    def __init__(self, edges: Sequence[int], after: int, until: int, horizon: Callable[[], int]) -> None:
        """Steps from each ascending edge up to, not including, the next, of what is later than `after` and the horizon,
        which may rise, and not later than `until`."""
        self._edges = np.array(edges, np.int64) - 1
        self._after, self._until, self._horizon = after, until, horizon

    def start(self) -> int:
        """Nothing up to there is in any step, as the horizon stands."""
        return max(self._after, self._horizon())

    def all(self) -> list[int]:
        """The bounds, as the horizon stands."""
        return self._clipped(self._edges)

    def of(self, step: int) -> list[int]:
        """The two bounds of a step."""
        return self._clipped(self._edges[step : step + 2])

    def _clipped(self, edges: NDArray[np.int64]) -> list[int]:
        clipped: list[int] = np.minimum(edges, self._until).clip(min=self.start()).tolist()
        return clipped


@dataclass(slots=True)
class Piece:
    """What one step has in one deck, or in all. An end that is a block is the first or the last event of it."""

    step: int
    summary: Summary
    first: Row | Block | None = None
    last: Row | Block | None = None

    def follow(self, later: Piece) -> None:
        """Take in what comes next of the same step."""
        self.summary.merge(later.summary)
        self.first = later.first if self.first is None else self.first
        self.last = later.last


@dataclass(frozen=True, slots=True)
class Point:
    """One step: the summary of its events, their ends and percentiles if asked for."""

    summary: Summary
    first: Row | None = None
    last: Row | None = None
    percentiles: list[float | None] | None = None


class Sweep:
    """The points of the steps of one timeline. Not thread safe: the caller holds the view's lock in each portion."""

    def __init__(self, timeline: Timeline[Any], bounds: Bounds, *, ends: bool) -> None:
        self._timeline = timeline
        self._bounds = bounds
        self._ends = ends
        # A summary held in these gives its id, by which they know decks and blocks, to no other.
        self._left: dict[Key, tuple[Summary, list[Piece]]] = {}
        self._events: dict[End, tuple[Summary, Row]] = {}
        self._percentiles: dict[int, tuple[State, list[float | None]]] = {}  # by step, of the events of that state

    def points(self) -> Steps[list[Point]]:
        """A point for each step, without percentiles."""
        for rounds in count(1):
            unread: list[Steps[None]] = []
            points = self._points(unread)
            if not unread:
                break
            for work in unread:
                if rounds <= ROUNDS:
                    yield from work
                    yield
                else:
                    finished(work)
        return points

    def points_with_percentiles(self, ask: Ask) -> Steps[list[Point]]:
        """A point for each step, with those percentiles that `ask` finds."""
        for rounds in count(1):
            points = yield from self.points()
            missing = self._unknown(points)
            if not missing:
                break
            for step in missing:
                # Should events of the step come or go meanwhile, then its state is another the next time.
                state, asking = self._state(points[step], *self._bounds.of(step)), ask(partial(self._where, step))
                found = (yield from asking) if rounds <= ROUNDS else finished(asking)
                self._percentiles[step] = state, found
                if rounds <= ROUNDS:
                    yield
        return [
            Point(point.summary, point.first, point.last, self._percentiles[step][1])
            for step, point in enumerate(points)
        ]

    def _points(self, unread: list[Steps[None]]) -> list[Point]:
        """A point for each step, as things stand; where something is yet to be read for that, it comes in there."""
        bounds = self._bounds.all()
        whole = [Piece(step, Summary()) for step in range(len(bounds) - 1)]
        for node in self._timeline.lowest() or [self._timeline.first]:
            if not node.summary.count or _outside(node, bounds):
                continue
            if (step := _step(node, bounds)) is not None:
                whole[step].follow(_piece(step, node))
            elif (left := self._left.get(self._key(node))) is None:
                unread.append(self._read_deck(node))
            else:
                for piece in left[1]:
                    whole[piece.step].follow(piece)
        if unread or not self._ends:
            return [Point(piece.summary) for piece in whole]
        return [
            Point(piece.summary, self._event(piece.first, 0, unread), self._event(piece.last, -1, unread))
            for piece in whole
        ]

    def _event(self, end: Row | Block | None, index: int, unread: list[Steps[None]]) -> Row | None:
        """The first or the last event of a step; where it is yet to be read, that comes in there."""
        if not isinstance(end, Block):
            return end
        known = self._events.get((id(end.summary), end.summary.count, index))
        if known is None:
            unread.append(self._read_event(end, index))
        return known and known[1]

    def _unknown(self, points: Sequence[Point]) -> list[int]:
        """The steps whose percentiles are not known. Cheap: asked of all in one portion."""
        bounds, known = self._bounds.all(), self._percentiles
        steps = enumerate(zip(points, bounds[:-1], bounds[1:], strict=True))
        return [step for step, of in steps if step not in known or known[step][0] != self._state(*of)]

    def _state(self, point: Point, start: int, end: int) -> State:
        """Equal as long as a step with these bounds has the same events: none of them goes but behind the horizon,
        which the bounds tell, or with its series; and none comes without a change of the count, where none has gone."""
        return point.summary.count, self._timeline.removals, start, end

    def _where(self, step: int) -> list[Range]:
        begin, end = (self._timeline.count_after(bound) for bound in self._bounds.of(step))
        return [Range(self._timeline, begin, end)] if end < begin else []

    def _key(self, node: Deck[Any] | Block) -> Key:
        """The same as long as it has the same events, of which those up to the start of all steps do not count."""
        start = self._bounds.start()
        return id(node.summary), node.summary.count, start if _stretch(node)[0] <= start else None

    def _read_deck(self, node: Deck[Any] | Block) -> Steps[None]:
        """Learn what each step has in a deck or block, if it does not change meanwhile."""
        if not node.summary.count:
            return  # it has changed before its turn came
        key, summary = self._key(node), node.summary
        pieces = yield from self._read(node, self._bounds.all())
        if node.summary.count and key == self._key(node):
            self._left[key] = summary, _joined(pieces)

    def _read_event(self, block: Block, index: int) -> Steps[None]:
        """Learn the first or the last event of a block."""
        yield from ()
        if block.summary.count:
            times, positions, values = block.columns()
            row = int(times[index]), int(positions[index]), float(values[index])
            self._events[id(block.summary), block.summary.count, index] = block.summary, row

    def _read(self, node: Deck[Any] | Block, bounds: list[int]) -> Steps[list[Piece]]:
        """What each step has in a deck or block that is not within one, in order. Takes portions; nothing, if the deck
        changes meanwhile."""
        children: list[Any] = node.children if isinstance(node, Deck) else [node]
        blocks = [block for block in children if block.summary.count and not _outside(block, bounds)]
        steps = [_step(block, bounds) for block in blocks]
        cut = [block for block, step in zip(blocks, steps, strict=True) if step is None]
        read = self._timeline.to_read(blocks, cut) if cut else cut
        chosen = set(read)
        placed = [(i, _piece(step, blocks[i])) for i, step in enumerate(steps) if step is not None]
        placed = [(i, piece) for i, piece in placed if blocks[i] not in chosen]
        if read:
            numbers = [i for i, block in enumerate(blocks) if block in chosen]
            offsets = np.cumsum([block.summary.count for block in read])
            columns = yield from self._timeline.ordered(read)
            if len(columns[0]) != offsets[-1]:
                return []
            for start, piece in _parts(columns, offsets[:-1], bounds):
                placed.append((numbers[int(offsets.searchsorted(start, side="right"))], piece))
        placed.sort(key=itemgetter(0))
        return [piece for _, piece in placed]


def _joined(pieces: Iterable[Piece]) -> list[Piece]:
    """One for all neighbours of the same step."""
    joined: list[Piece] = []
    for piece in pieces:
        if not joined or joined[-1].step != piece.step:
            joined.append(Piece(piece.step, Summary()))
        joined[-1].follow(piece)
    return joined


def _stretch(node: Deck[Any] | Block) -> tuple[int, int]:
    """The times of the oldest and the newest event of a deck of blocks, or of a block; there are some."""
    if isinstance(node, Block):
        return node.oldest, node.newest
    held: list[Any] = [block for block in node.children if block.summary.count]
    return held[0].oldest, held[-1].newest


def _outside(node: Deck[Any] | Block, bounds: list[int]) -> bool:
    oldest, newest = _stretch(node)
    return not bounds or newest <= bounds[0] or oldest > bounds[-1]


def _step(node: Deck[Any] | Block, bounds: list[int]) -> int | None:
    """The step that all of a deck or block lies in; None if there is no such step."""
    oldest, newest = _stretch(node)
    step = bisect_left(bounds, oldest) - 1
    return step if 0 <= step < len(bounds) - 1 and newest <= bounds[step + 1] else None


def _piece(step: int, node: Deck[Any] | Block) -> Piece:
    if isinstance(node, Block):
        return Piece(step, node.summary, node, node)
    held: list[Any] = [block for block in node.children if block.summary.count]
    return Piece(step, node.summary, held[0], held[-1])


def _parts(columns: Columns, cuts: NDArray[np.int64], bounds: list[int]) -> Iterator[tuple[int, Piece]]:
    """What each step has of these events, and where that starts among them; in parts that end where a block does, since
    another that is not read may lie behind it."""
    times, positions, values = columns
    edges = times.searchsorted(np.array(bounds), side="right")
    starts = np.unique(np.concatenate(([0], cuts, edges[edges < len(times)])))
    steps = edges.searchsorted(starts, side="right") - 1
    ends = np.append(starts[1:], len(times)) - 1
    firsts = zip(times[starts].tolist(), positions[starts].tolist(), values[starts].tolist(), strict=True)
    lasts = zip(times[ends].tolist(), positions[ends].tolist(), values[ends].tolist(), strict=True)
    summaries = summarise_parts(values, starts)
    for start, step, summary, first, last in zip(
        starts.tolist(), steps.tolist(), summaries, firsts, lasts, strict=True
    ):
        if 0 <= step < len(bounds) - 1:
            yield start, Piece(step, summary, first, last)
