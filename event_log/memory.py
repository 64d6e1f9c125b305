"""A log for one process: tests, `flask run`, trying things out. Forgets everything at its end.

It holds records in a row. Those whose events have all expired the mark passes, in `clean`: what of them is dead goes,
what is kept moves to a table by series. A reader behind the mark is given that table, a series at a time, and as far
as the next change: then that change, then what of the table stands between it and the one after.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import RLock
from typing import NamedTuple

import numpy as np

from event_log.base import (
    PLAIN,
    START,
    Batch,
    EventLog,
    Events,
    HistoryChanged,
    KeepChange,
    KeptSince,
    Memo,
    Place,
    Rules,
    RulesChange,
    Series,
    SeriesEnd,
    Terms,
    TooManyKeepers,
    TooManySeries,
    Usage,
)
from event_log.memory_changes import RECENT_CHANGES, History, Registry
from event_log.memory_stock import Stock
from event_log.memory_table import Columns, Record, columns_of, joined, rows, size_of
from event_log.memory_terms import MEMO_BYTES, Buckets, Memos

EVENT_BYTES = 28


class Sweep(NamedTuple):
    """How far a reader behind the mark has read of the kept events between its position and `end`."""

    told: int
    """The changes up to there it has been told, or began with."""
    end: int
    series: int = 0
    """The series it goes on with..."""
    behind: int = 0
    """...behind this position."""


class MemoryLog(EventLog):
    """Columns in lists, under one lock."""

    def __init__(self, max_series: int = 10_000, *, recent_changes: int = RECENT_CHANGES) -> None:
        self._max_series = max_series
        self._lock = RLock()
        # All below: under _lock.
        self._position = 0
        self._registry = Registry()
        self._history = History(recent_changes)
        self._stock = Stock(self._registry, self._history)
        self._memos = Memos()
        self._buckets = Buckets()

    def append(self, batch: Batch, terms: Terms = PLAIN) -> int:
        with self._lock:
            if terms.once is not None:
                self._memos.admit(terms.once)
            self._admit(batch.names, terms)
            if terms.budget is not None:
                self._buckets.spend(terms.budget, terms.budget.price(len(batch)))
            if len(batch):
                self._store(batch, terms.keep)
            if terms.once is not None:
                self._memos.remember(terms.once, self._position)
            return self._position

    def append_one(self, series: str, time: int, value: float) -> int:
        with self._lock:
            number = self._registry.ids.get(series)
            if number is None:
                return self.append(Batch([series], None, time, np.array([value])))
            self._put([number], (self._position + 1, number, time, float(value)))
            return self._position

    def recall(self, key: bytes, now: int) -> Memo | None:
        with self._lock:
            return self._memos.recall(key, now)

    def read(self, place: Place, limit: int = 1_000_000) -> Events:
        with self._lock:
            fresh = place == START
            self._recognise(place)
            while place.position < self._stock.mark:
                events = self._read_kept(place, limit)
                place = events.place
                if len(events) or events.changes:
                    break
            else:
                events = self._read_records(place, limit)
            return replace(events, rules=self._history.rules) if fresh else events

    def position(self) -> int:
        return self._position

    @property
    def series(self) -> Mapping[int, Series]:
        return self._registry.series

    @property
    def jumps(self) -> Sequence[tuple[int, int]]:
        return ()

    def claim(self, rules: Rules, start: str) -> None:
        with self._lock:
            if not self._history.begins(start) or rules == self._history.in_force:
                return
            if self._position == 0 and self._history.in_force is None:
                self._history.rules = self._history.in_force = rules
                return
            self._position += 1
            self._history.add(RulesChange(self._position, self._stock.horizon, rules))
            self._stock.doubtful |= dict.fromkeys(self._stock.kept.series())

    def end_series(self, series: int, quiet_since: int | None = None) -> int | None:
        with self._lock:
            latest = self._registry.latest.get(series)
            if latest is None or (quiet_since is not None and latest > quiet_since):
                return None
            self._position += 1
            self._registry.end(series, self._position)
            self._history.add(SeriesEnd(self._position, series))
            self._stock.kept.forget(series)
            return self._position

    def clean(self, horizon: int, kept_since: KeptSince, position: int) -> bool:
        with self._lock:
            if self._history.last > position:
                return False
            more = self._stock.clean(horizon, kept_since, self._position)
            self._memos.forget(self._stock.horizon)
            return more

    def check(self) -> None:
        return

    def notice(self) -> str | None:
        return None

    def usage(self) -> Usage:
        with self._lock:
            used = EVENT_BYTES * len(self._stock) + MEMO_BYTES * len(self._memos)
        return Usage(bytes_used=used, bytes_allowed=sys.maxsize, settled=None)

    def sync(self) -> None:
        return

    def close(self) -> None:
        return

    def _admit(self, names: Sequence[str], terms: Terms) -> None:
        """Raises TooManySeries, TooManyKeepers."""
        registry = self._registry
        new = sum(name not in registry.ids for name in names)
        if new and len(registry.ids) + new > self._max_series:
            raise TooManySeries(f"the limit of {self._max_series} series is reached")
        if terms.keep is not None and terms.most_keepers is not None:
            new = sum(registry.ids.get(name) not in registry.keeps for name in names)
            if new and len(registry.keeps) + new > terms.most_keepers:
                raise TooManyKeepers(f"the limit of {terms.most_keepers} series with a keep of their own is reached")

    def _store(self, batch: Batch, keep: int | None) -> None:
        named = zip(batch.names, batch.firsts(), strict=True)
        numbers = [self._number(name, first, keep) for name, first in named]
        ids = numbers[0] if batch.name_indexes is None else np.array(numbers, np.uint32)[batch.name_indexes]
        self._put(numbers, (self._position + len(batch), ids, batch.times, batch.values))

    def _number(self, name: str, first: tuple[int, float], keep: int | None) -> int:
        """The id of a series, which from here on keeps so many."""
        registry = self._registry
        number = registry.ids.get(name)
        if number is None:
            return registry.register(Series(name, *first, keep))
        if keep is not None and registry.keeps.get(number) != keep:
            self._position += 1
            self._history.add(KeepChange(self._position, self._stock.horizon, number, keep))
            registry.keeps[number] = keep
            self._stock.doubtful[number] = None
        return number

    def _put(self, numbers: Sequence[int], record: Record) -> None:
        self._position = record[0]
        self._stock.records.append(record)
        for number in numbers:
            self._registry.latest[number] = self._position

    def _recognise(self, place: Place) -> None:
        """Raises HistoryChanged where the reader has missed a change, or has read what never was."""
        told = place.detail.told if isinstance(place.detail, Sweep) else place.position
        if place != START and not self._history.folded <= told <= self._position:
            raise HistoryChanged("what has changed since this place is no longer known")

    def _read_records(self, place: Place, limit: int) -> Events:
        """What stands behind the mark."""
        taken: list[Record] = []
        events = 0
        following = self._stock.records.behind(place.position)
        for record in following:
            taken.append(record)
            events += size_of(record)
            if events >= limit:
                break
        more = next(following, None) is not None
        end = taken[-1][0] if more else self._position
        columns = columns_of(taken)
        if len(columns[0]) and columns[0][0] <= place.position:
            columns = rows(columns, columns[0] > place.position)
        return self._events(columns, place, Place(end), more=more)

    def _read_kept(self, place: Place, limit: int) -> Events:
        """What is kept between a place before the mark and the next change, or the mark."""
        sweep = place.detail if isinstance(place.detail, Sweep) else self._sweep(place)
        found: list[Columns] = []
        for series in self._stock.kept.series():
            if series < sweep.series:
                continue
            behind = sweep.behind if series == sweep.series else place.position
            found.append(self._stock.kept.between(series, max(behind, place.position), sweep.end, limit))
            limit -= len(found[-1][0])
            if limit <= 0:
                there = Place(place.position, sweep._replace(series=series, behind=int(found[-1][0][-1])))
                return replace(self._events(joined(found), place, there, more=True), changes=(), kept=True)
        events = self._events(joined(found), place, Place(sweep.end), more=sweep.end < self._position)
        return replace(events, changes=self._history.between(sweep.end - 1, sweep.end), kept=True)

    def _sweep(self, place: Place) -> Sweep:
        told = self._history.folded if place == START else place.position
        return Sweep(told, self._history.first(told, self._stock.mark))

    def _events(self, columns: Columns, before: Place, place: Place, *, more: bool) -> Events:
        changes = self._history.between(before.position, place.position)
        positions, ids, times, values = columns
        return Events(positions, ids, times, values, place, self._stock.horizon, changes, more=more)
