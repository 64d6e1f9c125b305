"""A consistent copy of a log, taken while the service goes on to write to it.

The right to compact is held meanwhile, so that no segment or blob is replaced. Copied is what the manifest names, and
every record up to the tail of one moment. The copy has the head of no boot: whoever opens it looks through its records,
and goes on at positions that the original has not given.
"""

from __future__ import annotations

import os
import shutil
import time
from bisect import bisect_right
from dataclasses import replace
from pathlib import Path
from secrets import randbits
from typing import NamedTuple

from event_log.errors import LogUnavailable
from event_log.files import blobs
from event_log.files.disk import File, make_folder, sync_file, sync_folder, write_all
from event_log.files.head import new_page
from event_log.files.layout import with_crc
from event_log.files.opening import OpenLog
from event_log.files.syncing import sync
from event_log.port import Behind

RIGHT_SECONDS = 60.0
"""Seconds for which the right to compact is taken; it is prolonged before each chunk that is copied."""
WAIT_SECONDS = 150.0
"""Maximum seconds to wait for a compaction to end."""
ATTEMPTS = 5
"""Maximum copies that are begun anew because a segment went for want of room, or the history was replaced."""
CHUNK = 2**20
"""Bytes that are written before they are synced: the service waits for what the disk has to take at that moment."""
_NO_BOOT = bytes(16)
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
    owner = randbits(63) | 1
    _wait_for_right(files, owner)
    try:
        for _ in range(ATTEMPTS):
            try:
                backup = _copy(files, aside, owner)
            except Behind:
                shutil.rmtree(aside, ignore_errors=True)
                continue
            aside.rename(target)
            sync_folder(target.parent)
            return backup
        raise LogUnavailable(f"the log at {files.path} changed {ATTEMPTS} times while it was copied; try again")
    finally:
        files.may_compact(owner, 0)
        shutil.rmtree(aside, ignore_errors=True)


def _wait_for_right(files: OpenLog, owner: int) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not files.may_compact(owner, RIGHT_SECONDS):
        if time.monotonic() > end:
            raise LogUnavailable(f"the log at {files.path} is being compacted all the time; try again later")
        time.sleep(_POLL_SECONDS)


def _copy(files: OpenLog, folder: Path, owner: int) -> Backup:
    """Make one copy, in a folder that nobody knows yet. Raises Behind where it has to be begun anew."""
    sync(files)
    manifest, tail, segments = files.manifest(), files.head.tail()[1], files.segments
    size = 0

    def write(path: Path, data: bytes) -> None:
        nonlocal size
        make_folder(path.parent)
        file = File(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        for offset in range(0, len(data), CHUNK):
            if not files.may_compact(owner, RIGHT_SECONDS):
                raise Behind("another process has the right to compact")
            write_all(file.number, memoryview(data)[offset : offset + CHUNK], offset)
            sync_file(file.number)
        size += len(data)

    for name in manifest.blobs:
        write(folder / "blobs" / name, with_crc(files.blobs.get(name)))
    starts = segments.starts()
    first = max(0, bisect_right(starts, manifest.number) - 1)
    for start in starts[first : bisect_right(starts, tail.segment)]:
        end = tail.offset if start == tail.segment else segments.size_of(start)
        write(folder / "segments" / segments.path(start).name, segments.read(start, 0, end))
    write(folder / "blobs" / "manifest", blobs.pack(replace(manifest, dropped=[])))
    if files.head.tail()[1].history != tail.history:
        raise Behind("another history began")
    write(
        folder / "head", new_page(_NO_BOOT, tail._replace(history=randbits(63)), manifest.generation, files.head.time())
    )
    for name in ("segments", "blobs", "."):
        sync_folder(folder / name)
    return Backup(tail.position, size)
