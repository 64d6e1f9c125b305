"""Percentiles without rows, by reading every value: of ranges of several timelines, or where memory is short.

Read in portions, by lowest decks, and twice. First each deck leaves a sketch, every STRIDE-th of its values in order.
The sketches tell two values that surely enclose a rank, and that few values lie between. The second time each deck
leaves the number of those below, and the ones between. What a deck left holds until it changes; at the end, in one
portion, what changed meanwhile is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from rolling.block import NOTHING, Values
from rolling.percentiles import Percentiles
from rolling.span import Range
from rolling.steps import Steps
from rolling.summary import Summary

STRIDE = 64
PORTION = 2**18
"""About how many values are read at a time."""
SMALLEST = 500
"""A unit of fewer values counts as so many: finding it costs as much."""
ROUNDS = 10
"""So many portions more than all values take may go to what changes meanwhile; then nobody is let in any more."""

L = TypeVar("L")
Where = Callable[[], list[Range]]
Key = tuple[int, int, int, int]


class Unit(NamedTuple):
    """What a range has of one lowest deck: a range of the timeline too. As long as the deck's summary is the same
    object and counts as many, `key` names the same events."""

    part: Range
    summary: Summary
    key: Key


class Part(NamedTuple):
    """Of one unit: how many values are below two others, how many equal each, and those between, in order."""

    below: int
    at_low: int
    between: Values
    at_high: int


class _Left(Generic[L]):
    """What each unit left when it was last read."""

    def __init__(self, make: Callable[[Values], L]) -> None:
        self._make = make
        self._by_key: dict[Key, tuple[Summary, L]] = {}  # a summary held here gives its id to no other

    def gather(self, where: Where) -> Steps[list[L]]:
        """What each unit of these ranges leaves, all of one moment: that of the last portion."""
        portions = ROUNDS + sum(_work(unit) for unit in _units(where())) // PORTION
        while (left := self._portion(where, PORTION if portions else None)) is None:
            portions -= 1
            yield
        return left

    def _portion(self, where: Where, most: int | None) -> list[L] | None:
        """What each unit leaves; None after about so much work, with more to be done."""
        work, left = 0, []
        for unit in _units(where()):
            if unit.key not in self._by_key:
                if most is not None and work >= most:
                    return None
                work += _work(unit)
                self._by_key[unit.key] = unit.summary, self._make(np.sort(_values(unit.part)) + 0.0)
            left.append(self._by_key[unit.key][1])
        return left


def scan(where: Where, wanted: Percentiles) -> Steps[list[float | None]]:
    """The percentiles of these ranges together."""
    slack = 2
    while True:
        sketches = yield from _Left(_sketch).gather(where)
        count = _count(where())
        if not count:
            return wanted.values(0, {})
        slack += 2 * slack + len(sketches) // 8
        ends = [_enclosing(sketches, rank, slack) for rank in wanted.ranks(count)]
        parts = yield from _Left(partial(_parts, ends)).gather(where)
        count = _count(where())
        found = {}
        for rank in wanted.ranks(count):
            for number, pair in enumerate(ends):
                value = _pick([left[number] for left in parts], pair, rank)
                if value is not None:
                    found[rank] = value
                    break
        if len(found) == len(wanted.ranks(count)):
            return wanted.values(count, found)


def values_of(ranges: Sequence[Range]) -> Values:
    """All values of these ranges, in no order."""
    return np.concatenate([NOTHING[2], *(_values(part) for part in ranges)])


def _count(ranges: Sequence[Range]) -> int:
    return sum(part.begin - part.end for part in ranges)


def _work(unit: Unit) -> int:
    return max(unit.part.begin - unit.part.end, SMALLEST) * unit.part.timeline.COST


def _units(ranges: Sequence[Range]) -> Iterator[Unit]:
    for timeline, begin, end in ranges:
        behind = 0
        for node in reversed(timeline.lowest() or [timeline.first]):
            size = node.summary.count
            first, last = min(begin - behind, size), max(end - behind, 0)
            if last < first:
                key = id(node.summary), size, first, last
                yield Unit(Range(timeline, first + behind, last + behind), node.summary, key)
            behind += size
            if behind >= begin:
                break


def _values(part: Range) -> Values:
    timeline, begin, end = part
    deck, index, before = timeline.place(len(timeline) - begin)
    block: Any = timeline.first if deck is None else deck.children[index]
    rest = begin - end
    pieces, whole = [NOTHING[2]], []
    while rest:
        size = min(block.summary.count - before, rest)
        if size == block.summary.count:
            whole.append(block)
        else:
            pieces.append(block.columns()[2][before : before + size])
        before, rest, block = 0, rest - size, block.following
    return np.concatenate([*pieces, *timeline.values(whole)])


def _sketch(ascending: Values) -> Values:
    return ascending[::STRIDE].copy()


def _enclosing(sketches: Sequence[Values], rank: int, slack: int) -> tuple[float, float]:
    """Two values that enclose the one at a rank: at most STRIDE values for each of a sketch are below it, at least as
    many, but for one sketch value a unit, are not above it. The slack is for what may come meanwhile."""
    values = np.sort(np.concatenate(sketches))
    low = max(rank // STRIDE - slack, 0)
    high = rank // STRIDE + len(sketches) + 1 + slack
    return float(values[low]) if low else -inf, float(values[high]) if high < len(values) else inf


def _parts(ends: Sequence[tuple[float, float]], ascending: Values) -> list[Part]:
    return [_part(ascending, low, high) for low, high in ends]


def _part(ascending: Values, low: float, high: float) -> Part:
    first, last = ascending.searchsorted((low, high))
    after_low, after_high = ascending.searchsorted((low, high), side="right")
    last, after_high = max(last, after_low), max(after_high, after_low)
    return Part(int(first), int(after_low - first), ascending[after_low:last].copy(), int(after_high - last))


def _pick(parts: Sequence[Part], ends: tuple[float, float], rank: int) -> float | None:
    """The value at a rank, where these two enclose it."""
    rank -= sum(part.below for part in parts)
    at_low = sum(part.at_low for part in parts)
    between = sum(len(part.between) for part in parts)
    if not 0 <= rank < at_low + between + sum(part.at_high for part in parts):
        return None
    if rank < at_low:
        return ends[0]
    if rank >= at_low + between:
        return ends[1]
    return float(np.sort(np.concatenate([part.between for part in parts]))[rank - at_low])
