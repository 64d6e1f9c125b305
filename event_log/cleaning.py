"""Cleaning: how dead events leave the log, a few records at a time, wherever they stand.

A mark walks behind the expired records in log order and never turns back. A record it passes goes if all
its events are dead. If some are still among the last of their series it stays where it is, noted in the
table `kept` under those series; each time the mark passes a record of a series, the first of its kept
records are looked at again. So nothing is ever moved, order of arrival stays, and no step costs more than
a few records. The newest record always stays: its key is the log's position.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from functools import cache
from itertools import islice

import lmdb
import numpy as np

from event_log.base import Ids, KeptSince, Times, Values
from event_log.lmdb_store import Store
from event_log.records import Data, Record, Single, pack_id, pack_position, pack_rows, unpack_either, unpack_position

RECORDS_A_STEP = 256
EVENTS_A_STEP = 10_000
"""A step ends with the record that reaches this."""
KEPT_A_RECORD = 2
"""How many of a series' kept records are looked at for each of its records passed. One would keep their
number where it is, however many are dead."""


class Cleaning:
    """One step of cleaning, inside one write transaction."""

    def __init__(self, store: Store, txn: lmdb.Transaction, horizon: int, kept_since: KeptSince) -> None:
        self._store = store
        self._txn = txn
        self._horizon = horizon
        self._kept_since = cache(kept_since)
        self._looked_at: dict[bytes, Set[int]] = {}

    def run(self) -> bool:
        """Clean a few records; says whether more may wait."""
        meta = self._store.meta(self._txn)
        passed: Counter[int] = Counter()
        cleaned = meta.cleaned
        for key, record in self._expired(meta.cleaned):
            cleaned = unpack_position(key)
            passed.update(self._pass(key, record))
        for series, records in passed.items():
            self._look_again(series, KEPT_A_RECORD * records)
        self._store.put_meta(self._txn, meta._replace(horizon=max(meta.horizon, self._horizon), cleaned=cleaned))
        return cleaned > meta.cleaned

    def _expired(self, after: int) -> list[tuple[bytes, Single | Record]]:
        """The next records, oldest first, none of whose events is later than the horizon."""
        found: list[tuple[bytes, Single | Record]] = []
        events = 0
        cursor = self._txn.cursor(self._store.records)
        if not cursor.last():
            return found
        newest = cursor.key()
        cursor.set_range(pack_position(after + 1))
        for key, data in cursor.iternext():
            if key == newest or len(found) == RECORDS_A_STEP or events >= EVENTS_A_STEP:
                break
            record = unpack_either(data)
            latest, count = (record.time, 1) if isinstance(record, Single) else (int(record[1].max()), len(record[1]))
            if latest > self._horizon:
                break
            found.append((bytes(key), record))
            events += count
        return found

    def _pass(self, key: bytes, record: Single | Record) -> list[int]:
        """Drop what is dead of an expired record, and note where it is kept; the series it is about."""
        live = self._drop_dead(key, record)
        for series in live:
            self._txn.put(pack_id(series), key, db=self._store.kept)
        if isinstance(record, Single):
            return [record.series]
        about: list[int] = np.unique(record[0]).tolist()
        return about

    def _look_again(self, series: int, most: int) -> None:
        """Drop the first of a series' kept records that have died since."""
        cursor = self._txn.cursor(self._store.kept)
        if not cursor.set_key(pack_id(series)):
            return
        for key in map(bytes, list(islice(cursor.iternext_dup(), most))):
            if key not in self._looked_at:
                data: Data | None = self._txn.get(key, db=self._store.records)
                self._looked_at[key] = self._drop_dead(key, unpack_either(data)) if data is not None else frozenset()
            if series in self._looked_at[key]:
                return
            self._txn.delete(pack_id(series), key, db=self._store.kept)

    def _drop_dead(self, key: bytes, record: Single | Record) -> Set[int]:
        """Drop a record without live events, shorten one with few; the series that have some in it."""
        if isinstance(record, Single):
            live = self._live_of_one(key, record)
        else:
            live = self._live_of_many(key, *record)
        if not live:
            self._txn.delete(key, db=self._store.records)
        self._looked_at[key] = live
        return live

    def _live_of_one(self, key: bytes, record: Single) -> Set[int]:
        if (record.time, unpack_position(key)) >= self._kept_since(record.series):
            return frozenset((record.series,))
        return frozenset()

    def _live_of_many(self, key: bytes, ids: Ids, times: Times, values: Values) -> Set[int]:
        names, which = np.unique(ids, return_inverse=True)
        since = np.array([self._kept_since(series) for series in names.tolist()])[which]
        # A shortened record moved its events to higher positions, never to lower ones: some of one time may
        # pass for live that are not, never the other way round.
        last = unpack_position(key)
        positions = np.arange(last - len(ids) + 1, last + 1)
        alive = (times > since[:, 0]) | ((times == since[:, 0]) & (positions >= since[:, 1]))
        if 0 < alive.sum() <= len(alive) // 2:
            self._txn.put(key, pack_rows(ids[alive], times[alive], values[alive]), db=self._store.records)
        return frozenset(ids[alive].tolist())
