"""A disk that is full or broken at any call: nothing acknowledged is lost, all is told by an error of the log's own."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from event_log.codec import END, WRITE
from event_log.errors import LogError, LogFull, LogUnavailable, LogUncertain
from event_log.files.layout import RECORDS, SegmentHead
from event_log.files.segments import Segments
from event_log.files.store import FilesStore
from event_log.port import Record
from tests.event_log.files.logs import LEAST, add, open_files, read_all, single

CALLS = ("open", "pwrite", "fdatasync", "fsync", "posix_fallocate", "rename", "utime")
BIG = 3000


@contextmanager
def failing(name: str, number: int, code: int, *, for_good: bool = False) -> Iterator[list[int]]:
    """The call with this number fails; yields how many there were."""
    call, count = getattr(os, name), [0]

    def failing_call(*args: Any, **options: Any) -> Any:
        count[0] += 1
        if count[0] == number or (for_good and count[0] > number):
            raise OSError(code, os.strerror(code))
        return call(*args, **options)

    with patch.object(os, name, failing_call):
        yield count


def live(store: FilesStore, acknowledged: dict[int, bytes]) -> None:
    """Write more than two segments hold, sync, compact, go on."""
    for step in range(60):
        with _told():
            number = add(store, Record(WRITE, b"%d" % step * (BIG // 2), 1)).number
            acknowledged[number] = b"%d" % step * (BIG // 2)
        if step % 20 == 10:
            with _told():
                store.sync()
        if step == 30:
            with _told():
                name = store.put_blob(b"blob")
                cursor = store.read(store.manifest().cursor, 5).cursor
                assert store.swap(store.manifest()._replace(generation=1, cursor=cursor, blobs=(name,)))
                for number in [number for number in acknowledged if number <= cursor.number]:
                    del acknowledged[number]


@contextmanager
def _told() -> Iterator[None]:
    """Only errors of the log's own come out."""
    with suppress(LogError):
        yield


def fill(store: FilesStore, record: Record) -> None:
    """Append until the log refuses."""
    while True:
        add(store, record)


def filled(store: FilesStore, record: Record) -> int:
    """Return how many fit into a log until that is full."""
    before = store.end().number
    with pytest.raises(LogFull, match="is full"):
        fill(store, record)
    return store.end().number - before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.soak(apart=(3, 1))
def test_no_failing_call_costs_what_was_acknowledged(tmp_path: Path, name: str, code: int, apart: int) -> None:
    """Each call in a soak; in the suite each third, and others of one error than of the other."""
    number, was_reached = 1 + code % apart - apart, True
    while was_reached:
        number += apart
        folder, acknowledged = tmp_path / str(number), dict[int, bytes]()
        store = open_files(folder)
        with failing(name, number, code) as count:
            live(store, acknowledged)
            with _told():
                store.close()
        was_reached = count[0] >= number
        store = open_files(folder)
        found = read_all(store)
        first = store.manifest().cursor.number
        lost = {n for n, payload in acknowledged.items() if n > first and found[n].payload != payload}
        assert not lost, (number, lost)
        add(store, single(1.0))
        store.sync()
        store.close()
    assert number >= 2, "it was never called"


def test_a_full_disk_is_named_as_that_and_heals(tmp_path: Path) -> None:
    store = open_files(tmp_path / "log")
    add(store, single(1.0))
    with (
        failing("posix_fallocate", 1, errno.ENOSPC, for_good=True),
        pytest.raises(LogFull, match=r"the disk of the log at .* is full"),
    ):
        fill(store, Record(WRITE, bytes(BIG), 1))
    with (
        failing("posix_fallocate", 1, errno.ENOSPC, for_good=True),
        pytest.raises(LogFull, match=r"the disk of the log at .* is full"),
    ):
        store.check()
    store.check()
    add(store, Record(WRITE, bytes(BIG), 1))
    store.close()


def test_a_refused_write_is_told_until_the_next_ones_have_room(tmp_path: Path) -> None:
    store = open_files(tmp_path / "log")
    with failing("pwrite", 1, errno.EROFS, for_good=True), pytest.raises(LogUnavailable, match="Read-only"):
        add(store, single(1.0))
    with failing("posix_fallocate", 1, errno.EROFS, for_good=True), pytest.raises(LogUnavailable, match="Read-only"):
        store.check()
    store.check()
    assert not list((tmp_path / "log").glob("*.tmp"))
    store.close()


def test_the_ballast_makes_room_for_a_blob(tmp_path: Path) -> None:
    store = open_files(tmp_path / "log")
    add(store, single(1.0))
    ballast = tmp_path / "log" / "ballast"
    assert ballast.stat().st_size == 256 * 1024
    write = os.pwrite

    def full_with_ballast(*args: Any) -> int:
        if ballast.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(*args)

    with patch.object(os, "pwrite", full_with_ballast):
        name = store.put_blob(b"a checkpoint")
    assert store.blob(name) == b"a checkpoint"
    assert store.swap(store.manifest()._replace(generation=1, blobs=(name,)))
    assert ballast.exists()
    store.close()


