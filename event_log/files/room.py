"""The room of a log: how LOG_MAX_BYTES is dealt out, the next segment, and what goes when there is no more.

One segment's room is left to blobs, so that a log that is full can be compacted. A file of ballast is given up where
the disk itself is full. What a swap has left behind stays for ten minutes while there is room, and no longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from event_log.errors import LogFull
from event_log.files.blobs import STAY_SECONDS
from event_log.files.disk import File, allocate, refusing
from event_log.files.layout import RECORDS, SegmentHead, Tail
from event_log.files.opening import OpenLog
from times import SECOND

BALLAST_BYTES = 256 * 1024
SPARE_BYTES = 64 * 1024
"""A segment with less room than this is about to end."""
WAYS_OUT = "raise TIDEMARK_LOG_MAX_BYTES, or wait until events expire"

T = TypeVar("T")


def bytes_used(files: OpenLog) -> int:
    """Return the bytes that the log takes on the disk, without quarantined files."""
    folders = (files.segments.folder, files.blobs.folder)
    return sum(_size(entry) for folder in folders for entry in os.scandir(folder))


def _size(entry: os.DirEntry[str]) -> int:
    with suppress(FileNotFoundError):
        return entry.stat().st_size
    return 0


def next_segment(files: OpenLog) -> None:
    """Go on in a new segment. Only with the append lock. Raises LogFull, LogUnavailable."""
    tail, segments = Tail(*files.tail), files.segments
    if tail.number == tail.segment:
        raise LogFull(f"this request is larger than the log at {files.path} takes; {WAYS_OUT}")
    for start in segments.starts():
        if start > tail.segment:  # its maker died before it was published
            segments.path(start).unlink(missing_ok=True)
    check_room(files, 2 * segments.size)
    with_room(files, lambda: segments.create(SegmentHead(tail.number, tail.position, tail.crc)))
    files.publish(tail._replace(segment=tail.number, offset=RECORDS))


def check(files: OpenLog) -> None:
    """See that the next records will find room. Raises LogFull, LogUnavailable."""
    spare = min(SPARE_BYTES, files.segments.size // 4)
    is_ending = files.head.tail()[1].offset + spare > files.limits[0]
    if is_ending:
        check_room(files, 2 * files.segments.size)
    if is_ending or files.fault is not None:
        with refusing(files.path):
            _try(files)
        files.fault = None


def check_room(files: OpenLog, size: int) -> None:
    """See that LOG_MAX_BYTES has room for so many bytes; what a swap has left behind goes for them. Raises LogFull."""
    most = files.options.most_bytes - size
    if bytes_used(files) > most:
        collect(files, stay_seconds=0)
        if bytes_used(files) > most:
            raise LogFull(f"the log at {files.path} is full ({files.options.most_bytes} bytes); {WAYS_OUT}")


def _try(files: OpenLog) -> None:
    """Give a file that nobody needs the room of a segment. Raises OSError."""
    path = files.path / f"{uuid4().hex}.tmp"
    try:
        file = File(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        allocate(file.number, files.segments.size)
    finally:
        path.unlink(missing_ok=True)


def with_room(files: OpenLog, work: Callable[[], T], *, ballast: bool = False) -> T:
    """Do what needs room on the disk; where it is full, give up what can be and try again. Raises LogFull,
    LogUnavailable."""
    with suppress(LogFull), refusing(files.path):
        return work()
    with refusing(files.path):
        collect(files, stay_seconds=0)
        if ballast:
            _ballast(files).unlink(missing_ok=True)
        return work()


def collect(files: OpenLog, *, stay_seconds: int = STAY_SECONDS) -> None:
    """Remove what a swap has left behind more than `stay_seconds` ago, oldest first."""
    manifest, now = files.manifest(), files.time()
    number = manifest.number_before(now - stay_seconds * SECOND)
    starts = files.segments.starts()
    doomed = [start for start, after in pairwise(starts) if after <= number]
    if doomed:
        files.head.flush()  # or a power cut would find as synced what is no longer there
    for start in doomed:
        files.segments.path(start).unlink(missing_ok=True)
    files.blobs.collect(manifest, now, stay_seconds=stay_seconds)


def _ballast(files: OpenLog) -> Path:
    return files.path / "ballast"


def take_ballast(files: OpenLog) -> None:
    """Take again what was given up, if the disk has the room."""
    if not _ballast(files).exists():
        with suppress(OSError):
            file = File(_ballast(files), os.O_RDWR | os.O_CREAT)
            allocate(file.number, BALLAST_BYTES)
