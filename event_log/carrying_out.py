"""Carrying out a plan of cleaning, in one transaction of what is settled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import lmdb
import numpy as np

from event_log.aside import Turns
from event_log.base import Change, KeepChange, RulesChange, SeriesEnd
from event_log.cleaning import EVENTS_A_STEP, Plan
from event_log.entries import pack_kept, pack_position, unpack_kept, unpack_position
from event_log.heads import SettledHead
from event_log.kept import Kept, living
from event_log.records import Columns, chosen, count_events, series_of, unpack, unpack_all
from event_log.settled import Settled

GENEROUS = 600.0
"""For so many seconds readers are told of a change that is folded already."""
FRONT = 2
"""How many of a series' first kept records are looked at when one of its records is passed."""
AS_IT_IS = 64
"""A batch of one series with so many events, all alive, is not taken apart."""
MEMOS_A_STEP = 20_000
KILLED_A_STEP = 4096
SERIES_A_STEP = 1000

Item = tuple[bytes, bytes]


class CarryingOut:
    """One plan, once."""

    def __init__(self, settled: Settled, txn: lmdb.Transaction, plan: Plan, turns: Turns) -> None:
        self._settled = settled
        self._txn = txn
        self._plan = plan
        self._turns = turns
        self._head = settled.head(txn)
        self._kept = Kept(settled, txn, plan.since)

    def run(self, now: float) -> SettledHead | None:
        """Do it, at a time in seconds; returns the head it has written, or None where another was faster."""
        head, plan = self._head, self._plan
        place = head.mark, (head.sweep_series, head.sweep_position)
        if place != (plan.start, plan.sweep_start) or head.position < plan.view:
            return None
        for group in self._groups():
            self._pass(group)
        self._drop_passed()
        self._sweep()
        self._head = head._replace(
            mark=plan.mark,
            horizon=max(head.horizon, plan.horizon),
            sweep_series=plan.sweep[0],
            sweep_position=plan.sweep[1],
            sweep_began=plan.sweep_began,
            version=head.version + 1,
        )
        self._fold()
        self._note_forgotten()
        self._forget_changes(now)
        self._settled.forget_memos(self._txn, self._head.horizon, MEMOS_A_STEP)
        self._settled.put_head(self._txn, self._head)
        return self._head

    def _groups(self) -> Iterator[list[Item]]:
        """The records to be passed, some at a time."""
        group: list[Item] = []
        events = 0
        for key, data in self._turns.over(self._settled.items(self._txn, self._plan.start)):
            if unpack_position(key) > self._plan.mark:
                break
            group.append((bytes(key), bytes(data)))
            events += count_events(data)
            if events >= EVENTS_A_STEP:
                yield group
                group, events = [], 0
        if group:
            yield group

    def _pass(self, group: list[Item]) -> None:
        waiting: list[Item] = []
        for key, data in self._turns.over(group):
            series = series_of(data)
            if series is None or count_events(data) < AS_IT_IS or not self._is_all_alive(key, data):
                waiting.append((key, data))
                continue
            self._keep_living(waiting)
            waiting = []
            self._kept.put(series, unpack_position(key), data)
        self._keep_living(waiting)
        for number in self._turns.over(np.unique(self._columns(group)[1]).tolist()):
            self._kept.drop_front(number, FRONT * len(group))

    def _is_all_alive(self, key: bytes, data: bytes) -> bool:
        return bool(living(unpack(data, unpack_position(key)), self._plan.since).all())

    def _columns(self, items: list[Item]) -> Columns:
        return unpack_all([data for _, data in items], np.array([unpack_position(key) for key, _ in items]))

    def _keep_living(self, items: list[Item]) -> None:
        """Give what is alive of these records to the kept events of its series."""
        if not items:
            return
        columns = self._columns(items)
        alive = living(columns, self._plan.since)
        self._kept.note(columns, alive)
        positions, ids, times, values = chosen(columns, alive)
        order = np.argsort(ids, kind="stable")
        bounds = np.flatnonzero(np.diff(ids[order])) + 1
        for own in self._turns.over(np.split(order, bounds) if len(order) else []):
            self._kept.add(int(ids[own[0]]), positions[own], times[own], values[own])

    def _drop_passed(self) -> None:
        cursor = self._txn.cursor(self._settled.records)
        cursor.set_range(pack_position(self._plan.start + 1))
        while cursor.key() and unpack_position(cursor.key()) <= self._plan.mark:
            cursor.delete()  # and stand on the next one, or on none
            self._turns.give_way()

    def _sweep(self) -> None:
        plan = self._plan
        if plan.sweep == plan.sweep_start and not plan.swept:
            return
        cursor = self._txn.cursor(self._settled.kept)
        more = cursor.set_range(pack_kept(*plan.sweep_start))
        while more:
            key, data = bytes(cursor.key()), bytes(cursor.value())
            if not plan.swept and unpack_kept(key) >= plan.sweep:
                return
            self._kept.thin(key, data)
            self._turns.give_way()
            more = cursor.set_range(key + b"\0")

    def _note_forgotten(self) -> None:
        for number, position in self._turns.over(self._kept.forgotten.items()):
            series = self._settled.series_of(self._txn, number)
            if series is not None and position > series.forgotten:
                self._put(number, forgotten=position)

    def _put(self, number: int, **what: int) -> None:
        series = self._settled.series_of(self._txn, number)
        if series is not None:
            self._settled.put_series(self._txn, number, replace(series, **what), self._head.version)  # type: ignore[arg-type]

    def _fold(self) -> None:
        """Make the changes that the mark has reached part of what a reader from the start begins with."""
        for change in self._settled.changes_behind(self._txn, self._head.folded):
            if change.position > self._head.mark + 1 or not self._kill(change):
                return
            self._fold_one(change)

    def _kill(self, change: Change) -> bool:
        """Drop a bounded number of the events that a change has killed; whether all are gone."""
        if isinstance(change, SeriesEnd):
            return self._kept.drop_all(change.series, KILLED_A_STEP)
        if isinstance(change, KeepChange):
            self._kill_one(change.series, change.horizon, change.keep)
            return True
        if change.rules.keep_last <= self._head.keep_last:
            return True
        numbers = list(islice(self._kept.series_from(self._head.killing), SERIES_A_STEP))
        for number in self._turns.over(numbers):
            series = self._settled.series_of(self._txn, number)
            if series is not None and series.keep is None:
                self._kill_one(number, change.horizon, change.rules.keep_last)
        self._head = self._head._replace(killing=numbers[-1] + 1 if numbers else 0)
        return not numbers

    def _kill_one(self, number: int, horizon: int, keep: int) -> None:
        """Drop what would come to life again now that a series keeps more."""
        series = self._settled.series_of(self._txn, number)
        before = self._head.keep_last if series is None or series.keep is None else series.keep
        if keep > before:
            self._kept.keep_last(number, before, horizon)

    def _fold_one(self, change: Change) -> None:
        self._head = self._head._replace(folded=change.position, mark=max(self._head.mark, change.position), killing=0)
        if isinstance(change, RulesChange):
            rules = change.rules
            self._head = self._head._replace(retention=rules.retention, keep_last=rules.keep_last)
        elif isinstance(change, KeepChange):
            self._put(change.series, keep=change.keep)

    def _forget_changes(self, now: float) -> None:
        """Forget the changes that are folded long enough, and series that have ended with them."""
        for when, change in list(self._settled.timed_changes(self._txn, self._head.forgotten)):
            if change.position > self._head.folded or 0 <= now - when < GENEROUS:
                return
            self._settled.drop_change(self._txn, change.position)
            self._head = self._head._replace(forgotten=change.position)
            if isinstance(change, SeriesEnd):
                self._settled.drop_series(self._txn, change.series)
