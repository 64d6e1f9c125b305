"""A consistent copy of a log, taken while the service goes on to write to it.

The right to compact is held meanwhile, so that no segment or blob is replaced. Copied is what the manifest names, and
every record up to the tail of one moment. The copy has the head of no boot: whoever opens it looks through its records,
and goes on at positions that the original has not given.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from secrets import randbits
from typing import NamedTuple

from event_log.errors import LogUnavailable
from event_log.files import blobs
from event_log.files.disk import File, make_folder, sync_file, sync_folder, write_all
from event_log.files.head import OWNED_UNTIL, OWNER, new_page
from event_log.files.layout import Tail
from event_log.files.opening import OpenLog
from event_log.files.swapping import may_compact
from event_log.files.syncing import sync
from event_log.port import Behind

RIGHT_SECONDS = 60.0
"""Seconds for which the right to compact is taken; it is prolonged while there is more to copy."""
WAIT_SECONDS = 150.0
"""Maximum seconds to wait for a compaction to end."""
ATTEMPTS = 5
"""Maximum copies that are begun anew because a segment went for want of room, or the history was replaced."""
_NO_BOOT = bytes(16)
_PIECE = 1 << 20
_POLL_SECONDS = 0.1


class Backup(NamedTuple):
    """Position and size of a finished copy."""

    position: int
    size: int
    """In bytes."""


def back_up(files: OpenLog, target: Path) -> Backup:
    """Copy a log to a folder that is not there yet, and appears whole. Raises LogUnavailable, OSError."""
    if target.exists():
        raise FileExistsError(f"{target} is there already; name a folder that is not")
    make_folder(target.parent)
    aside = target.with_name(f".{target.name}.{randbits(32):08x}")
    right = _Right(files)
    try:
        for _ in range(ATTEMPTS):
            try:
                backup = _Copy(files, aside, right).run()
            except Behind:
                shutil.rmtree(aside, ignore_errors=True)
                continue
            aside.rename(target)
            sync_folder(target.parent)
            return backup
        raise LogUnavailable(f"the log at {files.path} changed {ATTEMPTS} times while it was copied; try again")
    finally:
        right.give_up()
        shutil.rmtree(aside, ignore_errors=True)


class _Right:
    """The right to compact, which nobody else has meanwhile."""

    def __init__(self, files: OpenLog) -> None:
        self._files = files
        self._owner = randbits(63) | 1
        self._prolong_at = 0.0
        end = time.monotonic() + WAIT_SECONDS
        while not may_compact(files, self._owner, RIGHT_SECONDS):
            if time.monotonic() > end:
                raise LogUnavailable(f"the log at {files.path} is being compacted all the time; try again later")
            time.sleep(_POLL_SECONDS)

    def hold(self) -> None:
        """Prolong it in time. Raises Behind where another process has it now."""
        now = time.monotonic()
        if now >= self._prolong_at:
            self._prolong_at = now + RIGHT_SECONDS / 4
            if not may_compact(self._files, self._owner, RIGHT_SECONDS):
                raise Behind("another process has the right to compact")

    def give_up(self) -> None:
        with self._files.appending.held():
            if self._files.words[OWNER] == self._owner:
                self._files.words[OWNED_UNTIL] = 0


class _Copy:
    """One copy, in a folder that nobody knows yet."""

    def __init__(self, files: OpenLog, folder: Path, right: _Right) -> None:
        self._files = files
        self._folder = folder
        self._right = right
        self._size = 0

    def run(self) -> Backup:
        """Raises Behind where it has to be begun anew."""
        files = self._files
        sync(files)
        manifest, tail = files.manifest(), files.head.tail()[1]
        for name, measured in manifest.blobs.items():
            self._write(Path("blobs") / name, files.blobs.get(name, measured))
        for start, end in self._segments(manifest.number, tail):
            self._copy_segment(start, end)
        self._write(Path("blobs") / "manifest", blobs.pack(replace(manifest, dropped=[])))
        if files.head.tail()[1].history != tail.history:
            raise Behind("another history began")
        head = new_page(_NO_BOOT, tail._replace(history=randbits(63)), manifest.generation, files.head.time())
        self._write(Path("head"), head)
        for folder in ("segments", "blobs", "."):
            sync_folder(self._folder / folder)
        return Backup(tail.position, self._size)

    def _segments(self, number: int, tail: Tail) -> list[tuple[int, int | None]]:
        """Return those that hold records behind a number, up to the tail, each with where it ends."""
        starts = [start for start in self._files.segments.starts() if start <= tail.segment]
        first = max((start for start in starts if start <= number), default=0)
        return [(start, tail.offset if start == tail.segment else None) for start in starts if start >= first]

    def _copy_segment(self, start: int, end: int | None) -> None:
        source = self._files.segments.file(start)  # stays open, whatever becomes of its name
        size = os.fstat(source.number).st_size if end is None else end
        path = self._files.segments.path(start)
        target = self._new(Path("segments") / path.name)
        for offset in range(0, size, _PIECE):
            self._right.hold()
            data = os.pread(source.number, min(_PIECE, size - offset), offset)
            if len(data) < min(_PIECE, size - offset):
                raise Behind(f"{path} is shorter than it was")
            write_all(target.number, data, offset)
        sync_file(target.number)
        self._size += size

    def _write(self, name: Path, data: bytes) -> None:
        self._right.hold()
        file = self._new(name)
        write_all(file.number, data, 0)
        sync_file(file.number)
        self._size += len(data)

    def _new(self, name: Path) -> File:
        path = self._folder / name
        make_folder(self._folder / "segments")
        make_folder(path.parent)
        return File(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
