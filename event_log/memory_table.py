"""What the log in memory holds of events: records in a row, and behind the mark the kept ones by series."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from event_log.base import Ids, Times, Values

Record = tuple[int, Ids | int, Times | int, Values | float]
"""Last position; series ids, times and values, or one for all. A value alone is a record of one event."""
Columns = tuple[Times, Ids, Times, Values]
"""Positions, series ids, times and values."""

PIECE = 1024
"""Kept events of a series are held in pieces of at least so many, where there are as many."""
PIECES_A_LOOK = 16
"""How many pieces of one series are looked through for dead events at a time."""
NOTHING: Columns = (np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0))


def size_of(record: Record) -> int:
    """How many events a record holds."""
    return 1 if isinstance(record[3], float) else len(record[3])


class Records:
    """The records behind the mark, oldest first."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._dropped = 0  # so many at the front are gone
        self.events = 0

    def __bool__(self) -> bool:
        return len(self._records) > self._dropped

    def append(self, record: Record) -> None:
        self._records.append(record)
        self.events += size_of(record)

    def behind(self, position: int) -> Iterator[Record]:
        """Those with an event behind a position, oldest first."""
        start = bisect_right(self._records, position, lo=self._dropped, key=itemgetter(0))
        return map(self._records.__getitem__, range(start, len(self._records)))

    def drop(self, records: Sequence[Record]) -> None:
        """Forget these, which are the first."""
        self._dropped += len(records)
        self.events -= sum(map(size_of, records))
        if 2 * self._dropped > len(self._records):
            del self._records[: self._dropped]
            self._dropped = 0


class Kept:
    """The kept events of each series, in order of position."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[Columns]] = {}
        self.events = 0

    def series(self) -> list[int]:
        """The series with kept events, in order."""
        return sorted(self._pieces)

    def add(self, series: int, columns: Columns) -> None:
        """Keep these events of one series, at positions above all it has here."""
        self.events += len(columns[0])
        pieces = self._pieces.setdefault(series, [])
        if pieces and len(pieces[-1][0]) < PIECE:
            columns = joined([pieces.pop(), columns])
        pieces.append(columns)

    def between(self, series: int, after: int, end: int, limit: int) -> Columns:
        """The first `limit` events of a series behind a position, up to another one."""
        found: list[Columns] = []
        pieces = self._pieces.get(series, ())
        for piece in pieces[bisect_right(pieces, after, key=_last) :]:
            if limit <= 0 or piece[0][0] > end:
                break
            start, stop = piece[0].searchsorted((after, end), side="right").tolist()
            found.append(rows(piece, slice(start, min(stop, start + limit))))
            limit -= len(found[-1][0])
        return joined(found)

    def drop_dead(self, series: int, since: tuple[int, int]) -> tuple[int, bool]:
        """Forget what comes before a (time, position), from the front on, to the first piece that stays; the highest
        position forgotten, and whether there may be more to forget."""
        pieces = self._pieces.get(series, [])
        forgotten = 0
        for _ in range(min(PIECES_A_LOOK, len(pieces))):
            dead = ~alive_since(pieces[0], np.array([since]))
            forgotten = max(forgotten, self._shorten(series, dead))
            if not dead.all():
                return forgotten, False
        return forgotten, series in self._pieces

    def apply(self, series: int, before: int, horizon: int, keep: int) -> int:
        """Forget what of the events before a position was dead under a horizon when the series kept so many, as a
        view does at a change; the highest position forgotten."""
        columns = joined(self._pieces.get(series, []))
        old = np.flatnonzero(columns[0] < before)
        order = old[np.lexsort((columns[0][old], columns[2][old]))]
        live = max(int((columns[2][old] > horizon).sum()), min(len(old), keep))
        dead = np.zeros(len(columns[0]), np.bool_)
        dead[order[: len(old) - live]] = True
        if not dead.any():
            return 0
        self._pieces[series] = [columns]
        return self._shorten(series, dead)

    def forget(self, series: int) -> None:
        """Forget all of a series."""
        self.events -= sum(len(piece[0]) for piece in self._pieces.pop(series, ()))

    def _shorten(self, series: int, dead: NDArray[np.bool_]) -> int:
        """Forget these of the first piece of a series; the highest position among them."""
        pieces = self._pieces[series]
        positions = pieces[0][0][dead]
        self.events -= len(positions)
        if len(positions) < len(dead):
            pieces[0] = rows(pieces[0], ~dead)
        else:
            del pieces[0]
        if not pieces:
            del self._pieces[series]
        return int(positions[-1]) if len(positions) else 0


def alive_since(columns: Columns, since: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these events stand at or after a (time, position) each, or one for all."""
    positions, _, times, _ = columns
    found: NDArray[np.bool_] = (times > since[:, 0]) | ((times == since[:, 0]) & (positions >= since[:, 1]))
    return found


def columns_of(records: Sequence[Record]) -> Columns:
    """The columns of these records."""
    pieces: list[Columns] = []
    for single, group in groupby(records, key=lambda record: isinstance(record[3], float)):
        run = list(group)
        pieces += [_of_singles(run)] if single else map(_of_batch, run)
    return joined(pieces)


def joined(pieces: Sequence[Columns]) -> Columns:
    """These pieces, one behind the other."""
    if not pieces:
        return NOTHING
    positions, ids, times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return positions, ids, times, values


def rows(columns: Columns, chosen: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Columns:
    """The chosen rows."""
    positions, ids, times, values = columns
    return positions[chosen], ids[chosen], times[chosen], values[chosen]


def _last(columns: Columns) -> int:
    return int(columns[0][-1])


def _of_singles(records: list[Record]) -> Columns:
    positions, ids, times, values = zip(*records, strict=True)
    return np.array(positions, np.int64), np.array(ids, np.uint32), np.array(times, np.int64), np.array(values)


def _of_batch(record: Record) -> Columns:
    last, ids, times, values = record
    assert isinstance(values, np.ndarray)
    size = len(values)
    return (
        np.arange(last - size + 1, last + 1),
        np.broadcast_to(np.asarray(ids, np.uint32), size),
        np.broadcast_to(np.asarray(times, np.int64), size),
        values,
    )
