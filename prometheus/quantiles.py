"""Quantiles of windows that may overlap, interpolated linearly.

Windows that overlap much share their work: the values are dealt to buckets by value, once, and from one window to the
next only the counts of the buckets change by what comes and goes. A window's quantile is then sought among its values
of one bucket. Each splitter has a bucket of its own, so a value that is frequent fills no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import copysign, floor, inf, isnan, nan

import numpy as np
from numpy.typing import NDArray

from api.answers import in_portions
from prometheus.vectors import Floats, Times

SHARED_FROM = 4
"""Windows share their work where together they have this many times as many events as there are."""
SPLITTERS = 512
SAMPLED = 2**15
"""Number of values from which the splitters are chosen."""
CHUNK = 2**16
"""Number of values that are dealt to buckets at a time: some milliseconds."""
Bounds = NDArray[np.intp]


def quantiles(values: Floats, begins: Bounds, ends: Bounds, shares: Floats, check: Callable[[], None]) -> Floats:
    """Return the quantile of the values from each begin up to its end, neither of which falls; `check` is called
    between windows."""
    shared = int((ends - begins).sum()) > SHARED_FROM * len(values)
    pick = _Buckets(values).pick if shared else _picker(values)
    found = []
    for q, begin, end in in_portions(zip(shares.tolist(), begins.tolist(), ends.tolist(), strict=True)):
        check()
        found.append(_quantile(q, begin, end, pick))
    return np.array(found)


Pick = Callable[[int, int, list[int]], list[float]]
"""Returns the values from a begin up to an end that have these ranks among them, which ascend."""


def _quantile(q: float, begin: int, end: int, pick: Pick) -> float:
    if isnan(q) or not 0 <= q <= 1:
        return nan if isnan(q) else copysign(inf, q)
    rank = q * (end - begin - 1)
    low = floor(rank)
    below, above = pick(begin, end, [low, min(low + 1, end - begin - 1)])
    return below * (1 - (rank - low)) + above * (rank - low)


def _picker(values: Floats) -> Pick:
    def pick(begin: int, end: int, ranks: list[int]) -> list[float]:
        found: list[float] = np.partition(values[begin:end], ranks)[ranks].tolist()
        return found

    return pick


class _Buckets:
    """Values dealt to buckets, and the number of them in each bucket within one window."""

    def __init__(self, values: Floats) -> None:
        self._ids = _ids(values)
        self._size = 2 * SPLITTERS + 1
        self._rows: Times = np.argsort(self._ids, kind="stable")  # a radix sort: by bucket, then in order
        self._values = values[self._rows]
        self._starts = np.concatenate(([0], np.bincount(self._ids, minlength=self._size).cumsum()))
        self._begin = self._end = 0
        self._counts = np.zeros(self._size, np.intp)

    def pick(self, begin: int, end: int, ranks: list[int]) -> list[float]:
        """Return the values of these ranks of a window, which begins and ends no earlier than the one before."""
        self._move(begin, end)
        until = self._counts.cumsum()
        found = []
        for rank in ranks:
            bucket = int(until.searchsorted(rank, side="right"))
            some = self._of(bucket, begin, end)
            place = rank - int(until[bucket] - self._counts[bucket])
            found.append(float(some[0] if bucket % 2 else np.partition(some, place)[place]))
        return found

    def _move(self, begin: int, end: int) -> None:
        if begin >= self._end:
            self._counts = self._count(begin, end)
        else:
            self._counts += self._count(self._end, end) - self._count(self._begin, begin)
        self._begin, self._end = begin, end

    def _count(self, begin: int, end: int) -> NDArray[np.intp]:
        return np.bincount(self._ids[begin:end], minlength=self._size)

    def _of(self, bucket: int, begin: int, end: int) -> Floats:
        start, stop = self._starts[bucket], self._starts[bucket + 1]
        low, high = self._rows[start:stop].searchsorted((begin, end))
        return self._values[start + low : start + high]


def _ids(values: Floats) -> NDArray[np.uint16]:
    """Return the bucket of each value: an odd one of the value of a splitter, an even one of what lies between two."""
    sample = np.sort(values[:: max(1, len(values) // SAMPLED)])
    splitters = np.unique(sample[np.linspace(0, len(sample) - 1, SPLITTERS).astype(np.intp)])
    return np.concatenate(
        [
            (splitters.searchsorted(some) + splitters.searchsorted(some, side="right")).astype(np.uint16)
            for some in in_portions(_chunks(values))
        ]
    )


def _chunks(values: Floats) -> Iterator[Floats]:
    starts: Iterable[int] = range(0, len(values), CHUNK)
    return (values[start : start + CHUNK] for start in starts)
