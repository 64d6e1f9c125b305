"""The store on files: records of one machine, shared by any number of its processes. Not for network file systems."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from secrets import randbits
from typing import Any
from weakref import WeakMethod

from event_log.aside import aside
from event_log.errors import HistoryChanged, LogUnavailable, LogUncertain
from event_log.files import room
from event_log.files.blobs import STAY_SECONDS, Stored, pack
from event_log.files.disk import refusing, sync_folder, write_aside
from event_log.files.head import CUT_AFTER, CUT_AT, FAILED, GENERATION, SEQUENCE, SYNCED_NUMBER
from event_log.files.opening import OpenLog, Options
from event_log.files.reading import Reader
from event_log.files.room import bytes_used, collect, take_ballast, with_room
from event_log.files.syncing import FAILED_TEXT, sync
from event_log.files.writing import append
from event_log.port import Appended, Chunk, Cursor, Guard, Manifest, Record, RecordStore, Usage
from times import HOUR, SECOND

CUT_TOLD = HOUR
"""Microseconds for which a power cut is told of after the start that found it."""


class FilesStore(RecordStore):
    """Opens its folder at the first use in each process, never before a fork."""

    blocks = True

    def __init__(self, path: Path, *, max_bytes: int, sync: str = "everysec", **options: Any) -> None:
        self.options = Options(path, max_bytes, sync, **options)
        self.files: OpenLog | None = None
        """The log as this process has it open."""
        self._locks: dict[str, threading.Lock] = {}
        forget = WeakMethod(self.forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def open(self) -> OpenLog:
        """Open the log, unless this process has."""
        # The lock is made at the first use: gevent replaces locks after the fork.
        with self._locks.setdefault("opening", threading.Lock()):
            if self.files is None:
                files = OpenLog(self.options)
                take_ballast(files)
                self._reader = Reader(files)
                self._owner = randbits(63) | 1
                self._last_level = self.options.clock().boot
                self.files = files
            return self.files

    def forget(self) -> None:
        """Let go of what the parent has opened, in its forked child."""
        files, self.files, self._locks = self.files, None, {}
        if files is not None:
            files.disown()

    def append(self, record: Record, guard: Guard) -> Appended:
        files = self.files or self.open()
        try:
            return append(files, record, guard)
        except LogUnavailable as fault:
            files.fault = fault
            raise

    def confirm(self, appended: Appended) -> None:
        files, number = self.files or self.open(), appended.number
        if self.options.sync != "always":
            return
        if number > files.head.tail()[1].number:
            raise HistoryChanged(f"record {number} is lost")
        if files.words[SYNCED_NUMBER] < number:
            try:
                files.syncs.run(lambda: bool(aside(lambda: sync(files))))
            except LogUnavailable as fault:
                raise LogUncertain(str(fault)) from fault
            if files.words[SYNCED_NUMBER] < number:
                raise LogUncertain(f"record {number} is lost")

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        if self.files is None:
            self.open()
        return self._reader.read(cursor, limit)

    def is_level(self, cursor: Cursor) -> bool:
        files = self.files
        return files is not None and files.words[SEQUENCE] == cursor.where

    def end(self) -> Appended:
        tail = (self.files or self.open()).head.tail()[1]
        return Appended(tail.number, tail.position)

    def time(self) -> int:
        return (self.files or self.open()).time()

    def put_blob(self, data: bytes) -> str:
        files = self.files or self.open()
        room.check_room(files, len(data))
        return with_room(files, lambda: files.blobs.put(data, files.time()), ballast=True)

    def blob(self, name: str) -> bytes:
        return (self.files or self.open()).blobs.get(name)

    def manifest(self) -> Manifest:
        files = self.files or self.open()
        stored = files.manifest()
        cursor = Cursor(files.head.tail()[1].history, stored.number, stored.position)
        return Manifest(stored.generation, cursor, stored.data.encode("latin-1"), tuple(stored.blobs))

    def generation(self) -> int:
        return (self.files or self.open()).words[GENERATION]

    def swap(self, manifest: Manifest) -> bool:
        """Swap as the port says. The last record is never removed: the tail stands in its segment."""
        files = self.files or self.open()
        with refusing(files.path):
            sync(files)
            old, tail, cursor = files.manifest(), files.head.tail()[1], manifest.cursor
            if old.generation + 1 != manifest.generation or tail.history != cursor.history:
                return False
            if not all((files.blobs.folder / name).exists() for name in manifest.blobs):
                return False
            now, data = files.time(), manifest.data.decode("latin-1")
            dropped = [entry for entry in old.dropped if entry[0] > now - 2 * STAY_SECONDS * SECOND]
            dropped.append((now, cursor.number, [name for name in old.blobs if name not in manifest.blobs]))
            place = cursor.number, cursor.position, tail.horizon
            stored = Stored(manifest.generation, *place, list(manifest.blobs), dropped, data)
            path = with_room(files, lambda: write_aside(files.blobs.folder, pack(stored)), ballast=True)
            if not self._put_in_force(files, path, old.generation, tail.history):
                path.unlink()
                return False
            sync_folder(files.blobs.folder)
            take_ballast(files)
            return True

    def _put_in_force(self, files: OpenLog, path: Path, before: int, history: int) -> bool:
        """Rename a manifest to the one that holds, if nothing has come in between."""
        with files.appending.held():
            generation = files.blobs.manifest().generation
            files.words[GENERATION] = generation  # its maker may have died before it had said so
            if generation != before or files.head.tail()[1].history != history:
                return False
            path.rename(files.blobs.path)
            files.words[GENERATION] = before + 1
            return True

    def may_compact(self, seconds: float) -> bool:
        return (self.files or self.open()).may_compact(self._owner, seconds)

    def check(self) -> None:
        files = self.files or self.open()
        if files.words[FAILED]:
            raise LogUnavailable(FAILED_TEXT.format(files.path))
        room.check(files)

    def notice(self) -> str | None:
        files = self.files or self.open()
        notices = []
        if found := sorted(entry.name for entry in os.scandir(files.quarantine)):
            notices.append(
                f"{len(found)} damaged files of the log are quarantined in {files.quarantine}, the newest {found[-1]}: "
                "what could not be read of them is lost; remove them when you have looked at them"
            )
        cut_at, now = files.words[CUT_AT], self.options.clock().boot
        if cut_at and now < cut_at + CUT_TOLD:
            notices.append(
                "the log was not left in good order (a power cut, or a crash of the system): what was acknowledged "
                f"behind position {files.words[CUT_AFTER]:,} and was not yet synced is lost"
            )
        if files.head.time().is_off(self.options.clock()):
            notices.append("the clock of this machine is more than a second off the log's time, which goes on evenly")
        return "; ".join(notices) or None

    def usage(self) -> Usage:
        files = self.files or self.open()
        return Usage(bytes_used(files), self.options.most_bytes, self._unsynced_seconds(files))

    def _unsynced_seconds(self, files: OpenLog) -> float | None:
        if self.options.sync == "never":
            return None
        now = self.options.clock().boot
        if files.words[SYNCED_NUMBER] >= files.head.tail()[1].number:
            self._last_level = now
        return (now - self._last_level) / SECOND

    def sync(self) -> None:
        files = self.files
        if files is None:
            return
        if files.is_replaced():
            self.files = None  # closed when its last user lets go of it
            return
        with files.appending.held():
            files.note_time()
        with refusing(files.path):
            if self.options.sync != "never":
                sync(files)
                self._unsynced_seconds(files)
            collect(files)

    def close(self) -> None:
        files, self.files = self.files, None
        if files is not None:
            with suppress(LogUnavailable):  # the disk has failed, which was told
                files.close(lambda: sync(files))
