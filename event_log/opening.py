"""Opening a log: what is there is recognised, and what a power cut has left is put in order, before anybody uses it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from event_log.base import LogDamaged, LogFull, LogUnavailable, Usage
from event_log.boot import boot_id, digest
from event_log.cleaning import Plan
from event_log.environment import bytes_in
from event_log.fresh import Fresh
from event_log.heads import FreshHead, SettledHead
from event_log.rights import Rights
from event_log.settled import NOTICE_KEY, Settled
from event_log.settling import Limits, Settling

JUMP = 10**9
"""Positions go on so far ahead after a loss: more than can have been given out since the last settling."""
NOTICE_SECONDS = 86_400.0
LATE = 5.0
"""Not settled for longer than so many seconds: people should know."""
SOME_ROOM = 64 * 1024
"""What a common batch takes. A log that has not so much left is not healthy, whatever smaller may still go in."""
_PROBE = b"probe"
logger = logging.getLogger("tidemark.log")


@dataclass(frozen=True, slots=True)
class Options:
    """How a log is opened."""

    path: Path
    max_bytes: int
    sync: str = "everysec"
    """`everysec`, `always` or `never`."""
    boot: Callable[[], str] = boot_id
    clock: Callable[[], float] = lambda: datetime.now(UTC).timestamp()


class Store:
    """One open log, owned by the process that made it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.pid = os.getpid()
        self.path = options.path
        self.limits = Limits(options.max_bytes)
        try:
            make_folder(self.path)
            self.rights = Rights(self.path)
        except OSError as fault:
            raise LogUnavailable(f"the log at {self.path} cannot be opened: {fault}") from fault
        try:
            with self.rights.to_open():
                self._open()
        except OSError as fault:
            self.rights.close()
            raise LogUnavailable(f"the log at {self.path} cannot be opened: {fault}") from fault
        except BaseException:
            self.rights.close()
            raise
        self.settling = Settling(self.fresh, self.settled, self.rights, self.limits)

    def _open(self) -> None:
        alone = self.rights.is_alone()
        boot = digest(self.options.boot())
        refuse_first_format(self.path)
        folder = self.path / "fresh" / boot.hex()
        self.settled = self._open_settled(boot)
        try:
            self.fresh = self._open_fresh(folder, boot, alone)
        except BaseException:
            self.settled.close()
            raise
        with self.settled.read() as txn:
            self.jumps = self.settled.jumps_in(txn)
        self.rights.live()

    def _open_settled(self, boot: bytes) -> Settled:
        folder = self.path / "settled"
        make_folder(folder)
        settled = Settled(folder, sync=self.options.sync != "never")
        try:
            with settled.read() as txn:
                empty = not txn.stat()["entries"] or txn.get(b"format") is None
            if empty:
                with settled.write() as txn:
                    settled.begin(txn, SettledHead(secrets.token_bytes(16), boot))
                sync_folder(folder)
        except BaseException:
            settled.close()
            raise
        return settled

    def _open_fresh(self, folder: Path, boot: bytes, alone: bool) -> Fresh:
        with self.settled.read() as txn:
            head = self.settled.head(txn)
        if alone:
            self._drop_others(folder)
        found = folder.is_dir()
        make_folder(folder)
        fresh = Fresh(folder)
        try:
            fresh_head = fresh.found() if found else None
            if fresh_head is None or not _belong(fresh_head, head):
                if not alone:
                    raise LogDamaged(f"the log at {self.path} was exchanged while others use it; stop them all")
                fresh = self._begin_fresh(fresh, fresh_head, head, boot)
            elif alone and head.closed:
                self._write_head(head._replace(closed=0))
        except BaseException:
            fresh.close()
            raise
        return fresh

    def _begin_fresh(self, fresh: Fresh, other: FreshHead | None, head: SettledHead, boot: bytes) -> Fresh:
        """Go on from what is settled alone: as of the last settling, if nobody has left in peace since."""
        if other is not None:
            fresh.close()
            aside = fresh.path.with_name(f"{fresh.path.name}.aside-{self._stamp()}")
            fresh.path.rename(aside)
            make_folder(fresh.path)
            fresh = Fresh(fresh.path)
        lost = other is not None or not (head.closed or (head.boot == boot and not head.position))
        position = (
            self._jump(head, max(head.position, other.base if other is not None else 0)) if lost else head.position
        )
        self._write_head(head._replace(closed=0, boot=boot, position=position))
        with fresh.write() as txn, self.settled.read() as settled_txn:
            used = self.settled.bytes_used(settled_txn)
            fresh.put_head(
                txn,
                FreshHead(
                    head.identity,
                    floor=position,
                    base=position,
                    changed=head.changed,
                    horizon=head.horizon,
                    version=1,
                    ended=1,
                    settled_version=head.version,
                    room=self.limits.room(used),
                ),
            )
            fresh.put_claims(txn, [], head.rules_now)
        return fresh

    def _jump(self, head: SettledHead, position: int) -> int:
        """Let positions go on far ahead, and tell people: committed before the first of them is given out."""
        to = (position // JUMP + 2) * JUMP
        with self.settled.write() as txn:
            self.settled.put_jump(txn, head.position, to)
        self.tell(f"after a power cut, or a crash of the system, the log goes on from position {head.position:,}")
        return to

    def tell(self, what: str) -> None:
        """One line in the log for people, which `notice` repeats for a day."""
        logger.warning("the log at %s: %s", self.path, what)
        with self.settled.write() as txn:
            txn.put(NOTICE_KEY, f"{self.options.clock()} {what}".encode())

    def _write_head(self, head: SettledHead) -> None:
        with self.settled.write() as txn:
            self.settled.put_head(txn, head)

    def _drop_others(self, folder: Path) -> None:
        """Delete what was fresh in other runs of the machine: nobody can trust it now."""
        with suppress(FileNotFoundError):
            for other in folder.parent.iterdir():
                if other != folder and ".aside-" not in other.name:
                    shutil.rmtree(other)

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self.options.clock(), UTC).strftime("%Y%m%dT%H%M%SZ")

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
        """Forget a fault if there is room for a batch again."""
        with self.fresh.write() as txn:
            txn.put(_PROBE, bytes(SOME_ROOM))
        with self.fresh.write() as txn:
            txn.delete(_PROBE)
        self.fresh.fault = None
        if self.settled.fault:
            raise LogUnavailable(self.settled.fault)

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
        if not self.settled.damage:
            self.settled.damage = self.fresh.damage = reason if str(self.path) in reason else self._in_words(reason)
            with suppress(OSError):
                (self.path / "damaged").write_text(reason)
            with suppress(LogUnavailable), self.fresh.write() as txn:
                self.fresh.put_head(txn, self.fresh.head(txn)._replace(damaged=1))
        return LogDamaged(self.settled.damage)

    def _in_words(self, reason: str) -> str:
        return f"the log at {self.path} is damaged: {reason}; restart Tidemark, and it saves what is intact"

    def close(self) -> None:
        """Let go of all; the last process notes whether everything is settled."""
        try:
            with self.rights.to_open():
                if self.rights.is_alone():
                    self._leave_in_peace()
        finally:
            self.fresh.close()
            self.settled.close()
            self.rights.close()

    def disown(self) -> None:
        """Let go of what a fork has inherited; nothing of the parent's is touched."""
        self.fresh.close()
        self.settled.close()
        self.rights.close()

    def _leave_in_peace(self) -> None:
        with self.fresh.read() as txn:
            settled = self.fresh.is_empty(txn, self.fresh.head(txn))
        if settled:
            with self.settled.read() as txn:
                head = self.settled.head(txn)
            self._write_head(head._replace(closed=1))


def _belong(fresh: FreshHead, settled: SettledHead) -> bool:
    """Whether what is fresh goes on where what is settled ends."""
    return fresh.identity == settled.identity and fresh.floor <= settled.position


def make_folder(path: Path) -> None:
    """With its parents, and on the disk."""
    if not path.is_dir():
        if not path.parent.is_dir():
            make_folder(path.parent)
        with suppress(FileExistsError):
            path.mkdir()
        sync_folder(path.parent)
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is no directory")


def sync_folder(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def refuse_first_format(path: Path) -> None:
    """Raises LogDamaged where the path holds a log of the first format."""
    if (path / "data.mdb").exists():
        raise LogDamaged(
            f"{path} holds a log of the first format ('tidemark log 1') or something else; stop what uses it, and move "
            "its data.mdb and lock.mdb away to start anew, or name another path in TIDEMARK_LOG_URL"
        )
