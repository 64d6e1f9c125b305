"""Opening a log: what is there is recognised, and what a power cut has left is put in order, before anybody uses it."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from event_log.base import LogDamaged, LogUnavailable
from event_log.boot import boot_id, digest
from event_log.fresh import Fresh
from event_log.heads import FreshHead, SettledHead
from event_log.pages import is_unfinished, make_whole
from event_log.rights import Rights
from event_log.salvage import Salvage
from event_log.settled import NOTICE_KEY, Foreign, Settled
from event_log.settling import Limits

JUMP = 10**9
"""Positions go on so far ahead after a loss: more than can have been given out since the last settling."""
AN_HOUR = 3600.0
STAMP = "%Y%m%dT%H%M%SZ"
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


class Opened:
    """The parts of one open log, owned by the process that made it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.pid = os.getpid()
        self.path = options.path
        self.limits = Limits(options.max_bytes)
        self._notices: list[str] = []
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
        self.settled = self._open_settled(boot, alone)
        try:
            self.fresh = self._open_fresh(folder, boot, alone)
        except BaseException:
            self.settled.close()
            raise
        with self.settled.read() as txn:
            self.jumps = self.settled.jumps_in(txn)
        self.rights.live()
        if self._notices:
            self.tell("; ".join(self._notices))

    def _open_settled(self, boot: bytes, alone: bool) -> Settled:
        """Open what is settled; damaged, it is set aside, and what is intact of it saved."""
        folder = self.path / "settled"
        if alone:
            finish_salvage(folder)
        make_folder(folder)
        try:
            reason = self._known_damage(folder, alone)
            if reason is not None:
                raise LogDamaged(reason)
            return self._open_sound(folder, boot)
        except Foreign:
            raise
        except LogDamaged as fault:
            if alone and is_unfinished(folder / "data.mdb"):
                folder.rename(folder.with_name(f"settled.unfinished-{self._stamp()}"))
                make_folder(folder)
            else:
                self._notices.append(self._salvage(folder, str(fault), alone))
        return self._open_sound(folder, boot)

    def _known_damage(self, folder: Path, alone: bool) -> str | None:
        if alone and (folder / "data.mdb").exists() and not make_whole(folder / "data.mdb"):
            return "it is cut off"
        try:
            return (self.path / "damaged").read_text()
        except FileNotFoundError:
            return None

    def _open_sound(self, folder: Path, boot: bytes) -> Settled:
        begin = SettledHead(secrets.token_bytes(16), boot)
        settled = Settled(folder, begin, sync=self.options.sync != "never")
        try:
            sync_folder(folder)
            with settled.read() as txn:
                settled.head(txn)
        except BaseException:
            settled.close()
            raise
        return settled

    def _salvage(self, folder: Path, reason: str, alone: bool) -> str:
        """Returns the line for people. Raises LogDamaged where it may not be done, or nothing is left to save."""
        refusal = f"the log at {self.path} is damaged ({reason}); "
        if not alone:
            raise LogDamaged(f"{refusal}stop all processes that use it, and start again")
        if self.options.sync == "always":
            raise LogDamaged(
                f"{refusal}with SYNC=always nothing is given up unasked: restore a backup, or start once "
                "with TIDEMARK_SYNC=everysec to go on with what is intact"
            )
        if any(age < AN_HOUR for age in self._ages_of_salvages()):
            raise LogDamaged(f"{refusal}it was, less than an hour ago; look at the disk, and restore a backup")
        try:
            salvage = Salvage(folder / "data.mdb")
        except (LogDamaged, OSError) as fault:
            raise LogDamaged(f"{refusal}{fault}; restore a backup, or move {folder} away to start anew") from fault
        new = folder.with_name("settled.new")
        shutil.rmtree(new, ignore_errors=True)
        make_folder(new)
        salvage.write(new)
        sync_folder(new)
        aside = folder.with_name(f"settled.damaged-{self._stamp()}")
        folder.rename(aside)
        new.rename(folder)
        (self.path / "damaged").unlink(missing_ok=True)
        sync_folder(self.path)
        return (
            f"damage was found ({reason}); what is intact was saved, up to position {salvage.head.position:,} with "
            f"{salvage.lost:,} positions lost; the damaged files are in {aside.name}"
        )

    def _ages_of_salvages(self) -> list[float]:
        """How many seconds ago damaged files were set aside."""
        stamps = [aside.name.partition("-")[2] for aside in self.path.glob("settled.damaged-*")]
        times = [datetime.strptime(stamp, STAMP).replace(tzinfo=UTC).timestamp() for stamp in stamps]
        return [self.options.clock() - when for when in times]

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
        to, settled_at = (position // JUMP + 2) * JUMP, self._settled_at()
        with self.settled.write() as txn:
            self.settled.put_jump(txn, head.position, to)
        self._notices.append(
            f"after a power cut, or a crash of the system, it goes on as of position {head.position:,}, "
            f"settled at {settled_at}"
        )
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

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self.options.clock(), UTC).strftime(STAMP)

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


def finish_salvage(folder: Path) -> None:
    """Put the new files of a salvage that was cut short where they belong, or drop them where it must begin anew."""
    new = folder.with_name("settled.new")
    if new.is_dir():
        if folder.exists():
            shutil.rmtree(new)
        else:
            new.rename(folder)
            (folder.parent / "damaged").unlink(missing_ok=True)
            sync_folder(folder.parent)


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
