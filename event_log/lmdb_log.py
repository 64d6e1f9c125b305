"""The log of one machine, shared by any number of worker processes, on LMDB.

LMDB is a crash-safe store that its processes map into memory: a write is one transaction, readers see
a snapshot and never wait, and there is no recovery step. Not for network file systems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock

import lmdb
import numpy as np

from event_log.base import Batch, EventLog, Events, KeptSince, LogDamaged, Series
from event_log.cleaning import Cleaning
from event_log.lmdb_store import PerProcess, Store
from event_log.reading import as_events, take
from event_log.records import pack_batch, pack_one, pack_position, unpack_position
from event_log.registry import Registry


class LmdbLog(EventLog):
    """Opens the environment at its first use in each process, never before a fork."""

    def __init__(
        self, path: Path, *, max_bytes: int, sync: str = "everysec", max_series: int = 10_000, max_symbols: int = 10
    ) -> None:
        self._process = PerProcess(path, max_bytes, always_sync=sync == "always")
        self._sync_later = sync == "everysec"
        self._lock = RLock()
        self._registry = Registry(max_series, max_symbols)  # changed under _lock only

    def append(self, batch: Batch, *, symbol: bool = False) -> int:
        ids = self._registry.known(batch.names, symbol)
        store = self._process.get()
        if ids is None:
            return self._append_new(store, batch, symbol)
        data = pack_batch(batch, ids)
        with store.write() as txn:
            return self._put(store, txn, data, len(batch))

    def append_one(self, series: str, time: int, value: float) -> int:
        number = self._registry.ids.get(series)
        if number is None:
            return self.append(Batch([series], None, time, np.array([value])))
        store = self._process.get()
        with store.write() as txn:
            return self._put(store, txn, pack_one(number, time, value), 1)

    def _append_new(self, store: Store, batch: Batch, symbol: bool) -> int:
        """`append` where a series has to be registered in the same transaction."""
        with self._lock:
            with store.write() as txn:
                meta = store.meta(txn)
                self._registry.refresh(store, txn, meta)
                entries = self._registry.admit(batch, symbol, _last(store, txn), meta)
                self._registry.write(store, txn, meta, entries)
                own = {entry.name: number for number, entry in entries.items()}
                ids = [own[name] if name in own else self._registry.ids[name] for name in batch.names]
                position = self._put(store, txn, pack_batch(batch, ids), len(batch))
            self._registry.learned(entries)
        return position

    def _put(self, store: Store, txn: lmdb.Transaction, data: bytes, count: int) -> int:
        store.ensure_room(txn, len(data))
        position = _last(store, txn) + count
        txn.put(pack_position(position), data, db=store.records, append=True)
        return position

    def read(self, after: int, limit: int = 1_000_000) -> Events:
        store = self._process.get()
        with store.read() as txn:
            meta = store.meta(txn)
            with self._lock:
                self._registry.refresh(store, txn, meta)
            cursor = txn.cursor(store.records)
            items, counts = take(cursor.iternext(), limit) if cursor.set_range(pack_position(after + 1)) else ([], [])
        try:
            return as_events(items, counts, after, meta)
        except LogDamaged as fault:
            raise store.damaged(str(fault)) from fault

    def position(self) -> int:
        store = self._process.get()
        with store.read() as txn:
            return _last(store, txn)

    @property
    def series(self) -> Sequence[Series]:
        return self._registry.series

    @property
    def symbols(self) -> Mapping[int, Series]:
        return self._registry.symbols

    def clean(self, horizon: int, kept_since: KeptSince) -> bool:
        store = self._process.get()
        with self._lock, store.write() as txn:
            store.clear_dead_readers()
            # Since the caller's view caught up, other processes may have let series keep more.
            self._registry.refresh(store, txn, store.meta(txn))
            return Cleaning(store, txn, horizon, kept_since).run()

    def check(self) -> None:
        self._process.get().check()

    def sync(self) -> None:
        if self._sync_later:
            self._process.get().sync()

    def close(self) -> None:
        try:
            self.sync()
        finally:
            self._process.close()


def _last(store: Store, txn: lmdb.Transaction) -> int:
    cursor = txn.cursor(store.records)
    return unpack_position(cursor.key()) if cursor.last() else 0