class TestAFailedSync:
    def test_what_was_not_synced_goes_on_in_another_segment(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log", sync="always")
        store.confirm(add(store, single(1.0)))
        history = store.manifest().cursor.history
        for value in range(2, 50):
            add(store, single(float(value)))
        with failing("fdatasync", 1, errno.EIO) as count:
            store.confirm(store.end())
        assert count[0] >= 2
        assert store.manifest().cursor.history != history
        assert list(read_all(store)) == list(range(1, 50))
        store.confirm(add(store, single(50.0)))
        store.close()
        store = open_files(tmp_path / "log", boot="another")
        assert list(read_all(store)) == list(range(1, 51))
        store.close()

    def test_others_follow_to_a_segment_of_the_same_name(self, tmp_path: Path) -> None:
        store, other = (open_files(tmp_path / "log", sync="always") for _ in range(2))
        for log in (store, other):
            add(log, single(float(log.end().number)))
            assert len(read_all(log)) == log.end().number
        with failing("fdatasync", 1, errno.EIO):
            store.confirm(store.end())
        add(other, single(2.0))
        assert [entry.payload for entry in read_all(other).values()] == [single(float(i)).payload for i in range(3)]
        assert read_all(store) == read_all(other)
        store.close()
        other.close()
        store = open_files(tmp_path / "log", boot="another")
        assert len(read_all(store)) == 3
        store.close()

    def test_where_that_fails_too_nothing_more_is_written(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log", sync="always")
        other = open_files(tmp_path / "log", sync="always")
        assert other.end().number == 0
        store.confirm(add(store, single(1.0)))
        uncertain = add(store, single(2.0))
        with failing("fdatasync", 1, errno.EIO, for_good=True), pytest.raises(LogUncertain):
            store.confirm(uncertain)
        for log in (store, other):
            with pytest.raises(LogUncertain):
                log.confirm(uncertain)
            with pytest.raises(LogUnavailable, match="started anew"):
                add(log, single(3.0))
            with pytest.raises(LogUnavailable, match="started anew"):
                log.check()
            assert len(read_all(log)) == 2
            log.close()
        store = open_files(tmp_path / "log", sync="always")
        assert [entry.payload for entry in read_all(store).values()][:2] == [single(1.0).payload, single(2.0).payload]
        store.confirm(add(store, single(3.0)))
        store.close()


class TestRoom:
    def test_a_full_log_takes_what_heals_it(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log")
        filled(store, Record(WRITE, bytes(BIG), 1))
        filled(store, single(1.0))
        used = sum(path.stat().st_size for path in (tmp_path / "log").rglob("*") if path.name != "ballast")
        assert used <= LEAST
        with pytest.raises(LogFull, match="is full"):
            store.check()
        ends = filled(store, Record(END, bytes(20), 1, fences=True))
        raises = filled(store, Record(WRITE, b"", timed=True, raises=(0, 0)))
        assert ends >= 10
        assert raises >= 8
        store.close()

    def test_compaction_makes_room_again(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log")
        count = filled(store, Record(WRITE, bytes(BIG), 1))
        cursor, more = store.manifest().cursor, True
        while more:
            chunk = store.read(cursor, 1000)
            cursor, more = chunk.cursor, chunk.more
        name = store.put_blob(bytes(40_000))
        assert store.swap(store.manifest()._replace(generation=1, cursor=cursor, blobs=(name,)))
        store.check()
        assert filled(store, Record(WRITE, bytes(BIG), 1)) > count / 2
        store.close()

    def test_what_is_larger_than_the_log_is_refused(self, tmp_path: Path) -> None:
        store = open_files(tmp_path / "log")
        with pytest.raises(LogFull, match="larger than the log"):
            add(store, Record(WRITE, bytes(LEAST // 8), 1))
        with pytest.raises(LogFull, match="is full"):
            store.put_blob(bytes(LEAST))
        assert store.end().number == 0
        store.close()


@pytest.mark.parametrize("call", ["pread", "fstat", "fdatasync"])
def test_a_file_that_another_thread_lets_go_of_stays_open_while_it_is_used(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = Segments(tmp_path, tmp_path, 4096)
    segments.create(SegmentHead(0, 0, 1), b"records")
    real, calls = getattr(os, call), list[int]()

    def interrupted(*args: int) -> object:
        calls.append(1)
        segments.forget()
        return real(*args)

    monkeypatch.setattr(os, call, interrupted)
    assert segments.read(0, RECORDS, 7) == b"records"
    assert segments.size_of(0) == 4096
    segments.sync(0)
    assert calls == [1]
