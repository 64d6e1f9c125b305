"""One log in many processes: forks, deaths, readers that never said goodbye."""

from __future__ import annotations

import os
import signal
import struct
import traceback
from collections.abc import Callable
from pathlib import Path
from select import select

import pytest

from event_log.base import START as BEGIN
from event_log.base import Place
from event_log.lmdb_log import LmdbLog
from event_log.rules import Rules
from tests.event_log.logs import START, batch, open_lmdb
from tests.event_log.reader import Reader, rows_behind

WRITERS = 3
EACH = 200


def in_child(work: Callable[[], object]) -> int:
    """Start a forked process that does this work; its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001  the child must not run on as a second test session
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def ended(*pids: int) -> bool:
    """Whether these children all ended well."""
    return all(os.waitpid(pid, 0)[1] == 0 for pid in pids)


def locks(path: Path, pid: int) -> int:
    """How many locks a process holds on the files by which LMDB, and the log, tell the living from the dead."""
    return sum(_locks(file, pid) for file in (path / "lock", *path.rglob("lock.mdb")))


def _locks(file: Path, pid: int) -> int:
    inode = file.stat().st_ino
    lines = Path("/proc/locks").read_text().splitlines()
    return sum(f":{inode} " in line and f" {pid} " in line for line in lines)


def readers(log: LmdbLog) -> set[int]:
    """The pids in LMDB's table of readers."""
    lines = log._process.get().fresh.lmdb.readers().splitlines()[1:]
    return {int(line.split()[0]) for line in lines}


@pytest.mark.parametrize("used_before", [True, False])
def test_a_log_may_be_used_on_both_sides_of_a_fork(tmp_path: Path, used_before: bool) -> None:
    log = open_lmdb(tmp_path)
    if used_before:
        log.append(batch([("a", START, 1.0), ("b", START, 1.0)]))
        log.read(BEGIN)

    def work() -> None:
        log.append_one("b", START, 2.0)
        log.append_one("child", START, 3.0)
        assert locks(tmp_path, os.getpid()) >= 5
        log.close()

    before = 2 if used_before else 0
    assert ended(in_child(work))
    assert log.append_one("a", START, 4.0) == before + 3
    assert [row for _, row in rows_behind(log, Place(before))] == [
        ("b", START, 2.0),
        ("child", START, 3.0),
        ("a", START, 4.0),
    ]
    assert locks(tmp_path, os.getpid()) >= 5
    log.close()


def test_others_see_that_a_child_is_alive_which_inherited_an_open_log(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path)
    log.append_one("a", START, 1.0)
    told, tell = os.pipe()

    def read() -> None:
        other = in_child(lambda: clear(os.getppid()))
        with log._process.get().fresh.read() as txn:
            txn.get(b"head")
            os.write(tell, b"!")
            assert ended(other)

    def clear(reader: int) -> None:
        os.read(told, 1)
        log._settle_all()
        assert reader in readers(log)

    assert ended(in_child(read))
    log.close()
    os.close(told)
    os.close(tell)


def test_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path)

    def work(number: int) -> None:
        for i in range(EACH):
            log.append_one(f"{number}-{i % 9}", i, float(number))
            log.append(batch([("all", i, float(number)), (f"{number}", i, float(number))]))
            log.read(Place(max(1, log.position() - 3)))

    assert ended(*[in_child(lambda number=number: work(number)) for number in range(WRITERS)])  # type: ignore[misc]
    found = rows_behind(log)
    assert [position for position, _ in found] == list(range(1, WRITERS * EACH * 3 + 1))
    assert len({series.name for series in log.series.values()}) == len(log.series) == WRITERS * 10 + 1
    for number in range(WRITERS):
        own = [(name, time) for _, (name, time, value) in found if value == number and name == str(number)]
        assert own == [(str(number), i) for i in range(EACH)]
    log.close()


@pytest.mark.parametrize("moment", range(5))
def test_a_killed_writer_leaves_whole_records_and_the_others_go_on(tmp_path: Path, moment: int) -> None:
    log = open_lmdb(tmp_path)
    told, tell = os.pipe()

    def work() -> None:
        position = 0
        while True:
            position = log.append(batch([("a", position, 1.0), ("b", position, 2.0)]))
            os.write(tell, position.to_bytes(8, "big"))

    pid = in_child(work)
    acknowledged = 0
    while acknowledged < 20 + moment * 7:
        acknowledged = int.from_bytes(os.read(told, 8), "big")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.set_blocking(told, False)
    while pending := _read(told):
        acknowledged = int.from_bytes(pending[-8:], "big")
    found = rows_behind(log)
    assert acknowledged <= len(found) <= acknowledged + 2
    assert log.append_one("c", START, 3.0) == len(found) + 1 == len(rows_behind(log))
    log.close()
    os.close(told)
    os.close(tell)


