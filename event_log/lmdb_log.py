"""The log of one machine, shared by any number of worker processes, on LMDB. Not for network file systems.

A request writes to `fresh`, which needs no disk to survive the death of any process; `settled`, which survives a power
cut, takes over what is fresh about once a second. A reader opens its snapshot of the fresh part first, and so never
misses a record between the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from event_log.appending import append_with_terms, memo_of, put_pieces
from event_log.aside import aside, native_lock
from event_log.base import (
    PLAIN,
    Batch,
    EventLog,
    Events,
    KeptSince,
    LogDamaged,
    LogFull,
    LogUnavailable,
    LogUncertain,
    Memo,
    Place,
    Rules,
    RulesChange,
    Series,
    SeriesEnd,
    Terms,
    Usage,
)
from event_log.cleaning import Plan, Planner
from event_log.entries import pack_position
from event_log.fresh import NoRoom, digest_of
from event_log.kept import ALL_DEAD, Since
from event_log.lmdb_reading import Reading
from event_log.options import Options
from event_log.per_process import PerProcess
from event_log.records import pack_one, pack_pieces
from event_log.registry import Registry
from event_log.settled import WAYS_OUT
from event_log.store import DUE, Store

CHEAP = 20_000
"""At most so many events are looked through for one of a series that is to end."""
REST = 0.001
"""Not 0: after a sleep of 0 gevent looks at no socket."""

T = TypeVar("T")


class LmdbLog(EventLog):
    """Opens its files at the first use in each process, never before a fork."""

    def __init__(
        self, path: Path, *, max_bytes: int, sync: str = "everysec", max_series: int = 10_000, **options: Any
    ) -> None:
        self._process = PerProcess(Options(path, max_bytes, sync, **options))
        self._always = sync == "always"
        self._registry = Registry(max_series)  # changed under the store's lock only
        self._planning = native_lock()  # held by real threads too, so nobody waits for anything inside
        self._plan: Plan | None = None  # under _planning; None while somebody extends it

    # Writing.

    def append(self, batch: Batch, terms: Terms = PLAIN) -> int:
        ids = self._registry.known(batch.names) if terms is PLAIN and len(batch) else None
        if ids is None:
            return self._append_with_terms(batch, terms)
        pieces = pack_pieces(batch, ids)
        size = sum(len(data) for _, data in pieces)

        def work() -> int | None:
            fresh = self._process.get().fresh
            with fresh.write() as txn:
                head = fresh.head(txn)
                if head.ended > self._registry.version:
                    return None  # one of these series may have ended
                return put_pieces(fresh, txn, head, pieces, fresh.reserve(txn, head, size))

        position = self._with_room(work, size)
        return self._append_with_terms(batch, terms) if position is None else self._acknowledged(position)

    def append_one(self, series: str, time: int, value: float) -> int:
        number = self._registry.ids.get(series)
        if number is not None:
            fresh = self._process.get().fresh
            try:
                with fresh.write() as txn:
                    head = fresh.head(txn)
                    if head.ended <= self._registry.version:
                        position = fresh.reserve(txn, head, 0) + 1
                        data = pack_one(number, time, value, position)
                        txn.put(pack_position(position), data, db=fresh.records[head.active], append=True)
                        number = None
                if number is None:
                    return self._acknowledged(position) if self._always else position
            except NoRoom:
                pass  # `append` makes some
            except LogDamaged as fault:
                raise self._process.get().note_damage(fault) from fault
        return self.append(Batch([series], None, time, np.array([value])))

    def _append_with_terms(self, batch: Batch, terms: Terms) -> int:
        def work() -> int:
            store = self._process.get()
            with store.lock:
                with store.fresh.write() as txn:
                    done = append_with_terms(store.fresh, store.settled, self._registry, txn, batch, terms)
                self._registry.wrote(done.head, done.new, done.changes)
            return done.position

        return self._acknowledged(self._with_room(work, 20 * len(batch)), terms.once is not None)

    def _with_room(self, work: Callable[[], T], size: int) -> T:
        """Do what needs room; where there is none, settle and try once more."""
        store = self._process.get()
        if size > store.limits.fresh:
            raise LogFull(f"this request is larger than the log at {store.path} takes; {WAYS_OUT}")
        try:
            with store.noting_damage():
                return work()
        except NoRoom:
            aside(self._settle_all)
        try:
            with store.noting_damage():
                return work()
        except NoRoom:
            raise LogFull(store.why_full()) from None

    def _acknowledged(self, position: int, memo: bool = False) -> int:
        """With SYNC=always not before it is on the disk."""
        if self._always:
            try:
                self._process.get().group.wait(position, self._settle_all, also=memo)
            except LogUnavailable as fault:
                raise LogUncertain(str(fault)) from fault
        return position

    def claim(self, rules: Rules, start: str) -> None:
        store = self._process.get()
        with store.noting_damage(), store.fresh.read() as txn:
            in_force = store.fresh.claims(txn)[1]
        if in_force is None:
            aside(lambda: store.settling.begin_with(rules))
        with store.noting_damage(), store.lock, store.fresh.write() as txn:
            head = store.fresh.head(txn)
            starts, in_force = store.fresh.claims(txn)
            if digest_of(start) in starts:
                return
            store.fresh.put_claims(txn, [*starts, digest_of(start)], rules)
            if in_force in (rules, None):
                return
            change = RulesChange(store.fresh.reserve(txn, head, 0) + 1, head.horizon, rules)
            head = store.fresh.put_change(txn, store.fresh.head(txn), change)
            store.fresh.put_head(txn, head)
        self._acknowledged(change.position)

    def end_series(self, series: int, quiet_since: int | None = None) -> int | None:
        store = self._process.get()
        with store.noting_damage(), store.lock:
            with store.fresh.write() as txn:
                head = store.fresh.head(txn)
                self._registry.refresh(store.fresh, store.settled, txn, head)
                known = self._registry.series.get(series)
                if known is None or known.ended:
                    return None
                last = store.fresh.reserve(txn, head, 0)
                if quiet_since is not None and not self._is_quiet(
                    store, Reading(store, txn), series, quiet_since, last
                ):
                    return None
                end = SeriesEnd(last + 1, series)
                head = store.fresh.put_change(txn, store.fresh.head(txn), end)
                head = head._replace(version=head.version + 1, ended=head.version + 1)
                store.fresh.put_head(txn, head)
            self._registry.wrote(head, {}, [end])
        return self._acknowledged(end.position)

    def _is_quiet(self, store: Store, reading: Reading, series: int, since: int, last: int) -> bool:
        if last - since > CHEAP:
            return False
        return since == last or not bool((reading.queue(Place(since), CHEAP).ids == series).any())

    # Reading.

    def recall(self, key: bytes, now: int) -> Memo | None:
        store = self._process.get()
        with store.fresh.read() as txn:
            return memo_of(store.fresh, store.settled, txn, store.fresh.head(txn), key, now)

    def read(self, place: Place, limit: int = 1_000_000) -> Events:
        store = self._process.get()
        try:
            with store.fresh.read() as txn:
                reading = Reading(store, txn)
                if not self._registry.is_current(reading.head):
                    with store.lock:
                        self._registry.refresh(store.fresh, store.settled, txn, reading.head, _rest)
                return reading.read(place, limit)
        except LogDamaged as fault:
            raise store.note_damage(fault) from fault

    def position(self) -> int:
        fresh = self._process.get().fresh
        with fresh.read() as txn:
            return fresh.last(txn, fresh.head(txn))

    @property
    def series(self) -> Mapping[int, Series]:
        return self._registry.series

    @property
    def jumps(self) -> Sequence[tuple[int, int]]:
        store = self._process.opened()
        return () if store is None else store.jumps

    # Upkeep.

    def clean(self, horizon: int, kept_since: KeptSince, position: int) -> bool:
        store = self._process.get()
        with store.fresh.read() as txn:
            head = store.fresh.head(txn)
        if head.changed > position:
            return False
        # Aside, for another process may be halted while it writes: then this work waits, and no request does.
        if horizon > head.horizon and not aside(lambda: self._raise_horizon(store, horizon, position)):
            return False

        def since(number: int) -> Since:
            series = self._registry.series.get(number)
            return ALL_DEAD if series is None or series.ended else kept_since(number)

        with store.planners, store.settled.read() as txn:
            planner = Planner(store.settled, txn, since)
            plan, more = planner.extend(self._take_plan(), max(horizon, head.horizon), position)
            with self._planning:
                self._plan = plan
        return more

    def _take_plan(self) -> Plan | None:
        with self._planning:
            plan, self._plan = self._plan, None
        return plan

    def _raise_horizon(self, store: Store, horizon: int, position: int) -> bool:
        """Before anything is dropped for it, so that a change made meanwhile notes the new one."""
        with store.noting_damage(), store.fresh.write() as txn:
            head = store.fresh.head(txn)
            if head.changed > position:
                return False
            store.fresh.put_head(txn, head._replace(horizon=max(head.horizon, horizon)))
        return True

    def check(self) -> None:
        self._process.get().check()

    def notice(self) -> str | None:
        return self._process.get().notice()

    def usage(self) -> Usage:
        return self._process.get().usage()

    def sync(self) -> None:
        store = self._process.opened()
        if store is None:
            return
        with self._planning:
            planned = self._plan is not None and not self._plan.is_empty
        if planned or store.age() >= DUE:
            self._settle(store, wait=False)

    def _settle_all(self) -> None:
        self._settle(self._process.get(), wait=True)

    def _settle(self, store: Store, *, wait: bool) -> None:
        store.settle(self._take_plan(), wait=wait)

    def close(self) -> None:
        store = self._process.opened()
        try:
            if store is not None:
                store.settle(None, wait=True)  # what is planned to be cleaned can wait for the next start
        finally:
            self._process.close()


def _rest() -> None:
    """Let other greenlets go first. Never while a write is under way: they would wait for that without a switch."""
    time.sleep(REST)
