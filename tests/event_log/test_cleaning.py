"""What cleaning drops, what it leaves, and that its pace keeps up with whatever is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from event_log.base import Batch
from event_log.cleaning import EVENTS_A_STEP, RECORDS_A_STEP
from event_log.lmdb_log import LmdbLog
from event_log.records import pack_id
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from tests.event_log.logs import START, batch, open_lmdb, rows_behind
from times import MINUTE, SECOND

ALL = -(2**63)
NONE = 2**63 - 1


def clean(log: LmdbLog, horizon: int, *since: int) -> int:
    """Clean until there is nothing left to clean; in how many steps. The series keep what is as late as
    `since`, of which the last holds for all that follow."""
    steps = 1
    while log.clean(horizon, lambda series: (since[min(series, len(since) - 1)], 0)):
        steps += 1
    return steps


def kept(log: LmdbLog) -> int:
    """How many notes of kept records there are."""
    store = log._process.get()
    with store.read() as txn:
        return int(txn.stat(store.kept)["entries"])


def times(log: LmdbLog) -> list[int]:
    return [time for _, (_, time, _) in rows_behind(log)]


def test_expired_events_go_but_for_the_newest_record(log: LmdbLog) -> None:
    for time in (1, 2, 3):
        log.append_one("a", time, 0.0)
    clean(log, 2, NONE)
    assert times(log) == [3]
    clean(log, 3, NONE)
    assert (times(log), log.position()) == ([3], 3)
    assert log.append_one("a", 9, 0.0) == 4
    clean(log, 3, NONE)
    assert times(log) == [9]


def test_a_record_waits_for_its_latest_event(log: LmdbLog) -> None:
    log.append(batch([("a", 1, 0.0), ("a", 5, 0.0), ("a", 2, 0.0)]))
    log.append_one("a", 3, 0.0)
    log.append_one("a", 9, 0.0)
    clean(log, 4, NONE)
    assert times(log) == [1, 5, 2, 3, 9]
    clean(log, 5, NONE)
    assert times(log) == [9]


def test_what_a_series_keeps_stays_until_it_keeps_later_ones(log: LmdbLog) -> None:
    for time in range(1, 11):
        log.append_one("a" if time % 2 else "b", time, 0.0)
    clean(log, 8, 5, NONE)
    assert times(log) == [5, 7, 9, 10]
    log.append_one("a", 11, 0.0)
    clean(log, 10, 9, NONE)
    assert times(log) == [9, 11]
    assert rows_behind(log)[0] == (9, ("a", 9, 0.0))


def test_a_record_is_shortened_when_half_of_it_is_dead(log: LmdbLog) -> None:
    rows = [("a", 1, 1.0), ("b", 2, 2.0), ("a", 3, 3.0), ("b", 4, 4.0)]
    log.append(batch(rows))
    log.append_one("c", 9, 0.0)
    clean(log, 5, 3, ALL)
    assert [row for _, row in rows_behind(log)][:-1] == rows
    log.append_one("a", 7, 0.0)
    log.append_one("a", 10, 0.0)
    clean(log, 9, 7, ALL)
    assert rows_behind(log)[:2] == [(3, ("b", 2, 2.0)), (4, ("b", 4, 4.0))]


def test_of_events_of_one_time_the_last_are_kept(log: LmdbLog) -> None:
    log.append(Batch(["a"], None, 1, np.arange(10.0)))
    log.append(Batch(["a"], None, 1, np.arange(10.0)))
    log.append_one("b", 9, 0.0)
    while log.clean(5, lambda series: (1, 17)):
        pass
    assert [value for _, (_, _, value) in rows_behind(log)] == [6.0, 7.0, 8.0, 9.0, 0.0]


def test_a_broken_off_step_changes_nothing(log: LmdbLog) -> None:
    for time in range(1, 101):
        log.append_one(f"s{time % 3}", time, 0.0)
    before = rows_behind(log)

    def fail(series: int) -> tuple[int, int]:
        if series == 2:
            raise ZeroDivisionError
        return NONE, 0

    with pytest.raises(ZeroDivisionError):
        log.clean(90, fail)
    assert rows_behind(log) == before
    assert log.read(0).horizon == 0
    clean(log, 90, NONE)
    assert times(log) == list(range(91, 101))


def test_a_step_is_short(log: LmdbLog) -> None:
    for time in range(3 * RECORDS_A_STEP):
        log.append_one("a", time, 0.0)
    log.append_one("a", 10**9, 0.0)
    assert clean(log, 10**6, NONE) == 4
    for time in range(5):
        log.append(Batch(["a"], None, time, np.zeros(EVENTS_A_STEP)))
    log.append_one("a", 10**9, 0.0)
    assert clean(log, 10**9, NONE) == 6


def test_one_step_asks_about_a_series_once(log: LmdbLog) -> None:
    for time in range(20):
        log.append(batch([("a", time, 0.0), ("b", time, 0.0)]))
    log.append_one("a", 10**9, 0.0)
    asked: list[int] = []

    def since(series: int) -> tuple[int, int]:
        asked.append(series)
        return 10, 0

    log.clean(100, since)
    assert sorted(asked) == [0, 1]


def test_notes_of_records_that_another_series_lost_go_too(log: LmdbLog) -> None:
    for time in (1, 2, 3):
        log.append(batch([("a", time, 0.0), ("b", time, 0.0)]))
    log.append_one("c", 9, 0.0)
    clean(log, 5, ALL)
    assert kept(log) == 6
    for time in (6, 7, 8):
        log.append_one("a", time, 0.0)
        log.append_one("b", time, 0.0)
    log.append_one("c", 20, 0.0)
    clean(log, 10, 6)
    assert times(log) == [9, 6, 6, 7, 7, 8, 8, 20]
    assert kept(log) == 7


# Uptime: the clock runs for long, the log stays as large as what is live in it.

RETENTION = MINUTE
KEEP_LAST = 100


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[EventService, FakeClock, LmdbLog]]:
    log = open_lmdb(tmp_path)
    clock = FakeClock(START)
    settings = Settings(retention=RETENTION, window=RETENTION, keep_last=KEEP_LAST)
    yield EventService(log, settings, clock), clock, log
    log.close()


def burst(service: EventService, round_: int) -> None:
    """Now and then very many events of one series."""
    for i in range(300 if round_ % 70 == 0 else 0):
        service.add("a", None, float(i))


def drip(service: EventService, round_: int) -> None:
    """A few events a second, all of which are kept long after they have expired."""
    for i in range(10):
        service.add(f"s{i % 2}", None, float(i))


def snapshots(service: EventService, round_: int) -> None:
    """Every second one batch over many series, of which some fall silent for long."""
    names = [f"s{i}" for i in range(40) if i < 20 or round_ % 150 < 30]
    which = np.arange(len(names), dtype=np.uint32)
    service.add_many(names, which, None, np.arange(len(names), dtype=np.float64))


def late(service: EventService, round_: int) -> None:
    """Events that arrive in any order within the retention."""
    now = service.clock()
    times = now - (np.arange(20) * 7919 + round_ * 104729) % RETENTION
    service.add_many(["a", "b"], (np.arange(20) % 2).astype(np.uint32), times, np.zeros(20))


@pytest.mark.parametrize("write", [burst, drip, snapshots, late])
def test_the_log_is_as_large_as_what_is_live(
    running: tuple[EventService, FakeClock, LmdbLog], write: Callable[[EventService, int], None]
) -> None:
    service, clock, log = running
    sizes = []
    for round_ in range(500):
        write(service, round_)
        clock.advance(SECOND)
        while service.tick():
            pass
        if round_ % 50 == 49:
            live = sum(info.count for info in service.series(limit=1000)[0])
            stored = len(log.read(0))
            assert live <= stored <= 2.2 * live + 20
            assert kept(log) <= 2.2 * live + 20
            sizes.append(log._process.get()._env.info()["last_pgno"])
    assert sizes[-1] <= 1.25 * sizes[3] + 8
    fresh = EventService(log, service.settings, clock)
    assert fresh.series(limit=1000) == service.series(limit=1000)


def test_a_kept_record_is_found_under_its_series(log: LmdbLog) -> None:
    log.append_one("a", 1, 0.0)
    log.append_one("b", 2, 0.0)
    clean(log, 1, ALL)
    store = log._process.get()
    with store.read() as txn:
        assert txn.get(pack_id(0), db=store.kept) is not None
        assert txn.get(pack_id(1), db=store.kept) is None
