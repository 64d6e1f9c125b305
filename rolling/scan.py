"""Percentiles without rows, by reading every value: of ranges of several timelines, or where memory is short.

Read in portions, by units, and twice. First each portion leaves a sketch, every STRIDE-th of its values in order. The
sketches tell two values that are most likely to enclose a rank, with few values between them. The second time all are
counted by these bounds, and the ones between are kept. What was counted of a unit counts until it changes: each round
reads what has changed while others were let in during the one before, and the last lets nobody in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rolling.block import NOTHING, Values
from rolling.percentiles import Percentiles
from rolling.span import Range
from rolling.steps import Steps, finished
from rolling.summary import Summary
from rolling.timeline import Timeline
from rolling.units import Unit, read, units

STRIDE = 64
PORTION = 2**15
"""About how many values are read at a time: some milliseconds of work."""
SMALLEST = 100
"""A unit of fewer values counts as so many: finding it costs as much."""
FEW = 2**15
"""Up to so many values are kept without sketches."""
SLACK = 16
"""So many values of the sketches may come, or go, between the two readings; three times as many at each new attempt."""
ROUNDS = 10
"""So many times is read what changed while others were let in; then nobody is let in any more."""

Where = Callable[[], list[Range]]


def scan(where: Where, wanted: Percentiles) -> Steps[list[float | None]]:
    """The percentiles of these ranges together."""
    slack = SLACK
    while True:
        sketches, size = yield from _sketch(where())
        census = Census(_enclosing(sketches, wanted.ranks(size), slack) if sketches else [(-inf, inf)])
        yield from census.take(where)
        found = census.percentiles(wanted)
        if found is not None:
            return found
        slack *= 3


def _sketch(ranges: Sequence[Range]) -> Steps[tuple[list[Values], int]]:
    """A sketch of each portion, and of how many values; none if they are few. What changes meanwhile may be missed."""
    sketches: list[Values] = []
    size = sum(part.begin - part.end for part in ranges)
    if size <= FEW:
        return sketches, size
    size = 0
    for portion in _portions(unit for part in ranges for unit in units(part)):
        pieces = [NOTHING[2]]
        for unit in portion:
            if unit.holds:
                values = yield from read(unit)
                pieces.append(values)
        ascending = np.sort(np.concatenate(pieces))
        sketches.append(ascending[::STRIDE].copy())
        size += len(ascending)
        yield
    return sketches, size


def _portions(some: Iterable[Unit]) -> Iterator[list[Unit]]:
    """These units, for each portion of work."""
    portion: list[Unit] = []
    work = 0
    for unit in some:
        more = max(unit.begin - unit.end, SMALLEST) * unit.timeline.COST
        if portion and work + more > PORTION:
            yield portion
            portion, work = [], 0
        portion.append(unit)
        work += more
    if portion:
        yield portion


def _enclosing(sketches: Sequence[Values], ranks: Sequence[int], slack: int) -> list[tuple[float, float]]:
    """For each rank two values that enclose the one there: at most STRIDE values for each of a sketch are below it, at
    least as many, but for one sketch value a sketch, are not above it. The slack is for what may come meanwhile."""
    values = np.sort(np.concatenate(sketches))
    ends = []
    for rank in ranks:
        low = max(rank // STRIDE - slack, 0)
        high = rank // STRIDE + len(sketches) + 1 + slack
        ends.append((float(values[low]) if low else -inf, float(values[high]) if high < len(values) else inf))
    return ends


@dataclass(slots=True)
class _Batch:
    """What was counted of some units: the `numbers` of values at `places`, which are unit x classes + class, without
    zeros, as a histogram may have more classes than a unit has values; and the values kept, of which unit and class
    each is. Those of units that are gone count no more."""

    places: NDArray[np.intp]
    numbers: NDArray[np.intp]
    units: NDArray[np.intp]
    classes: NDArray[np.intp]
    values: Values
    gone: NDArray[np.bool_]


class _Counted(NamedTuple):
    """A unit, and where it was counted."""

    unit: Unit
    batch: _Batch
    number: int


@dataclass(slots=True)
class _Held:
    """A range, the summary of its timeline and its count when the range was last looked at, and where its units were
    counted."""

    part: Range
    summary: Summary
    count: int
    counted: list[_Counted]


class Census:
    """How many values there are in each class. Some bounds divide them: class 2 i + 1 has those equal to the i-th
    bound, class 2 i those between it and the one before, of which some are kept."""

    def __init__(self, ends: Sequence[tuple[float, float]]) -> None:
        """Keeps the values between these ends."""
        # Without zeros of two signs; inf, which no value is, comes last.
        self._bounds = np.unique(np.array([end for pair in ends for end in pair if end > -inf] + [inf]) + 0.0)
        self._kept = np.zeros(2 * len(self._bounds), np.bool_)
        for low, high in ends:
            first = int(self._bounds.searchsorted(low, side="right"))
            self._kept[2 * first : 2 * int(self._bounds.searchsorted(high)) + 1 : 2] = True
        self._totals = np.zeros(len(self._kept), np.int64)
        self._batches: list[_Batch] = []
        self._held: dict[Timeline[Any], _Held] = {}

    def take(self, where: Where) -> Steps[None]:
        """Count what these ranges have, all of one moment: that of the last portion."""
        for rounds in count(1):
            work = self._round(where())
            if rounds > ROUNDS:
                finished(work)
                return
            alone = True
            for _ in work:
                alone = False
                yield
            if alone:
                return
            yield

    @property
    def totals(self) -> list[int]:
        """The number of values of each class."""
        found: list[int] = self._totals.tolist()
        return found

    def percentiles(self, wanted: Percentiles) -> list[float | None] | None:
        """Those of all that was counted; None if the value at a rank was not kept."""
        ends = np.cumsum(self._totals)
        size = int(ends[-1])
        ranks = wanted.ranks(size)
        classes = ends.searchsorted(np.array(ranks, np.int64), side="right").tolist()
        if not all(number % 2 or self._kept[number] for number in classes):
            return None
        kept = self._sorted({number for number in classes if not number % 2})
        found = {}
        for rank, number in zip(ranks, classes, strict=True):
            before = int(ends[number] - self._totals[number])
            found[rank] = float(self._bounds[number // 2] if number % 2 else kept[number][rank - before]) + 0.0
        return wanted.values(size, found)

    def _round(self, ranges: Sequence[Range]) -> Steps[None]:
        """Count what is not counted of these ranges, as each stands when its turn comes; no others count any more."""
        changed = self._changed(ranges)
        for number, portion in enumerate(_portions(unit for part in changed for unit in self._hold(part))):
            if number:
                yield
            yield from self._count(portion)
        if len(self._held) > len(ranges):
            for timeline in self._held.keys() - {part.timeline for part in ranges}:
                self._drop(self._held.pop(timeline).counted)

    def _changed(self, ranges: Sequence[Range]) -> list[Range]:
        """Those that are not as they were when last looked at. Cheap: asked of all in one portion."""
        find = self._held.get
        return [
            part
            for part in ranges
            if (held := find(part.timeline)) is None
            or held.summary is not part.timeline.summary
            or held.count != held.summary.count
            or held.part != part
        ]

    def _hold(self, part: Range) -> list[Unit]:
        """Look at a range as it stands. Returns its units that are not counted; others than its own no longer count."""
        before = self._held.get(part.timeline)
        counted = {} if before is None else {known.unit.key: known for known in before.counted}
        summary = part.timeline.summary
        held = self._held[part.timeline] = _Held(part, summary, summary.count, [])
        missing = []
        for unit in units(part):
            if (known := counted.pop(unit.key, None)) is not None:
                held.counted.append(known)
            else:
                missing.append(unit)
        self._drop(counted.values())
        return missing

    def _drop(self, counted: Iterable[_Counted]) -> None:
        size = len(self._totals)
        for _, batch, number in counted:
            first, last = batch.places.searchsorted([number * size, (number + 1) * size])
            self._totals[batch.places[first:last] - number * size] -= batch.numbers[first:last]
            batch.gone[number] = True

    def _count(self, portion: Sequence[Unit]) -> Steps[None]:
        """Count these units, but for those that have changed. One that changes before this is done is known by that:
        no range has it when next looked at."""
        counted, pieces = [], []
        for unit in portion:
            if unit.holds:
                values = yield from read(unit)
                counted.append(unit)
                pieces.append(values)
        if not counted:
            return
        batch = self._batch(pieces)
        self._batches.append(batch)
        for number, unit in enumerate(counted):
            self._held[unit.timeline].counted.append(_Counted(unit, batch, number))

    def _batch(self, pieces: Sequence[Values]) -> _Batch:
        """Add the values of these units to the totals. Returns what is to be noted of each unit."""
        values = np.concatenate(pieces)
        owners = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
        places = self._bounds.searchsorted(values)
        classes = 2 * places + (self._bounds[places] == values)
        size = len(self._totals)
        self._totals += np.bincount(classes, minlength=size)
        counts = np.bincount(owners * size + classes)
        found = np.flatnonzero(counts)
        kept = self._kept[classes]
        gone = np.zeros(len(pieces), np.bool_)
        return _Batch(found, counts[found], owners[kept], classes[kept], values[kept], gone)

    def _sorted(self, wanted: set[int]) -> dict[int, Values]:
        """The values of these classes, which are kept, in order."""
        there = [~batch.gone[batch.units] for batch in self._batches]
        classes = np.concatenate([np.empty(0, np.intp), *map(_some, (b.classes for b in self._batches), there)])
        values = np.concatenate([NOTHING[2], *map(_some, (b.values for b in self._batches), there)])
        return {number: np.sort(values[classes == number]) for number in wanted}


def _some(column: NDArray[Any], rows: NDArray[np.bool_]) -> NDArray[Any]:
    return column[rows]
