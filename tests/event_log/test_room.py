"""A log without room: nothing is stored, reads go on, it says why, and it heals by itself."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from event_log.base import START as BEGIN
from event_log.base import Batch, EventLog, LogFull, LogUnavailable, Once, Rules, Terms
from event_log.lmdb_log import LmdbLog
from tests.event_log.logs import MIB, START, batch, open_lmdb
from tests.event_log.reader import LATEST, rows_behind
from tests.event_log.test_processes import ended, in_child

BATCH = Batch(["a"], None, START, np.arange(1000.0))


def fill(log: LmdbLog, some: Batch = BATCH) -> LogUnavailable:
    """Append until that fails; with what."""
    while True:
        before = log.position()
        try:
            log.append(some)
        except LogUnavailable as fault:
            assert log.position() == before
            return fault


def clean(log: EventLog, horizon: int, since: tuple[int, int] = (LATEST, 0)) -> None:
    """A second of what a service does: clean all there is, then settle."""
    while log.clean(horizon, lambda series: since, log.position()):
        pass
    log.sync()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[LmdbLog]:
    log = open_lmdb(tmp_path, max_bytes=MIB)
    log.claim(Rules(60, 0), "start")
    yield log
    log.close()


def test_a_full_log_takes_nothing_and_says_the_way_out(small: LmdbLog, tmp_path: Path) -> None:
    fault = fill(small)
    for part in ("is full", "TIDEMARK_LOG_MAX_BYTES", "wait"):
        assert part in str(fault)
    stored = rows_behind(small)
    assert len(stored) == small.position() > 70_000
    for some in (BATCH, batch([("new", START, 1.0)] * 500)):
        for _ in range(20):
            with pytest.raises(LogFull):
                small.append(some)
    assert rows_behind(small)[: len(stored)] == stored
    with pytest.raises(LogFull, match="is full"):
        small.check()
    assert sum(file.stat().st_size for file in tmp_path.rglob("data.mdb")) <= MIB * 1.25


def test_a_full_log_heals_as_events_expire(small: LmdbLog) -> None:
    fill(small)
    for _ in range(2):
        clean(small, START)
    small.check()
    last = small.position()
    assert small.append(BATCH) == last + 1000
    assert len(rows_behind(small)) == 1000


def test_a_log_full_of_memos_takes_none_and_heals_as_they_are_forgotten(small: LmdbLog) -> None:
    empty = Batch([], None, START, np.empty(0))
    for number in range(1_000_000):
        key = number.to_bytes(32, "big")
        try:
            small.append(empty, Terms(once=Once(key, bytes(32), bytes(8), START, START + 60)))
        except LogFull:
            break
    assert number > 1000
    assert small.recall(key, START) is None
    with pytest.raises(LogFull):
        small.append(empty, Terms(once=Once(key, b"", b"", START, START + 60)))
    for _ in range(2):
        clean(small, START + 60)
    small.check()
    assert small.append(BATCH, Terms(once=Once(key, b"", b"", START + 120, START + 180))) == 1000
    assert small.recall(key, START + 120) is not None


def test_kept_events_that_fill_the_log_are_named(small: LmdbLog) -> None:
    fill(small)
    clean(small, START, (START, 0))
    clean(small, START, (START, 0))
    fault = fill(small)
    for part in ("kept events fill the log", "TIDEMARK_KEEP_LAST", "TIDEMARK_LOG_MAX_BYTES"):
        assert part in str(fault)
    with pytest.raises(LogFull, match="kept events fill the log"):
        small.check()


def test_a_request_larger_than_the_log_takes_is_refused_at_once(small: LmdbLog) -> None:
    small.append(BATCH)
    with pytest.raises(LogFull, match="larger than the log"):
        small.append(Batch(["a"], None, START, np.zeros(MIB // 8)))
    small.check()
    assert small.append(BATCH) == 2000


def test_half_in_quiet_series_was_full_for_ever(tmp_path: Path) -> None:
    """The first format: of a log that was full once, the pages left half empty around kept events were lost to it."""
    log = open_lmdb(tmp_path, max_bytes=4 * MIB)
    log.claim(Rules(60, 1000), "start")
    names = [f"quiet {i}" for i in range(20)] + ["busy"]
    pattern = np.array([i % 20 if i % 2 else 20 for i in range(1000)], np.uint32)
    some = Batch(names, pattern, START, np.arange(1000.0))
    fault = fill(log, some)
    assert "is full" in str(fault)
    keep = dict.fromkeys(log.series, 1000)
    live: dict[int, list[tuple[int, int]]] = {number: [] for number in keep}
    events = log.read(BEGIN)
    for number, position in zip(events.ids.tolist(), events.positions.tolist(), strict=True):
        live[number].append((START, position))
    while log.clean(START, lambda series: live[series][-1000:][0], log.position()):
        pass
    log.sync()
    taken = sum(bool(log.append(Batch(["busy"], None, START + 1, np.arange(100.0)))) for _ in range(100))
    assert taken == 100
    assert len(log.read(BEGIN)) > 0
    log.close()


@pytest.mark.no_cover
@pytest.mark.soak(seed=(range(3), range(60)))
def test_whatever_has_happened_it_heals(tmp_path: Path, seed: int) -> None:
    """Whenever unexpired and kept events need less than 60 % of the room, writes are taken within two seconds."""
    chance = random.Random(seed)
    size = MIB
    log = open_lmdb(tmp_path, max_bytes=size)
    log.claim(Rules(60, 0), "start")
    keep, now, own = (0, 10, 300)[seed % 3], 100, dict[int, list[tuple[int, int]]]()
    refused = 0

    def since(series: int) -> tuple[int, int]:
        events = own.get(series, [])
        return (LATEST, 0) if not keep else events[-keep] if len(events) >= keep else (-LATEST, 0)

    for _ in range(120):
        now += chance.choice((1, 5, 40))
        names = [f"s{chance.randint(0, 30)}" for _ in range(chance.randint(1, 4))]
        names = list(dict.fromkeys(names))
        count = chance.choice((1, 20, 700, 2500))
        which = np.array([chance.randrange(len(names)) for _ in range(count)], np.uint32)
        some = Batch(names, which, now, np.arange(float(count)))
        needed = sum(
            24 * max(keep, sum(time > now - 60 for time, _ in events[-40_000:])) if events else 0
            for events in own.values()
        )
        try:
            last = log.append(some)
        except LogFull:
            refused += 1
            for _ in range(2):
                clean_for(log, now - 60, since)
            if needed + 24 * count >= 0.6 * size:
                continue
            last = log.append(some)  # healed
        ids = {series.name: number for number, series in log.series.items()}
        for row, index in enumerate(which.tolist()):
            own.setdefault(ids[names[index]], []).append((now, last - count + 1 + row))
        if chance.random() < 0.5:
            clean_for(log, now - 60, since)
    log.close()
    assert sum(file.stat().st_size for file in tmp_path.rglob("data.mdb")) <= size * 1.25


def clean_for(log: EventLog, horizon: int, since: object) -> None:
    while log.clean(horizon, since, log.position()):  # type: ignore[arg-type]
        pass
    log.sync()


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
            assert not isinstance(fault, LogFull)
            assert any(os.strerror(code) in str(fault) for code in (errno.ENOSPC, errno.EFBIG, errno.EIO))
        for _ in range(3):
            with pytest.raises(LogUnavailable, match=r"cannot be written|disk under the log"):
                log.check()
        stored = rows_behind(log)
        assert len(stored) == log.position()
        resize(8)
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


def test_more_room_beside_older_processes_harms_neither(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path, max_bytes=MIB)
    fill(log)
    told, tell = os.pipe()
    pid = os.fork()
    if not pid:
        log._process._store.disown()  # type: ignore[union-attr]
        larger = open_lmdb(tmp_path, max_bytes=16 * MIB)
        larger._settle_all()
        larger.append_one("b", START, 1.0)
        larger._settle_all()
        for _ in range(200):
            larger.append(BATCH)
        larger._settle_all()
        os.write(tell, b"!")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(told, 1) == b"!"
    assert log.position() > 200_000
    assert len(rows_behind(log)) == log.position()
    log.close()
    os.close(told)
    os.close(tell)
