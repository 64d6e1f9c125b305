"""One open log on LMDB, as the process that has opened it uses it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from event_log.base import LogDamaged, LogFull, LogUnavailable, Usage
from event_log.cleaning import Plan
from event_log.environment import bytes_in
from event_log.fresh import SOME_ROOM
from event_log.group_commit import GroupCommit
from event_log.opening import Opened
from event_log.options import Options
from event_log.settled import NOTICE_KEY
from event_log.settling import Settling

NOTICE_SECONDS = 86_400.0
DUE = 0.5
"""Seconds after the first event that is not settled, from which on the next `sync` settles."""
LATE = 5.0
"""Not settled for longer than so many seconds: people should know."""
_WAY_ON = "restart Tidemark"


class Store(Opened):
    """Its parts, and what can be asked of both together."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.settling = Settling(self.fresh, self.settled, self.rights, self.limits)
        self.group = GroupCommit(self.settled_position)
        self.lock = threading.RLock()
        """Guards the registry. Like all locks that a greenlet may wait for, it is made in the process that uses it, by
        a name looked up there: under --preload gevent replaces these only after the fork, and one of the kind before
        would halt all greenlets for one."""
        self.damage: str | None = None
        """What this process has found that cannot be trusted."""
        self.planners = threading.Lock()
        """One plans at a time; it may have to wait for its view."""

    def settled_position(self) -> int:
        """Up to where all is on the disk."""
        with self.settled.read() as txn:
            return self.settled.head(txn).position

    def age(self) -> float:
        """Seconds since the oldest of what is not settled came; 0 where all is."""
        with self.fresh.read() as txn:
            head = self.fresh.head(txn)
        began = head.frozen_began if head.frozen else head.began
        return max(0.0, (time.monotonic_ns() - began) / 1e9) if began else 0.0

    def settle(self, plan: Plan | None, *, wait: bool) -> None:
        """Raises LogUnavailable."""
        self.fresh.clear_dead_readers()
        self.settled.clear_dead_readers()
        with self.noting_damage():
            self.settling.run(plan, wait=wait)
        self.fresh.fault = self.settled.fault = None

    def usage(self) -> Usage:
        with self.fresh.read() as txn:
            used = bytes_in(txn, *self.fresh.records)
        with self.settled.read() as txn:
            used += self.settled.bytes_used(txn)
        return Usage(used, self.limits.all, None if self.options.sync == "never" else self.age())

    def check(self) -> None:
        """Raises LogUnavailable, with the reason, when it cannot be read or written."""
        if self.damage is not None:
            raise LogDamaged(self.damage)
        with self.fresh.read() as txn:
            head = self.fresh.head(txn)
            used = bytes_in(txn, self.fresh.records[head.active])
        if used + SOME_ROOM > head.room and head.room < self.limits.fresh:
            raise LogFull(self.why_full())
        if self.fresh.fault or self.settled.fault:
            self._probe()
        disk = os.statvfs(self.path)
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < SOME_ROOM:
            raise LogUnavailable(f"the disk under the log at {self.path} is full; make room there")

    def _probe(self) -> None:
        """Forget a fault if there is room for a batch again, and if all that was due has been settled since, which
        another process may have done: this one has nothing left to settle then, and would never find out."""
        self.fresh.probe()
        self.fresh.fault = None
        if self.settled.fault and self.age() >= DUE:
            raise LogUnavailable(self.settled.fault)
        self.settled.fault = None

    def notice(self) -> str | None:
        """What people should know of the log though it works."""
        told = []
        with self.settled.read() as txn:
            data = txn.get(NOTICE_KEY)
        if data is not None:
            when, what = bytes(data).decode().split(" ", 1)
            if self.options.clock() - float(when) < NOTICE_SECONDS:
                told.append(what)
        age = self.age()
        if age > LATE and self.options.sync != "never":
            told.append(f"what came in the last {age:.0f} seconds is not yet safe from a power cut")
        return "; ".join(told) or None

    def why_full(self) -> str:
        with self.settled.read() as txn:
            return self.settled.why_full(txn)

    def note_damage(self, fault: LogDamaged) -> LogDamaged:
        """Damage was found: nobody reads or writes any more until the next start puts it right."""
        reason = str(fault)
        if self.damage is None:
            self.damage = self.settled.damage = self.fresh.damage = self._in_words(reason)
            # What was noted first stays: whoever comes later may only have heard of it.
            with suppress(OSError), (self.path / "damaged").open("x") as note:
                note.write(reason)
            with suppress(LogUnavailable), self.fresh.write() as txn:
                self.fresh.put_head(txn, self.fresh.head(txn)._replace(damaged=1))
        return LogDamaged(self.damage)

    @contextmanager
    def noting_damage(self) -> Iterator[None]:
        """Note what damage is found inside. No transaction may be open around it: it writes."""
        try:
            yield
        except LogDamaged as fault:
            raise self.note_damage(fault) from fault

    def _in_words(self, reason: str) -> str:
        what = reason if str(self.path) in reason else f"the log at {self.path} is damaged: {reason}"
        return what if _WAY_ON in what else f"{what}; {_WAY_ON}, and it saves what is intact"
