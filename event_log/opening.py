"""Opening a log: what is there is recognised, and what a power cut has left is put in order, before anybody uses it."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from event_log.base import LogDamaged, LogUnavailable
from event_log.boot import digest
from event_log.folders import make_folder
from event_log.fresh import Fresh
from event_log.heads import FreshHead, SettledHead
from event_log.opening_settled import SettledOpening
from event_log.options import Options
from event_log.pages import is_readable, make_whole
from event_log.rights import Rights
from event_log.settled import NOTICE_KEY
from event_log.settling import Limits

JUMP = 10**9
"""Positions go on so far ahead after a loss: more than can have been given out since the last settling."""
logger = logging.getLogger("tidemark.log")


class Opened:
    """The parts of one open log, owned by the process that made it."""

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

    def _open(self) -> None:
        alone = self.rights.is_alone()
        boot = digest(self.options.boot())
        refuse_first_format(self.path)
        folder = self.path / "fresh" / boot.hex()
        spoilt = self._set_aside_spoilt(folder) if alone and folder.is_dir() else None
        opening = SettledOpening(self.options)
        self.settled = opening.open(boot, alone)
        self._notices = opening.notices
        try:
            self.fresh = self._open_fresh(folder, boot, alone, spoilt)
        except BaseException:
            self.settled.close()
            raise
        with self.settled.read() as txn:
            self.jumps = self.settled.jumps_in(txn)
        self.rights.live()
        if self._notices:
            self.tell("; ".join(self._notices))

    def _set_aside_spoilt(self, folder: Path) -> str | None:
        """Where what is fresh is damaged, go on without it; why that is so."""
        noted = self.path / "damaged"
        spoilt = damage_in(folder, thoroughly=noted.exists())
        if spoilt is not None:
            self._set_aside(folder)
            noted.unlink(missing_ok=True)  # it was this: what is settled need not be saved
        return spoilt

    def _set_aside(self, folder: Path) -> None:
        folder.rename(folder.with_name(f"{folder.name}.aside-{self.options.stamp()}"))

    def _open_fresh(self, folder: Path, boot: bytes, alone: bool, spoilt: str | None) -> Fresh:
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
                fresh = self._begin_fresh(fresh, fresh_head, head, boot, spoilt)
            elif alone:
                self._go_on(fresh, fresh_head, head)
        except BaseException:
            fresh.close()
            raise
        return fresh

    def _go_on(self, fresh: Fresh, fresh_head: FreshHead, head: SettledHead) -> None:
        """Nothing has happened but that all processes have ended."""
        if head.closed:
            self._write_head(head._replace(closed=0))
        if fresh_head.damaged:
            with fresh.write() as txn:
                fresh.put_head(txn, fresh_head._replace(damaged=0))

    def _begin_fresh(
        self, fresh: Fresh, other: FreshHead | None, head: SettledHead, boot: bytes, spoilt: str | None
    ) -> Fresh:
        """Go on from what is settled alone: as of the last settling, if nobody has left in peace since."""
        if other is not None:
            fresh.close()
            self._set_aside(fresh.path)
            make_folder(fresh.path)
            fresh = Fresh(fresh.path)
        orderly = head.closed or (head.boot == boot and not head.position)
        position = head.position
        if spoilt is not None:
            position = self._jump(head, position, f"what was not yet settled was damaged ({spoilt}) and is set aside")
        elif other is not None or not orderly:
            last = max(position, other.base if other is not None else 0)
            position = self._jump(head, last, "after a power cut, or a crash of the system")
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

    def _jump(self, head: SettledHead, position: int, why: str) -> int:
        """Let positions go on far ahead, and tell people why: committed before the first of them is given out."""
        to, settled_at = (position // JUMP + 2) * JUMP, self._settled_at()
        with self.settled.write() as txn:
            self.settled.put_jump(txn, head.position, to)
        self._notices.append(f"{why}, it goes on as of position {head.position:,}, settled at {settled_at}")
        return to

    def tell(self, what: str) -> None:
        """One line in the log for people, which `notice` repeats for a day."""
        logger.warning("the log at %s: %s", self.path, what)
        with self.settled.write() as txn:
            txn.put(NOTICE_KEY, f"{self.options.clock()} {what}".encode())

    def _settled_at(self) -> str:
        """When something was written to what is settled last."""
        return datetime.fromtimestamp((self.settled.path / "data.mdb").stat().st_mtime, UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )

    def _write_head(self, head: SettledHead) -> None:
        with self.settled.write() as txn:
            self.settled.put_head(txn, head)

    def _drop_others(self, folder: Path) -> None:
        """Delete what was fresh in other runs of the machine: nobody can trust it now."""
        with suppress(FileNotFoundError):
            for other in folder.parent.iterdir():
                if other != folder and ".aside-" not in other.name:
                    shutil.rmtree(other)

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


def damage_in(folder: Path, *, thoroughly: bool) -> str | None:
    """Why what is fresh, and open nowhere, cannot be opened or, where that is asked, not be trusted or written to."""
    if thoroughly and not make_whole(folder / "data.mdb"):
        return "it is cut off"
    if thoroughly and not is_readable(folder / "data.mdb"):
        return "some of its pages are garbage"
    try:
        fresh = Fresh(folder)
    except LogDamaged as fault:
        return str(fault)
    try:
        if thoroughly:
            fresh.verify()
            fresh.probe()
    except LogDamaged as fault:
        return str(fault)
    finally:
        fresh.close()
    return None


def refuse_first_format(path: Path) -> None:
    """Raises LogDamaged where the path holds a log of the first format."""
    if (path / "data.mdb").exists():
        raise LogDamaged(
            f"{path} holds a log of the first format ('tidemark log 1') or something else; stop what uses it, and move "
            "its data.mdb and lock.mdb away to start anew, or name another path in TIDEMARK_LOG_URL"
        )
