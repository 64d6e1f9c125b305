"""Blobs, which are written once under a random name, and the manifest that says which of them hold.

The manifest is replaced by renaming, with its generation compared under the append lock. What it no longer names, and
segments before the record it begins behind, stay for ten minutes, for those who still read them.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from event_log.errors import LogDamaged
from event_log.files.disk import sync_folder, write_aside
from event_log.files.layout import CRC, NO_HORIZON, crc_of, with_crc, without_crc
from event_log.port import Behind
from times import SECOND

STAY_SECONDS = 600


@dataclass(frozen=True)
class Stored:
    """The manifest as it stands in its file."""

    generation: int = 0
    number: int = 0
    """The record behind which the log is to be read: what stands before is in the blobs."""
    position: int = 0
    horizon: int = NO_HORIZON
    blobs: list[str] = field(default_factory=list)
    dropped: list[tuple[int, int, list[str]]] = field(default_factory=list)
    """Swaps: when, in microseconds, the record behind which the log has to be read since, and the blobs replaced."""
    data: str = ""
    """Opaque data of the owner of the log about the blobs, as latin-1."""

    def number_before(self, moment: int) -> int:
        """The record before which nobody reads any more who began before a moment."""
        return max((number for when, number, _ in self.dropped if when <= moment), default=0)


def pack(manifest: Stored) -> bytes:
    """Two copies of equal length, each JSON with a crc behind."""
    return with_crc(json.dumps(manifest.__dict__).encode()) * 2


class Blobs:
    """Blobs and manifest in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "manifest"

    def manifest(self) -> Stored:
        """Raises LogDamaged."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return Stored()
        half = len(data) // 2
        body = without_crc(data[:half]) or without_crc(data[half:])
        if not body:
            raise LogDamaged(f"{self.path}: it does not match its checksum")
        return Stored(**json.loads(body))

    def put(self, data: bytes, now: int) -> str:
        """Write a blob, and wait until it is on the disk; its name. Raises OSError."""
        name = uuid4().hex
        path = write_aside(self.folder, data, crc_of(data))
        os.utime(path, ns=(now * 1000, now * 1000))
        path.rename(self.folder / name)
        sync_folder(self.folder)
        return name

    def get(self, name: str) -> bytes:
        """Raises LogDamaged where it is not as it was written, and Behind where it is gone."""
        try:
            with (self.folder / name).open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size - CRC.size
                data, crc = file.read(max(size, 0)), file.read()  # a slice would be a copy
        except FileNotFoundError:
            raise Behind(f"{self.folder / name} was replaced meanwhile") from None
        except OSError as fault:
            raise LogDamaged(f"{self.folder / name} cannot be read: {fault}") from fault
        if crc_of(data) != crc:
            raise LogDamaged(f"{self.folder / name} is not as it was written")
        return data

    def collect(self, manifest: Stored, now: int, *, stay_seconds: int) -> None:
        """Remove blobs that nobody reads any more, and those that nobody has named for long."""
        gone = now - stay_seconds * SECOND
        replaced = {name: when <= gone for when, _, names in manifest.dropped for name in names}
        for entry in os.scandir(self.folder):
            if entry.name in manifest.blobs or entry.name == self.path.name:
                continue
            with suppress(FileNotFoundError):  # another process collects too
                age_seconds = now / SECOND - entry.stat().st_mtime  # by the log's time, as `put` noted it
                if replaced.get(entry.name, age_seconds >= STAY_SECONDS):
                    Path(entry.path).unlink()