def _read(pipe: int, most: int = 8000) -> bytes:
    try:
        return os.read(pipe, most)
    except BlockingIOError:
        return b""


def test_readers_of_killed_processes_are_cleared(tmp_path: Path) -> None:
    log = open_lmdb(tmp_path)
    log.append_one("a", START, 1.0)
    told, tell = os.pipe()

    def hang() -> None:
        with log._process.get().fresh.read() as txn:
            txn.get(b"head")
            os.write(tell, b"!")
            signal.pause()

    pids = [in_child(hang) for _ in range(3)]
    for _ in pids:
        os.read(told, 1)
    assert readers(log) >= set(pids)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    log._settle_all()
    assert not readers(log) & set(pids)
    log.close()
    os.close(told)
    os.close(tell)


# Storms.

POINTS = ("freezing", "frozen", "settling", "settled", "cleaning", "cleaned", "dropping", "dropped")
"""Where one that settles may die."""
EVENTS, SERIES = 500, 300
SECONDS = 120
"""Longer than any of them lives, on the slowest of machines; and the signal of which it dies then is no SIGKILL."""


@pytest.mark.soak(rounds=(1, 20))
def test_whoever_is_killed_wherever_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, rounds: int) -> None:
    log = open_lmdb(tmp_path)
    keep = 20 * rounds  # fewer than most series are given
    log.claim(Rules(60, keep), "start")
    told, tell = os.pipe()
    os.set_blocking(told, False)
    acknowledged: dict[int, float] = {}
    for number, point in enumerate(POINTS * rounds):
        pids = [
            in_child(lambda number=number, own=own: write(log, tell, 1000.0 * number + own))  # type: ignore[misc]
            for own in (0.1, 0.2)
        ]
        settler = in_child(lambda point=point, number=number: settle_until(log, point, number % 3))  # type: ignore[misc]
        enough = len(acknowledged) + EVENTS + number % 7
        settled = 0
        while len(acknowledged) < enough or not settled:
            acknowledged.update(take_told(told))
            if not settled:
                settled, status = os.waitpid(settler, os.WNOHANG)
        assert status == signal.SIGKILL
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        if number % 3 == 0:
            log._settle_all()
        if number % 5 == 0:
            log.close()
    while last := take_told(told):
        acknowledged.update(last)
    log._settle_all()
    reader = Reader(log)
    reader.follow()
    kept = [event[1:] for _, events in reader.live().values() for event in events]
    found = dict(kept)
    assert len(kept) == len(found) == len(set(found.values()))
    unknown = {position: value for position, value in found.items() if acknowledged.get(position) != value}
    assert not unknown.keys() & acknowledged.keys()
    assert sum(value > 0 for value in unknown.values()) <= 2 * len(POINTS) * rounds
    series: dict[str, list[int]] = {}
    for position, value in (acknowledged | found).items():
        series.setdefault(series_of(value), []).append(position)
    assert sum(len(positions) > keep for positions in series.values()) > SERIES / 2
    assert sorted(found) == sorted(position for own in series.values() for position in sorted(own)[-keep:])
    assert (list(log.jumps), log.notice()) == ([], None)
    log.close()
    os.close(told)
    os.close(tell)


def series_of(value: float) -> str:
    """In which series writers store a value, and settlers theirs, which are negative."""
    return f"s{int(value) % SERIES}" if value > 0 else "settler"


def write(log: LmdbLog, tell: int, value: float) -> None:
    """Append, and tell of each event that was acknowledged, until all is done or killed."""
    signal.alarm(SECONDS)
    for _ in range(EVENTS):
        value += 1
        position = log.append_one(series_of(value), 0, value)
        os.write(tell, struct.pack("<qd", position, value))
    signal.pause()


def settle_until(log: LmdbLog, point: str, before: int) -> None:
    """Settle and clean until a point is reached, so many times `before` it, and die there."""
    left = before

    def at(reached: str) -> None:
        nonlocal left
        if reached == point:
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    reader = Reader(log)
    log._process.get().settling.at = at
    horizon = 0
    signal.alarm(SECONDS)
    while True:
        log.append_one("settler", 0, -float(log.position()) - 1)
        reader.follow()
        horizon = max(horizon + 1, reader.horizon + 1)
        log.clean(horizon, reader.kept_since, reader.place.position)
        log._settle_all()


def take_told(pipe: int) -> dict[int, float]:
    """What writers have told since, or nothing where they do not tell for a while."""
    select([pipe], [], [], 0.01)
    data = _read(pipe, 16 * 4096)
    return dict(struct.iter_unpack("<qd", data))
