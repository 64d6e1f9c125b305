"""Settling: what is fresh is frozen, taken over into what is settled, and dropped.

Whoever settles has the right to it, and no request waits for it. If it dies on the way, the next one goes on: what is
settled says up to where it has taken over, and nothing is dropped before that is on the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import lmdb

from event_log.aside import Turns
from event_log.base import Change, Memo, Rules, RulesChange, Series, SeriesEnd
from event_log.carrying_out import KILLED_A_STEP, CarryingOut
from event_log.cleaning import Plan
from event_log.entries import (
    pack_position,
    unpack_change,
    unpack_memo,
    unpack_position,
)
from event_log.environment import bytes_in
from event_log.fresh import Fresh
from event_log.heads import SettledHead
from event_log.kept import Kept
from event_log.records import RUN, Data, is_batch
from event_log.rights import Rights
from event_log.settled import Settled

PORTION = 4 * 1024**2
"""So many bytes are taken over in one transaction: no other thread waits long, and memory stays bounded."""

Item = tuple[bytes, bytes]


class Limits:
    """How LOG_MAX_BYTES is dealt out. A write is taken while what is settled is within its limit; what has been taken
    always finds room beyond it."""

    LEAST = 512 * 1024

    def __init__(self, max_bytes: int) -> None:
        self.all = max(max_bytes, self.LEAST)
        self.fresh = min(max(self.all // 10, 64 * 1024), 256 * 1024**2)
        """What each half of the fresh part may fill."""
        self.settled = self.all - 2 * self.fresh

    def room(self, used: int) -> int:
        """What may come in while so much is settled, or on its way."""
        return max(0, min(self.fresh, self.settled - used))


@dataclass(frozen=True, slots=True)
class Portion:
    """What is taken over in one transaction."""

    items: list[Item]
    """The records, joined already: a portion of single events by themselves would be so many that letting go of them
    would take long."""
    reached: int
    """The position up to which nothing is missing with it."""
    is_last: bool
    series: list[tuple[int, Series]]
    changes: list[Change]
    memos: list[tuple[bytes, Memo, int]]
    horizon: int


class Settling:
    """The work of settling, for the two parts of one log."""

    def __init__(self, fresh: Fresh, settled: Settled, rights: Rights, limits: Limits) -> None:
        self._fresh = fresh
        self._settled = settled
        self._rights = rights
        self._limits = limits
        self.at: Callable[[str], None] = lambda point: None
        """Told of each point that is reached; for tests."""

    def run(self, plan: Plan | None = None, *, wait: bool = False) -> bool:
        """Settle all there is, then clean as planned. False where another one is at it, unless `wait`."""
        with self._rights.to_settle(wait=wait) as got:
            if got:
                self._run(plan)
            return got

    def _run(self, plan: Plan | None) -> None:
        with self._fresh.read() as txn:
            head = self._fresh.head(txn)
        if head.frozen:  # by one who died before it was through
            self._take_over(1 - head.active)
            self._publish(1 - head.active)
        half = self._freeze()
        if half is not None:
            self._take_over(half)
        cleaned = plan is not None and not plan.is_empty
        if plan is not None and cleaned:
            self._clean(plan)
        if half is not None or cleaned:
            self._publish(half)

    def _clean(self, plan: Plan) -> None:
        with self._settled.write() as txn:
            CarryingOut(self._settled, txn, plan, Turns()).run(time.time())
            self.at("cleaning")
        self.at("cleaned")

    def _freeze(self) -> int | None:
        """Let what is new go to the other tables from now on; which are frozen, or None where there is nothing."""
        with self._settled.read() as txn:
            used = self._settled.bytes_used(txn)
        fresh = self._fresh
        with fresh.write() as txn:
            head = fresh.head(txn)
            if fresh.is_empty(txn, head):
                return None
            half = head.active
            room = self._limits.room(used + bytes_in(txn, fresh.records[half], fresh.memos[half]))
            base = fresh.last(txn, head)
            head = head._replace(active=1 - half, frozen=1, base=base, room=room, frozen_began=head.began, began=0)
            fresh.put_head(txn, head)
            self.at("freezing")
        self.at("frozen")
        return half

    def _take_over(self, half: int) -> None:
        """Settle frozen tables, a portion at a time."""
        turns = Turns()
        is_last = False
        while not is_last:
            with self._settled.read() as txn:
                head = self._settled.head(txn)
            portion = self._load(half, head, turns)
            with self._settled.write() as txn:
                self._settle(txn, portion, turns)
                self.at("settling")
            self.at("settled")
            is_last = portion.is_last

    def _load(self, half: int, settled: SettledHead, turns: Turns) -> Portion:
        """What comes behind what is settled."""
        fresh, position = self._fresh, settled.position
        with fresh.read() as txn:
            head = fresh.head(txn)
            items, is_last = _portion(turns.over(fresh.records_behind(txn, half, position)))
            cursor = txn.cursor(fresh.changes[half])
            changes = [unpack_change(unpack_position(key), data) for key, data in cursor.iternext()]
            reached = unpack_position(items[-1][0]) if items else position
            if is_last:
                reached = max([reached, *(change.position for change in changes)])
            series = fresh.series_in(txn, half, settled.next_id)
            memos = txn.cursor(fresh.memos[half]).iternext() if is_last else ()
            return Portion(
                items,
                reached,
                is_last,
                list(turns.over(series)),
                [change for change in changes if position < change.position <= reached],
                [(bytes(key), *unpack_memo(data)) for key, data in memos],
                head.horizon,
            )

    def _settle(self, txn: lmdb.Transaction, portion: Portion, turns: Turns) -> None:
        settled = self._settled
        head = settled.head(txn)
        for number, series in turns.over(portion.series):
            head = head._replace(version=head.version + 1, next_id=number + 1)
            settled.put_series(txn, number, replace(series, ended=0), head.version)  # its end is a change
        for key, data in turns.over(portion.items):
            txn.put(key, data, db=settled.records, append=True)
        for change in portion.changes:
            head = self._settle_change(txn, head, change)
        for key, memo, until in turns.over(portion.memos):
            settled.put_memo(txn, key, memo, until)
        position, horizon = max(head.position, portion.reached), max(head.horizon, portion.horizon)
        settled.put_head(txn, head._replace(position=position, horizon=horizon))

    def _settle_change(self, txn: lmdb.Transaction, head: SettledHead, change: Change) -> SettledHead:
        settled = self._settled
        settled.put_change(txn, change, time.time())
        head = head._replace(changed=change.position)
        if isinstance(change, RulesChange):
            return head._replace(retention_now=change.rules.retention, keep_last_now=change.rules.keep_last)
        series = settled.series_of(txn, change.series) if isinstance(change, SeriesEnd) else None
        if series is None:
            return head
        head = head._replace(version=head.version + 1)
        settled.put_series(txn, change.series, replace(series, ended=change.position), head.version)
        Kept(settled, txn, {}).drop_all(change.series, KILLED_A_STEP)
        return head

    def _publish(self, half: int | None) -> None:
        """Let all who append or read know what has been settled; drop the frozen tables in the same step."""
        with self._settled.read() as txn:
            settled_head, used = self._settled.head(txn), self._settled.bytes_used(txn)
        fresh = self._fresh
        with fresh.write() as txn:
            head = fresh.head(txn)
            head = head._replace(
                floor=max(head.floor, settled_head.position),
                horizon=max(head.horizon, settled_head.horizon),
                settled_version=settled_head.version,
                room=self._limits.room(used),
            )
            if half is not None:
                for tables in (fresh.records, fresh.series, fresh.changes, fresh.memos):
                    txn.drop(tables[half], delete=False)
                head = head._replace(frozen=0, frozen_began=0)
            fresh.put_head(txn, head)
            self.at("dropping")
        self.at("dropped")

    def begin_with(self, rules: Rules) -> None:
        """Put the first rules in force, before anything is stored."""
        with self._rights.to_settle(wait=True), self._settled.write() as txn:
            head = self._settled.head(txn)
            if head.rules is None:
                both = rules.retention, rules.keep_last
                head = head._replace(retention=both[0], keep_last=both[1])
                self._settled.put_head(txn, head._replace(retention_now=both[0], keep_last_now=both[1]))


def _portion(records: Iterable[tuple[Data, Data]]) -> tuple[list[Item], bool]:
    """The first of these records until they are a portion, and whether these are all."""
    items: list[Item] = []
    size = 0
    for key, data in _joined(records):
        if size >= PORTION:
            return items, False
        items.append((key, data))
        size += len(data)
    return items, True


def _joined(records: Iterable[tuple[Data, Data]]) -> Iterator[Item]:
    """The same records, single events that stand in a row joined to runs."""
    run: list[bytes] = []
    last = 0
    for key, data in records:
        position = unpack_position(key)
        if run and (is_batch(data) or position != last + 1 or len(run) == RUN):
            yield pack_position(last), b"".join(run)
            run = []
        if is_batch(data):
            yield bytes(key), bytes(data)
        else:
            run.append(bytes(data))
        last = position
    if run:
        yield pack_position(last), b"".join(run)
