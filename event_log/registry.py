"""The series of the log: their names, their ids, and which are symbols of the batches dialect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import lmdb

from event_log.base import Batch, Series, TooManySeries, TooManySymbols
from event_log.lmdb_store import Store
from event_log.records import Meta, pack_id, pack_series, unpack_series


class Registry:
    """What this process knows of the series table, which only ever grows. The log's lock guards it."""

    def __init__(self, max_series: int, max_symbols: int) -> None:
        self.series: list[Series] = []
        self.ids: dict[str, int] = {}
        self.symbols: dict[int, Series] = {}
        self._version = 0
        self._max_series = max_series
        self._max_symbols = max_symbols

    def known(self, names: Sequence[str], symbol: bool) -> list[int] | None:
        """The ids of these series; None when one has yet to be registered, or to be made a symbol."""
        ids = [self.ids.get(name, -1) for name in names]
        if -1 in ids or (symbol and any(self.series[number].symbol_since is None for number in ids)):
            return None
        return ids

    def refresh(self, store: Store, txn: lmdb.Transaction, meta: Meta) -> None:
        """Learn what other processes have registered."""
        if meta.version <= self._version:
            return  # another thread, with a later snapshot, was first
        new = txn.stat(store.series)["entries"] - len(self.series)
        # Each registration and each symbol made is a version: as many new versions as series means no change above.
        start = len(self.series) if new == meta.version - self._version else 0
        cursor = txn.cursor(store.series)
        cursor.set_range(pack_id(start))
        self._learn(start, [unpack_series(data) for data in cursor.iternext(keys=False)])
        self._version = meta.version

    def admit(self, batch: Batch, symbol: bool, position: int, meta: Meta) -> dict[int, Series]:
        """The entries to be written so that these series stand in the table. Raises TooManySeries,
        TooManySymbols."""
        entries: dict[int, Series] = {}
        for index, name in enumerate(batch.names):
            number = self.ids.get(name, len(self.series) + len(entries))
            if number < len(self.series):
                entry = self.series[number]
            else:
                created, initial = batch.first(index)
                entry = Series(name, created=created, initial=initial)
            if symbol and entry.symbol_since is None:
                entry = replace(entry, symbol_since=position, symbol_horizon=meta.horizon)
            if number >= len(self.series) or entry is not self.series[number]:
                entries[number] = entry
        if entries and max(entries) >= self._max_series:
            raise TooManySeries(f"the limit of {self._max_series:,} series (MAX_SERIES) is reached")
        if symbol and len(self.symbols.keys() | entries.keys()) > self._max_symbols:
            raise TooManySymbols(f"the limit of {self._max_symbols} symbols (MAX_SYMBOLS) is reached")
        return entries

    def write(self, store: Store, txn: lmdb.Transaction, meta: Meta, entries: dict[int, Series]) -> None:
        """Put the entries into the table; `learned` must follow once the transaction has ended well."""
        for number, entry in entries.items():
            txn.put(pack_id(number), pack_series(entry), db=store.series)
        store.put_meta(txn, meta._replace(version=meta.version + len(entries)))

    def learned(self, entries: dict[int, Series]) -> None:
        """Take in entries that this process has written."""
        for number in sorted(entries):
            self._learn(number, [entries[number]])
        self._version += len(entries)

    def _learn(self, start: int, entries: Sequence[Series]) -> None:
        for number, entry in enumerate(entries, start):
            if number == len(self.series):
                self.series.append(entry)
            self.series[number] = entry
            self.ids[entry.name] = number
            if entry.symbol_since is not None:
                self.symbols = self.symbols | {number: entry}  # others may be reading the old one
