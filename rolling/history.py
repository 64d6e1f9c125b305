"""History: the events of a window laid out in steps, each with its summary, in one sweep over the tree.

A deck or block that lies within one step is merged by its summary; of the others only the blocks that a step's edge
cuts are read, all of a deck at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rolling.block import Block, Columns
from rolling.deck import Deck
from rolling.exact import summarise_parts
from rolling.figures import Figures, figures_of
from rolling.steps import Pause
from rolling.summary import Summary
from rolling.timeline import Row, Timeline


@dataclass(slots=True)
class Piece:
    """Events of one step in one deck, or in all. An end that is a block is the first or the last event of it."""

    step: int
    summary: Summary
    first: Row | Block | None = None
    last: Row | Block | None = None


def bounds_of(edges: Sequence[int], after: int, until: int) -> list[int]:
    """Return the bounds of steps: step i holds the events later than the i-th bound, but not later than the next.

    Steps from each ascending edge up to, not including, the next, of what is later than `after` and not later than
    `until`."""
    bounds: list[int] = np.minimum(np.array(edges, np.int64) - 1, until).clip(min=after).tolist()
    return bounds


def sweep(timeline: Timeline[Any], bounds: list[int], *, ends: bool, pause: Pause) -> list[Figures]:
    """Return the figures of the events between each bound and the next, without percentiles."""
    whole = [Piece(step, Summary()) for step in range(len(bounds) - 1)]
    for node in timeline.lowest() or [timeline.first]:
        if not node.summary.count or outside(node, bounds):
            continue
        step = step_of(node, bounds)
        for piece in _read(timeline, node, bounds, pause) if step is None else [_piece(step, node)]:
            found = whole[piece.step]
            found.summary.merge(piece.summary)
            found.first = piece.first if found.first is None else found.first
            found.last = piece.last
        pause()
    if not ends:
        return [Figures(piece.summary) for piece in whole]
    points = []
    for piece in whole:
        points.append(figures_of(piece.summary, event(timeline, piece.first, 0), event(timeline, piece.last, -1)))
        pause()
    return points


def event(timeline: Timeline[Any], end: Row | Block | None, index: int) -> Row | None:
    """The first or the last event of a step."""
    if not isinstance(end, Block):
        return end
    row: Row = timeline.open(end).row(index)
    return row


def _read(timeline: Timeline[Any], node: Deck[Any] | Block, bounds: list[int], pause: Pause) -> list[Piece]:
    """Return the events of each step, in order, in a deck or block that is not within one step."""
    children: list[Any] = node.children if isinstance(node, Deck) else [node]
    blocks = [block for block in children if block.summary.count and not outside(block, bounds)]
    steps = [step_of(block, bounds) for block in blocks]
    cut = [block for block, step in zip(blocks, steps, strict=True) if step is None]
    read = timeline.to_read(blocks, cut) if cut else cut
    chosen = set(read)
    placed = [(i, _piece(step, blocks[i])) for i, step in enumerate(steps) if step is not None]
    placed = [(i, piece) for i, piece in placed if blocks[i] not in chosen]
    if read:
        numbers = [i for i, block in enumerate(blocks) if block in chosen]
        offsets = np.cumsum([block.summary.count for block in read])
        columns = timeline.ordered(read, pause)
        for start, piece in parts(columns, offsets[:-1], bounds):
            placed.append((numbers[int(offsets.searchsorted(start, side="right"))], piece))
    placed.sort(key=itemgetter(0))
    return [piece for _, piece in placed]


def _stretch(node: Deck[Any] | Block) -> tuple[int, int]:
    """The times of the oldest and the newest event of a deck of blocks, or of a block; there are some."""
    first, last = ends_of(node)
    return first.oldest, last.newest


def outside(node: Deck[Any] | Block, bounds: list[int]) -> bool:
    """Return whether no event of a deck or block lies between the first bound and the last."""
    oldest, newest = _stretch(node)
    return not bounds or newest <= bounds[0] or oldest > bounds[-1]


def step_of(node: Deck[Any] | Block, bounds: list[int]) -> int | None:
    """The step that all of a deck or block lies in; None if there is no such step."""
    oldest, newest = _stretch(node)
    step = bisect_left(bounds, oldest) - 1
    return step if 0 <= step < len(bounds) - 1 and newest <= bounds[step + 1] else None


def ends_of(node: Deck[Any] | Block) -> tuple[Block, Block]:
    """The blocks that hold the first and the last event of a deck of blocks, or of a block; there are some."""
    if isinstance(node, Block):
        return node, node
    held: list[Any] = [block for block in node.children if block.summary.count]
    return held[0], held[-1]


def _piece(step: int, node: Deck[Any] | Block) -> Piece:
    return Piece(step, node.summary, *ends_of(node))


def parts(columns: Columns, cuts: NDArray[np.int64], bounds: list[int]) -> Iterator[tuple[int, Piece]]:
    """Yield the events of each step among these, after the index where they start. A step is cut where a block ends:
    behind it one may lie that is not read."""
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
