"""A log without room: nothing is stored, reads go on, and it resumes by itself."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from event_log.base import Batch, LogError, LogFull, LogUnavailable
from event_log.lmdb_log import LmdbLog
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from tests.event_log.logs import MIB, START, batch, open_lmdb, rows_behind
from tests.event_log.test_processes import ended, in_child
from times import MINUTE

BATCH = Batch(["a"], None, START, np.arange(1000.0))


def fill(log: LmdbLog, some: Batch = BATCH) -> LogError:
    """Append until that fails; with what."""
    while True:
        before = log.position()
        try:
            log.append(some)
        except LogError as fault:
            assert log.position() == before
            return fault


@pytest.fixture
def small(tmp_path: Path) -> Iterator[LmdbLog]:
    log = open_lmdb(tmp_path, max_bytes=MIB)
    yield log
    log.close()


def test_a_full_log_takes_nothing_and_says_the_way_out(small: LmdbLog) -> None:
    fault = fill(small)
    assert isinstance(fault, LogFull)
    for part in ("is full", "TIDEMARK_LOG_MAX_BYTES", "wait"):
        assert part in str(fault)
    stored = rows_behind(small)
    assert len(stored) == small.position() > 80_000
    for some, symbol in ((BATCH, False), (batch([("new", START, 1.0)]), True)):
        for _ in range(50):
            with suppress(LogFull):
                small.append(some, symbol=symbol)
    assert rows_behind(small)[: len(stored)] == stored
    assert (small._process.get().path / "data.mdb").stat().st_size <= MIB


def test_a_full_log_is_not_healthy_until_it_is_cleaned(small: LmdbLog) -> None:
    fill(small, batch([("a", START, 1.0)]))
    with pytest.raises(LogFull, match="is full"):
        small.check()
    while small.clean(START, lambda series: (START + 1, 0)):
        pass
    small.check()
    assert small.append(BATCH) == small.position()


def test_a_batch_larger_than_the_whole_log_is_refused_and_no_more(small: LmdbLog) -> None:
    small.append(BATCH)
    with pytest.raises(LogFull):
        small.append(Batch(["a"], None, START, np.zeros(MIB // 8)))
    small.check()
    assert small.append(BATCH) == 2000


def test_a_map_that_is_full_all_the_same_is_reported(small: LmdbLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small._process.get(), "_limit", 2**60)
    assert isinstance(fill(small), LogFull)
    with pytest.raises(LogFull, match="is full"):
        small.check()
    assert len(rows_behind(small)) == small.position()


def test_a_service_makes_room_by_cleaning(small: LmdbLog) -> None:
    clock = FakeClock(START)
    service = EventService(small, Settings(retention=MINUTE, window=MINUTE, keep_last=1), clock)
    values = np.arange(1000.0)
    with suppress(LogFull):
        while True:
            service.add_many(["a"], None, None, values)
    held = service.statistics().summary.count
    clock.advance(MINUTE)
    for _ in range(1000):
        accepted = service.add_many(["a"], None, None, values)
        clock.advance(MINUTE // 50)
    assert accepted.position == held + 1_000_000
    assert service.statistics().summary.count == 49_000
    assert EventService(small, service.settings, clock).statistics() == service.statistics()


# A disk without room: a small file system of its own where this user may mount one, and everywhere a limit
# on the size of files, in a child that may raise it again.


@contextmanager
def small_disk(path: Path) -> Iterator[Callable[[int], None]]:
    """A file system of 1 MiB mounted there; what it yields gives it another size."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", path], check=True)

    def resize(mib: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={mib}m", path], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", path], check=True)


@contextmanager
def limited_files(path: Path) -> Iterator[Callable[[int], None]]:
    """No file may grow beyond 1 MiB; what it yields gives another limit. For a process of its own."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(mib: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (mib * MIB, resource.RLIM_INFINITY))

    limit(1)
    yield limit


def may_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


def disk_full(path: Path, disk: Callable[[Path], AbstractContextManager[Callable[[int], None]]]) -> None:
    """Fills the disk, and finds everything acknowledged before and after there is room again."""
    with disk(path) as resize:
        log = open_lmdb(path / "log")
        for _ in range(3):
            fault = fill(log, batch([("a", START, 1.0), ("b", START, 2.0)] * 50))
            assert isinstance(fault, LogUnavailable)
            assert not isinstance(fault, LogFull)
            assert any(os.strerror(code) in str(fault) for code in (errno.ENOSPC, errno.EFBIG, errno.EIO))
        for _ in range(3):
            with pytest.raises(LogUnavailable, match="cannot be written"):
                log.check()
        stored = rows_behind(log)
        assert len(stored) == log.position()
        resize(4)
        log.check()
        assert log.append(batch([("c", START, 1.0)])) == len(stored) + 1
        log.close()
        log = open_lmdb(path / "log")
        assert rows_behind(log)[:-1] == stored
        log.close()


def test_a_full_disk(tmp_path: Path) -> None:
    kinds = [limited_files, small_disk] if may_mount() else [limited_files]
    for kind in kinds:
        assert ended(in_child(lambda kind=kind: disk_full(tmp_path / kind.__name__, kind)))  # type: ignore[misc]


def test_a_disk_without_room_is_not_healthy_even_before_a_write_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_lmdb(tmp_path)
    log.append_one("a", START, 1.0)
    real = os.statvfs(tmp_path)
    full = SimpleNamespace(f_blocks=real.f_blocks, f_bavail=1, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(LogUnavailable, match=r"the disk under the log .* is full"):
        log.check()
    monkeypatch.undo()
    log.check()
    log.close()
