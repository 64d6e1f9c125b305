"""Damage to what was synced: it is noticed, quarantined and told of, and what is intact goes on in the same start."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from event_log.codec import JUMP, WRITE
from event_log.errors import HistoryChanged, LogDamaged, LogError
from event_log.files.head import Head
from event_log.files.layout import RECORDS, SECTOR
from event_log.files.store import FilesStore
from event_log.port import Entry, Record
from tests.event_log.files.logs import add, each, open_files, read_all, single


@contextmanager
def without_syncs() -> Iterator[None]:
    """Skip all syncs; other tests prove that data is on the disk."""

    def ignore(*_: Any) -> None:
        return

    with (
        patch.object(os, "fsync", ignore),
        patch.object(os, "fdatasync", ignore),
        patch.object(Head, "flush", ignore),
    ):
        yield


def small_log(folder: Path) -> dict[int, Entry]:
    """A log of two segments, a blob and some records in each."""
    store = open_files(folder)
    for value in range(4):
        add(store, single(float(value)))
    cursor = store.read(store.manifest().cursor, 1).cursor
    name = store.put_blob(b"what is compacted")
    assert store.swap(store.manifest()._replace(generation=1, cursor=cursor, blobs=(name,)))
    add(store, Record(WRITE, bytes(60_000), 5))
    add(store, Record(WRITE, bytes(5_000), 1))
    for value in range(4, 10):
        add(store, single(float(value)))
    found = read_all(store)
    store.close()
    return found


def flips(folder: Path, step: int) -> Iterator[tuple[Path, int]]:
    """Every `step`-th byte of the files that hold the log, but of the long payloads only some."""
    for path in sorted(path for path in folder.rglob("*") if path.parent.name != "locks" and path.is_file()):
        data = path.read_bytes().rstrip(b"\0")
        if path.name != "ballast":
            dull = {at for at in range(len(data)) if not any(data[max(0, at - 64) : at + 64])}
            clock = range(3072, 4096) if path.name == "head" else range(0)
            yield from ((path, at) for at in range(0, len(data), step) if at not in dull and at not in clock)


@pytest.mark.parametrize("boot", ["boot", "another"])
@pytest.mark.soak(step=(31, 1))
def test_no_flipped_bit_costs_more_than_three_records(tmp_path: Path, boot: str, step: int) -> None:
    whole = small_log(tmp_path / "log")
    count = 0
    with without_syncs():
        for path, at in flips(tmp_path / "log", step):
            copy = tmp_path / "copy"
            shutil.copytree(tmp_path / "log", copy)
            target = copy / path.relative_to(tmp_path / "log")
            data = bytearray(target.read_bytes())
            data[at] ^= 1 << at % 8
            target.write_bytes(data)
            _check(copy, boot, whole, (path.name, at))
            shutil.rmtree(copy)
            count += 1
    assert count > 1000 // step


def _check(folder: Path, boot: str, whole: dict[int, Entry], where: tuple[str, int]) -> None:
    store = open_files(folder, boot=boot)
    found = read_all(store)
    for number, entry in found.items():
        if entry.kind != JUMP:
            assert entry == whole[number], where
    lost = [number for number in whole if number not in found or found[number].kind == JUMP]
    assert len(lost) <= 3, (where, lost)
    assert not lost or store.notice() is not None, where
    for name in store.manifest().blobs:
        try:
            assert store.blob(name) == b"what is compacted"
        except LogDamaged:
            assert where[0] == name
    number = add(store, single(100.0)).number
    assert read_all(store)[number].payload == single(100.0).payload
    store.close()
    store = open_files(folder, boot="a third")
    assert {n: e for n, e in read_all(store).items() if n <= number and n not in lost and e.kind != JUMP}.keys() >= (
        whole.keys() - set(lost)
    )
    store.close()


def spoil(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "segments").glob("*.log"))


def filled(folder: Path) -> FilesStore:
    """Three segments of single events."""
    store = open_files(folder)
    for value in range(3500):
        add(store, single(float(value)))
    store.sync()
    return store


def values(store: FilesStore) -> set[bytes]:
    return {bytes(entry.payload) for entry in read_all(store).values() if entry.kind != JUMP}


class TestWhileItRuns:
    def test_others_begin_anew_and_miss_what_is_lost(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "log")
        other = open_files(tmp_path / "log")
        chunk = other.read(other.manifest().cursor, 3000)
        guard_history = other.manifest().cursor.history
        spoil(segments(tmp_path / "log")[1], RECORDS + 8000, b"\xff" * 300)
        with pytest.raises(HistoryChanged, match="does not match its checksum"):
            read_through(store)
        assert len(values(store)) == 3500 - 10
        with pytest.raises(HistoryChanged):
            other.read(chunk.cursor, 1000)
        assert other.manifest().cursor.history != guard_history
        assert values(other) == values(store)
        assert "1 damaged files" in str(store.notice())
        assert add(other, single(1.5)).number == add(store, single(2.5)).number - 1
        store.close()
        other.close()

    def test_a_sector_that_cannot_be_read_is_damage(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "log")
        read, bad = os.pread, segments(tmp_path / "log")[1].stat().st_ino

        def pread(file: int, size: int, offset: int) -> bytes:
            if os.fstat(file).st_ino == bad and offset <= 8192 < offset + size:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return read(file, size, offset)

        with patch.object(os, "pread", pread):
            found = values(store)
        assert 3500 - 110 < len(found) < 3500 - 95
        store.close()

    def test_a_segment_without_a_head_is_quarantined(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "log")
        spoil(segments(tmp_path / "log")[1], 0, bytes(2 * SECTOR))
        found = values(store)
        assert 1500 < len(found) < 2500
        assert len(list((tmp_path / "log" / "quarantine").iterdir())) == 1
        assert add(store, single(1.5)).number == 3501
        store.close()

    def test_a_tail_that_is_damaged_goes_on_in_another_segment(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "log")
        last = segments(tmp_path / "log")[-1]
        spoil(last, len(last.read_bytes().rstrip(b"\0")) - 100, bytes(200))
        assert len(values(store)) in (3497, 3496)
        assert add(store, single(1.5)).number == 3501
        assert single(1.5).payload in values(store)
        store.close()
        store = open_files(tmp_path / "log", boot="another")
        assert single(1.5).payload in values(store)
        store.close()


def read_through(store: FilesStore) -> list[Entry]:
    cursor, found, more = store.manifest().cursor, list[Entry](), True
    while more:
        chunk = store.read(cursor, 1000)
        found += [one for some in chunk.entries for one in each(some)]
        cursor, more = chunk.cursor, chunk.more
    return found


def test_a_lost_head_is_made_anew_from_the_records(tmp_path: Path) -> None:
    store = filled(tmp_path / "log")
    store.close()
    (tmp_path / "log" / "head").unlink()
    store = open_files(tmp_path / "log")
    assert len(values(store)) == 3500
    assert add(store, single(1.0)).position > 10**15
    store.close()


def test_a_manifest_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    small_log(tmp_path / "log")
    spoil(tmp_path / "log" / "blobs" / "manifest", 0, b"x" * 10_000)
    with pytest.raises(LogDamaged, match="does not match its checksum"):
        open_files(tmp_path / "log", boot="another").end()
    with pytest.raises(LogError):
        open_files(tmp_path / "log").manifest()
