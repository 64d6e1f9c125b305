"""A log's folder as one process has it open: its locks, its head, its segments and its blobs.

Whoever opens the folder holds a lock for that, and then one that all users share. The first user finds by the head
whether the machine has been started anew, or a sync has failed: then nothing that is not synced can be relied on, and
the records are looked through.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path

from event_log.boot import boot_id
from event_log.errors import LogDamaged, LogUnavailable
from event_log.files.blobs import Blobs, Stored
from event_log.files.disk import make_folder, network_file_system, refusing, sync_folder, write_aside
from event_log.files.head import (
    FAILED,
    GENERATION,
    OWNED_UNTIL,
    OWNER,
    PAGE,
    SEQUENCE,
    TAIL_SLOTS,
    Head,
    new_page,
)
from event_log.files.layout import FORMAT, TAIL, Tail
from event_log.files.locks import FileLock
from event_log.files.recovery import Recovery
from event_log.files.segments import Segments
from event_log.log_time import LogTime, Moment
from event_log.single_flight import SingleFlight
from times import SECOND

LEAST_BYTES = 512 * 1024
MOST_SEGMENT_BYTES = 16 * 1024**2
APPEND_SECONDS, SYNC_SECONDS, OPEN_SECONDS = 2.0, 5.0, 10.0
"""Seconds to wait for each lock before the call is refused: a disk may take its time to sync, and a recovery too."""
WAYS_OUT = "stop what uses it and move it away to start anew, or name another path in TIDEMARK_LOG_URL"


@dataclass(frozen=True, slots=True)
class Options:
    """Options with which a process opens a log."""

    path: Path
    max_bytes: int
    sync: str = "everysec"
    """`everysec`, `always` or `never`."""
    boot: Callable[[], str] = boot_id
    clock: Callable[[], Moment] = Moment.now

    @property
    def most_bytes(self) -> int:
        return max(self.max_bytes, LEAST_BYTES)

    @property
    def segment_bytes(self) -> int:
        return min(MOST_SEGMENT_BYTES, self.most_bytes // 8)

    def stamp(self) -> str:
        """The time, as it stands in the name of what is quarantined."""
        return datetime.fromtimestamp(self.clock().wall / 1e6, UTC).strftime("%Y%m%dT%H%M%SZ")


class OpenLog:
    """Opens the log at once. Raises LogUnavailable, LogDamaged."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.path = options.path
        with refusing(self.path):
            self._prepare()
            self._begin(options)

    def _begin(self, options: Options) -> None:
        locks = self.path / "locks"
        self.appending = FileLock(locks / "append", APPEND_SECONDS)
        self.syncing = FileLock(locks / "sync", SYNC_SECONDS)
        self._opening = FileLock(locks / "open", OPEN_SECONDS)
        self._using = FileLock(locks / "use", OPEN_SECONDS)
        self.quarantine = self.path / "quarantine"
        self.segments = Segments(self.path / "segments", self.quarantine, options.segment_bytes)
        self.blobs = Blobs(self.path / "blobs")
        try:
            with self._opening.held():
                self._open()
        except BaseException:
            self._close_locks()
            raise
        self.words = self.head.words
        self.page = self.head.page
        self.fault: LogUnavailable | None = None
        """Fault for which the last append was refused, until the room that the next ones need has been tried."""
        self._segment = self._history = -1
        self._stored: Stored | None = None
        self._time = 0
        self.syncs = SingleFlight()
        self.load()

    def load(self) -> None:
        """Take over what other processes have appended. Only with the append lock, or while opening."""
        sequence = self.sequence = self.words[SEQUENCE]
        tail = self.tail = TAIL.unpack_from(self.page, TAIL_SLOTS[sequence & 1])
        if tail[0] != self._segment or tail[7] != self._history:
            self.segments.meet(tail[7])
            self._segment, self._history = tail[0], tail[7]
            self._file = self.segments.file(self._segment)
            self.file = self._file.number
            size = min(self.options.segment_bytes, os.fstat(self.file).st_size)
            self.limits = size - size // 64, size - size // 128, size

    def publish(self, tail: Tail) -> None:
        """Let all processes go on from another place. Only with the append lock."""
        self.head.publish_tail(tail)
        self.load()

    def _prepare(self) -> None:
        page = self._page().page
        is_older = page.startswith(FORMAT[:13]) and not page.startswith(FORMAT)
        if is_older or any((self.path / name).exists() for name in ("data.mdb", "settled", "fresh")):
            raise LogDamaged(f"{self.path} holds a log of an older format (LMDB) or something else; {WAYS_OUT}")
        for name in ("locks", "segments", "blobs", "quarantine"):
            make_folder(self.path / name)
            if not os.access(self.path / name, os.W_OK | os.X_OK):
                raise PermissionError(f"no right to write to {self.path / name}")
        kind = network_file_system(self.path)
        if kind is not None:
            raise LogUnavailable(
                f"{self.path} is on a network file system ({kind}), where processes cannot rely on locks; "
                "name a path on a disk of this machine in TIDEMARK_LOG_URL, or use Redis"
            )

    def _open(self) -> None:
        is_alone = self._using.try_alone()
        page = self._page()
        boot = blake2b(self.options.boot().encode(), digest_size=16).digest()
        is_own = page.boot() == boot
        if not is_own and not is_alone:
            raise LogUnavailable(
                f"{self.path} is in use by processes that see another boot of the machine, as those of another "
                "container may; stop them first"
            )
        if is_alone and not (is_own and page.is_sound()):
            self._recover(page, boot, rewrite=is_own and bool(page.words[FAILED]))
        self.head = Head.mapped(self.path / "head")
        if is_alone:
            for path in self.path.glob("*.tmp"):  # of a head that was never put in its place
                path.unlink(missing_ok=True)
            self.head.publish_synced(self.head.synced())  # no longer left in good order
            self.head.flush()
            self._using.share()

    def _page(self) -> Head:
        """A copy of the head page; zeros where there is none."""
        data = b""
        with suppress(FileNotFoundError):
            data = (self.path / "head").read_bytes()
        return Head(data if len(data) == PAGE else bytes(PAGE))

    def _recover(self, page: Head, boot: bytes, *, rewrite: bool) -> None:
        """Look through the records, and write a new head. A failed sync leaves nothing to rely on but what was synced
        before, like another start of the machine; what is still there is read and synced anew."""
        manifest, now = self.blobs.manifest(), self.options.clock()
        recovery = Recovery(self.segments, manifest, now.wall, self.options.stamp())
        tail = recovery.run(page.last_synced(), rewrite=rewrite)
        noted = page.last_time()
        time = noted.reopened(now) if noted.time else LogTime.begin(now)
        new = new_page(boot, tail, manifest.generation, time, recovery.cut_after)
        write_aside(self.path, new).rename(self.path / "head")
        sync_folder(self.path)

    def manifest(self) -> Stored:
        """The newest one. Raises LogDamaged."""
        generation = self.words[GENERATION]
        if self._stored is None or self._stored.generation != generation:
            self._stored = self.blobs.manifest()
        return self._stored

    def time(self) -> int:
        """The log's time in microseconds."""
        self._time = max(self._time, self.head.time().at(self.options.clock()).time)
        return self._time

    def note_time(self) -> int:
        """The same, noted for all processes. Only with the append lock."""
        time = self.head.time().at(self.options.clock())
        self.head.publish_time(time)
        return time.time

    def may_compact(self, owner: int, seconds: float) -> bool:
        """Take or prolong the right to compact, which ends by itself: a process that is halted keeps nobody from it."""
        now = self.options.clock().boot
        with self.appending.held():
            if self.words[OWNER] not in (0, owner) and now < self.words[OWNED_UNTIL]:
                return False
            self.words[OWNER], self.words[OWNED_UNTIL] = owner, now + int(seconds * SECOND)
            return True

    def is_replaced(self) -> bool:
        """Return whether the folder has another head than the one that is open here: a backup was put in its place."""
        try:
            return (self.path / "head").stat().st_ino != self.head.inode
        except OSError:
            return True

    def close(self, sync: Callable[[], None]) -> None:
        """Leave; the last user notes that all is in good order, after `sync`. Raises LogUnavailable."""
        try:
            with self._opening.held():
                sync()
                if self._using.try_alone() and not self.words[FAILED] and not self.is_replaced():
                    self.head.publish_synced(self.head.tail()[1], clean=True)
                    self.head.flush()
        finally:
            self.disown()

    def disown(self) -> None:
        """Close what is open, in a forked child too: its parent's locks are not touched."""
        self._close_locks()
        self.words.release()
        self.head.close()
        self.segments.forget()

    def _close_locks(self) -> None:
        for lock in (self.appending, self.syncing, self._opening, self._using):
            lock.close()
