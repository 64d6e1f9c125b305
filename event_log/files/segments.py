"""The folder of segments: files of records, each named by the number of the last record before it.

A segment appears under its name with its head and all of its room, so that an append never finds the disk full. It ends
where the next one begins, or where its head says so: what stands behind that is lost, or stands elsewhere. Segments are
read by `pread` and never mapped: what a bad disk cannot read is then an error, and not the end of the process.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from event_log.errors import LogDamaged, LogUnavailable
from event_log.files.disk import File, allocate, sync_file, sync_folder, write_all
from event_log.files.layout import RECORDS, SegmentHead, pack_segment, unpack_segment
from event_log.port import Behind

_TEMPORARY = "new.tmp"
_BLOCK = 4096
_OPEN = 4
"""Maximum segments that a process keeps open."""


class Segments:
    """Those of one folder, as one process has them open."""

    def __init__(self, folder: Path, quarantine: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._quarantine = quarantine
        self._open: dict[int, File] = {}
        self._following: dict[int, SegmentHead] = {}
        self._history = -1

    def starts(self) -> list[int]:
        """The names of all segments, in order."""
        return sorted(int(path.stem) for path in self.folder.glob("*.log") if path.stem.isdecimal())

    def after(self, start: int) -> int | None:
        """The name of the next segment, if there is one."""
        return min((other for other in self.starts() if other > start), default=None)

    def path(self, start: int) -> Path:
        return self.folder / f"{start:020}.log"

    def file(self, start: int) -> File:
        """Raises Behind."""
        file = self._open.get(start)
        if file is None:
            try:
                file = File(self.path(start), os.O_RDWR)
            except FileNotFoundError:
                raise Behind(f"{self.path(start)} is not there any more") from None
            except OSError as fault:
                raise LogUnavailable(f"{self.path(start)} cannot be opened: {fault}") from fault
            while len(self._open) >= _OPEN:
                with suppress(StopIteration, RuntimeError):  # another thread does the same
                    self._open.pop(next(iter(self._open)), None)
            self._open[start] = file
        return file

    def forget(self) -> None:
        """Open each anew: other files may have the names now."""
        self._open, self._following = {}, {}

    def meet(self, history: int) -> None:
        """Know of the history in force: another one may have put other files in place of these."""
        if history != self._history:
            self._history = history
            self.forget()

    def following(self, start: int) -> SegmentHead:
        """The head of the segment behind one that is not the last. Raises LogDamaged, Behind."""
        head = self._following.get(start)
        if head is None:
            after = self.after(start)
            if after is None:
                raise LogDamaged(f"the segment behind {self.path(start)} is not there")
            head = self.head(after)
            if not self.path(start).exists():  # removed, oldest first: the next one may have been too
                raise Behind(f"{self.path(start)} is not there any more")
            self._following[start] = head
        return head

    def create(self, head: SegmentHead, data: bytes = b"", *, sync: bool = False) -> None:
        """Make the segment behind a record, beginning with these bytes, in place of one that has the name.

        `sync`: it is on the disk before it appears, and its name after. Raises OSError."""
        path = self.folder / _TEMPORARY
        file = File(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        allocate(file.number, max(self.size, RECORDS + len(data)))
        write_all(file.number, pack_segment(head), 0)
        write_all(file.number, data, RECORDS)
        if sync:
            sync_file(file.number)
        path.rename(self.path(head.number))
        if sync:
            sync_folder(self.folder)
        self._open.pop(head.number, None)
        self._open[head.number] = file

    def head(self, start: int) -> SegmentHead:
        """Raises LogDamaged, Behind."""
        head = unpack_segment(self.read(start, 0, RECORDS))
        if head is None:
            raise LogDamaged(f"the head of {self.path(start)} does not match its checksum")
        return head

    def seal(self, start: int, end: int) -> None:
        """Note for good, on the disk, that a segment ends there. Raises OSError."""
        file = self.file(start)
        write_all(file.number, pack_segment(self.head(start)._replace(end=end)), 0)
        sync_file(file.number)

    def end(self, start: int) -> int:
        """The offset behind which nothing may be read."""
        return self.head(start).end or self.size_of(start)

    def size_of(self, start: int) -> int:
        """Bytes of its file."""
        file = self.file(start)  # held while it is used: another thread may let go of it
        return os.fstat(file.number).st_size

    def sync(self, start: int) -> None:
        """Wait until all of it is on the disk. Raises OSError."""
        file = self.file(start)
        sync_file(file.number)

    def read(self, start: int, offset: int, size: int) -> bytes:
        """Raises LogDamaged where they cannot be read, Behind."""
        file = self.file(start)
        try:
            data = os.pread(file.number, size, offset)
        except OSError as fault:
            raise LogDamaged(f"{self.path(start)} cannot be read at byte {offset}: {fault}") from fault
        if len(data) < size:
            raise LogDamaged(f"{self.path(start)} ends at byte {offset + len(data)}, before its records do")
        return data

    def read_around(self, start: int, offset: int) -> bytes:
        """All from there to the end; zeros where it cannot be read."""
        with suppress(LogDamaged):
            return self.read(start, offset, max(0, self.end(start) - offset))
        data = bytearray(max(0, self.size_of(start) - offset))
        for at in range(0, len(data), _BLOCK):
            with suppress(LogDamaged):
                size = min(_BLOCK, len(data) - at)
                data[at : at + size] = self.read(start, offset + at, size)
        return bytes(data)

    def quarantine(self, start: int, stamp: str, *, keep: bool) -> None:
        """Give a segment a name in the quarantine, beside its own or, unless `keep`, instead of it. Raises OSError."""
        target = self._quarantine / f"{stamp}-{start:020}.log"
        if keep:
            with suppress(FileExistsError):
                os.link(self.path(start), target)
        else:
            self.path(start).rename(target)
            self._open.pop(start, None)
        sync_folder(self._quarantine)
        sync_folder(self.folder)
