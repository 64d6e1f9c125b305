"""A log for one process: tests, `flask run`, trying things out. Forgets everything at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice, takewhile
from threading import RLock

import numpy as np

from event_log.base import (
    Batch,
    EventLog,
    Events,
    Ids,
    KeptSince,
    Series,
    Times,
    TooManySeries,
    TooManySymbols,
    Values,
)

_Record = tuple[int, Ids | int, Times | int, Values | float]
"""Last position; series ids, times and values, or one for all. A value alone is a record of one event."""
_Columns = tuple[Times, Ids, Times, Values]
"""Positions, series ids, times and values."""

RECENT_EVENTS = 65_536
"""How many events behind the newest stay readable, for streams that resume."""


class MemoryLog(EventLog):
    """Keeps columns per record until `clean` finds them read; the views keep the events themselves."""

    def __init__(self, max_series: int = 10_000, max_symbols: int = 10) -> None:
        self._max_series = max_series
        self._max_symbols = max_symbols
        self._lock = RLock()
        # All below: under _lock.
        self._records: deque[_Record] = deque()
        self._position = 0
        self._horizon = 0
        self._ids: dict[str, int] = {}
        self._series: list[Series] = []
        self._symbols: dict[int, Series] = {}

    def append(self, batch: Batch, *, symbol: bool = False) -> int:
        with self._lock:
            self._admit(batch.names, symbol)
            ids = [self._register(name, batch.first(index), symbol) for index, name in enumerate(batch.names)]
            own = ids[0] if batch.which is None else np.array(ids, np.uint32)[batch.which]
            return self._put(len(batch), own, batch.times, batch.values)

    def append_one(self, series: str, time: int, value: float) -> int:
        with self._lock:
            self._admit([series], symbol=False)
            return self._put(1, self._register(series, (time, value), symbol=False), time, value)

    def _put(self, count: int, ids: Ids | int, times: Times | int, values: Values | float) -> int:
        self._position += count
        self._records.append((self._position, ids, times, values))
        return self._position

    def read(self, after: int, limit: int = 1_000_000) -> Events:
        with self._lock:
            records = self._behind(after)
            position, horizon = self._position, self._horizon
        return _events(records, after, limit, position, horizon)

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

    def _register(self, name: str, first: tuple[int, float], symbol: bool) -> int:
        number = self._ids.setdefault(name, len(self._series))
        if number == len(self._series):
            self._series.append(Series(name, created=first[0], initial=first[1]))
        if symbol and self._series[number].symbol_since is None:
            known = self._series[number]
            self._series[number] = replace(known, symbol_since=self._position, symbol_horizon=self._horizon)
            self._symbols = self._symbols | {number: self._series[number]}  # others may be reading the old one
        return number

    def _behind(self, after: int) -> list[_Record]:
        """The records that hold an event behind `after`, oldest first; cost follows their number."""
        return list(takewhile(lambda record: record[0] > after, reversed(self._records)))[::-1]


def _events(records: list[_Record], after: int, limit: int, position: int, horizon: int) -> Events:
    """The columns of these records, up to about `limit` events of them, less what stands at or before `after`."""
    pieces: list[_Columns] = []
    for single, group in groupby(records, key=lambda record: isinstance(record[3], float)):
        run = list(group)
        pieces += [_of_singles(run)] if single else map(_of_batch, run)
    taken = list(islice(pieces, _enough(pieces, limit)))
    if not taken:
        return Events.none(max(after, position), horizon)
    positions, ids, times, values = (np.concatenate(column) for column in zip(*taken, strict=True))
    return Events(positions, ids, times, values, int(positions[-1]), horizon).behind(after)


def _enough(pieces: list[_Columns], limit: int) -> int:
    """How many of these pieces hold `limit` events; at least one."""
    sizes = np.cumsum([len(piece[0]) for piece in pieces])
    return int(sizes.searchsorted(limit)) + 1


def _of_singles(records: list[_Record]) -> _Columns:
    positions, ids, times, values = zip(*records, strict=True)
    return np.array(positions, np.int64), np.array(ids, np.uint32), np.array(times, np.int64), np.array(values)


def _of_batch(record: _Record) -> _Columns:
    last, ids, times, values = record
    assert isinstance(values, np.ndarray)
    size = len(values)
    return (
        np.arange(last - size + 1, last + 1),
        np.broadcast_to(np.asarray(ids, np.uint32), size),
        np.broadcast_to(np.asarray(times, np.int64), size),
        values,
    )
