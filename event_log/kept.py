"""Kept events: what still counts of what stands before the mark, by series, in records of one series each.

Within a series positions rise from record to record. Records of few events are merged like the digits of a binary
counter, so that most fill a page and none is written again more than a few times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

import lmdb
import numpy as np
from numpy.typing import NDArray

from event_log.base import Times, Values
from event_log.entries import pack_kept, unpack_kept
from event_log.records import Columns, Data, count_events, has_positions, pack_columns, unpack
from event_log.settled import Settled

Since = tuple[int, int]
"""The (time, position) from which on an event of a series may be live."""
ALL_DEAD: Since = (2**63 - 1, 2**63 - 1)
FULL = 168
"""So many events fill a page."""
SMALL = 32
"""A record of so few is written again for one dead event."""


class Kept:
    """The table of kept events inside one transaction; `forgotten` gathers what was dropped."""

    def __init__(self, settled: Settled, txn: lmdb.Transaction, since: Mapping[int, Since]) -> None:
        self._table = settled.kept
        self._txn = txn
        self._since = since
        self.forgotten: dict[int, int] = {}
        """The highest position dropped of each series."""

    def put(self, series: int, last: int, data: Data) -> None:
        """Keep a batch of one series as it is."""
        self._txn.put(pack_kept(series, last), bytes(data), db=self._table)

    def add(self, series: int, positions: Times, times: Times, values: Values) -> None:
        """Keep events of a series, which stand behind all that it keeps."""
        for key, data in self._small_ones(series):
            if count_events(data) > len(positions):
                break
            before = unpack(data, unpack_kept(key)[1])
            positions = np.concatenate((before[0], positions))
            times = np.concatenate((before[2], times))
            values = np.concatenate((before[3], values))
            self._txn.delete(key, db=self._table)
        for start in range(0, len(positions), FULL):
            rows = slice(start, start + FULL)
            self._write(series, positions[rows], times[rows], values[rows])

    def _write(self, series: int, positions: Times, times: Times, values: Values) -> None:
        last = int(positions[-1])
        self._txn.put(pack_kept(series, last), pack_columns(series, times, values, positions, last), db=self._table)

    def _small_ones(self, series: int) -> Iterator[tuple[bytes, Data]]:
        """The last records of a series that do not fill a page, last one first."""
        while True:
            cursor = self._txn.cursor(self._table)
            found = cursor.prev() if cursor.set_range(pack_kept(series + 1, 0)) else cursor.last()
            if not found or unpack_kept(cursor.key())[0] != series:
                return
            key, data = bytes(cursor.key()), cursor.value()
            if not has_positions(data) or count_events(data) >= FULL:
                return
            yield key, data

    def drop_front(self, series: int, most: int) -> None:
        """Drop the first records of a series that have died."""
        cursor = self._txn.cursor(self._table)
        if not cursor.set_range(pack_kept(series, 0)):
            return
        first = [(bytes(key), bytes(data)) for key, data in islice(cursor.iternext(), most)]
        for key, data in first:
            if unpack_kept(key)[0] != series or self.thin(key, data):
                return

    def thin(self, key: bytes, data: Data) -> bool:
        """Drop what is dead of a record if that is more than half, or the record is a small one; whether any lives."""
        columns = unpack(data, unpack_kept(key)[1])
        alive = living(columns, self._since)
        if int(alive.sum()) < (len(alive) if len(alive) <= SMALL else len(alive) / 2):
            self._shorten(key, columns, alive)
        return bool(alive.any())

    def _shorten(self, key: bytes, columns: Columns, alive: NDArray[np.bool_]) -> None:
        self.note(columns, alive)
        self._txn.delete(key, db=self._table)
        if alive.any():
            positions, _, times, values = columns
            self._write(unpack_kept(key)[0], positions[alive], times[alive], values[alive])

    def drop_all(self, series: int, most: int) -> bool:
        """Drop a bounded number of a series' records; whether none is left."""
        cursor = self._txn.cursor(self._table)
        cursor.set_range(pack_kept(series, 0))
        while cursor.key() and most and unpack_kept(cursor.key())[0] == series:
            cursor.delete()  # and stand on the next one, or on none
            most -= 1
        return most > 0

    def keep_last(self, series: int, keep: int, horizon: int) -> None:
        """Drop all events of a series up to a horizon but those among its last ones."""
        records = list(self._records(series))
        if not records:
            return
        columns = [unpack(data, unpack_kept(key)[1]) for key, data in records]
        positions, times = (np.concatenate([own[column] for own in columns]) for column in (0, 2))
        alive = times > horizon
        alive[np.lexsort((positions, times))[max(0, len(times) - keep) :]] = True
        bounds = np.cumsum([len(own[0]) for own in columns])[:-1]
        for (key, _), own, living_ones in zip(records, columns, np.split(alive, bounds), strict=True):
            if not living_ones.all():
                self._shorten(key, own, living_ones)

    def _records(self, series: int) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._txn.cursor(self._table)
        if cursor.set_range(pack_kept(series, 0)):
            for key, data in cursor.iternext():
                if unpack_kept(key)[0] != series:
                    return
                yield bytes(key), bytes(data)

    def series_from(self, number: int) -> Iterator[int]:
        """The ids of the series that keep events, from one on."""
        cursor = self._txn.cursor(self._table)
        while cursor.set_range(pack_kept(number, 0)):
            found = unpack_kept(cursor.key())[0]
            yield found
            number = found + 1

    def note(self, columns: Columns, alive: NDArray[np.bool_]) -> None:
        """Remember of what is dropped how high it stood."""
        positions, ids = columns[0][~alive], columns[1][~alive]
        for series in np.unique(ids).tolist():
            highest = int(positions[ids == series].max())
            self.forgotten[series] = max(self.forgotten.get(series, 0), highest)


def living(columns: Columns, since: Mapping[int, Since]) -> NDArray[np.bool_]:
    """Which of these expired events may be live; those of a series that `since` knows nothing of may."""
    positions, ids, times, _ = columns
    names, which = np.unique(ids, return_inverse=True)
    bounds = np.array([since.get(series, (-(2**63), 0)) for series in names.tolist()])[which]
    alive: NDArray[np.bool_] = (times > bounds[:, 0]) | ((times == bounds[:, 0]) & (positions >= bounds[:, 1]))
    return alive
