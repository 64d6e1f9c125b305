"""A log for one process: tests, `flask run`, trying things out. Forgets everything at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from threading import RLock

import numpy as np

from event_log.base import (
    Batch,
    EventLog,
    Events,
    KeptSince,
    Series,
    TooManySeries,
    TooManySymbols,
)

RECENT_EVENTS = 65_536
"""How many events behind the newest stay readable, for streams that resume."""


class MemoryLog(EventLog):
    """Keeps columns per record until `clean` finds them read; the views keep the events themselves."""

    def __init__(self, max_series: int = 10_000, max_symbols: int = 10) -> None:
        self._max_series = max_series
        self._max_symbols = max_symbols
        self._lock = RLock()
        # All below: under _lock.
        self._records: deque[tuple[int, Batch, list[int]]] = deque()  # (last position, batch, series ids)
        self._position = 0
        self._horizon = 0
        self._ids: dict[str, int] = {}
        self._series: list[Series] = []
        self._symbols: dict[int, Series] = {}

    def append(self, batch: Batch, *, symbol: bool = False) -> int:
        with self._lock:
            self._admit(batch.names, symbol)
            ids = [self._register(name, symbol) for name in batch.names]
            self._position += len(batch)
            self._records.append((self._position, batch, ids))
            return self._position

    def append_one(self, series: str, time: int, value: float) -> int:
        return self.append(Batch([series], None, time, np.array([value])))

    def read(self, after: int, limit: int = 1_000_000) -> Events:
        with self._lock:
            found = []
            size = 0
            for record in self._behind(after):
                found.append(record)
                size += len(record[1])
                if size >= limit:
                    break
            return self._columns(found, after)

    def position(self) -> int:
        return self._position

    @property
    def series(self) -> Sequence[Series]:
        return self._series

    @property
    def symbols(self) -> Mapping[int, Series]:
        return self._symbols

    def clean(self, horizon: int, kept_since: KeptSince) -> bool:
        """Nothing to weigh here: a record may go as soon as the one view of this process has read it,
        and the service cleans only after it has caught up."""
        with self._lock:
            self._horizon = max(self._horizon, horizon)
            while self._records and self._records[0][0] <= self._position - RECENT_EVENTS:
                self._records.popleft()
        return False

    def check(self) -> None:
        return

    def sync(self) -> None:
        return

    def close(self) -> None:
        return

    def _admit(self, names: Sequence[str], symbol: bool) -> None:
        new = sum(name not in self._ids for name in names)
        if new and len(self._series) + new > self._max_series:
            raise TooManySeries(f"the limit of {self._max_series} series is reached")
        if symbol:
            known = {entry.name for entry in self._symbols.values()}
            if len(known.union(names)) > self._max_symbols:
                raise TooManySymbols(f"the limit of {self._max_symbols} symbols is reached")

    def _register(self, name: str, symbol: bool) -> int:
        number = self._ids.setdefault(name, len(self._series))
        if number == len(self._series):
            self._series.append(Series(name))
        if symbol and self._series[number].symbol_since is None:
            self._series[number] = Series(name, self._position, self._horizon)
            self._symbols = self._symbols | {number: self._series[number]}  # others may be reading the old one
        return number

    def _behind(self, after: int) -> list[tuple[int, Batch, list[int]]]:
        """The records that hold an event behind `after`, oldest first; cost follows their number."""
        found = []
        for record in reversed(self._records):
            if record[0] <= after:
                break
            found.append(record)
        return found[::-1]

    def _columns(self, records: list[tuple[int, Batch, list[int]]], after: int) -> Events:
        positions, ids, times, values = [], [], [], []
        for last, batch, numbers in records:
            n = len(batch)
            skip = max(0, n - (last - after))
            positions.append(np.arange(last - n + 1 + skip, last + 1, dtype=np.int64))
            own = np.array(numbers, np.uint32)
            ids.append((np.repeat(own, n) if batch.which is None else own[batch.which])[skip:])
            times.append(np.broadcast_to(np.asarray(batch.times, np.int64), (n,))[skip:])
            values.append(batch.values[skip:])
        end = max(after, records[-1][0]) if records else max(after, self._position)
        if not records:
            empty = np.empty(0, np.int64)
            return Events(empty, empty.astype(np.uint32), empty, np.empty(0), end, self._horizon)
        return Events(
            np.concatenate(positions),
            np.concatenate(ids),
            np.concatenate(times),
            np.concatenate(values),
            end,
            self._horizon,
        )
