"""What every log promises, asked of each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Protocol

import numpy as np
import pytest

from event_log.base import Batch, EventLog, TooManySeries, TooManySymbols
from event_log.memory import MemoryLog
from tests.event_log.logs import START, batch, open_lmdb, rows_behind


class Make(Protocol):
    """Makes an empty log with these limits."""

    def __call__(self, *, max_series: int = 10_000, max_symbols: int = 10) -> EventLog: ...


@pytest.fixture(params=["memory", "lmdb"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[EventLog] = []

    def make(*, max_series: int = 10_000, max_symbols: int = 10) -> EventLog:
        if request.param == "memory":
            made.append(MemoryLog(max_series, max_symbols))
        else:
            made.append(open_lmdb(tmp_path / str(len(made)), max_series=max_series, max_symbols=max_symbols))
        return made[-1]

    yield make
    for log in made:
        log.close()


@pytest.fixture
def log(make: Make) -> EventLog:
    return make()


ROWS = [("a", START + 2, 1.5), ("b", START + 1, -0.0), ("a", START, 5e-324)]


def names(log: EventLog) -> list[str]:
    return [series.name for series in log.series]


def test_an_empty_log_stands_at_zero(log: EventLog) -> None:
    events = log.read(0)
    assert (log.position(), events.position, events.horizon, len(events)) == (0, 0, 0, 0)
    assert [column.dtype for column in (events.positions, events.ids, events.times, events.values)] == [
        np.int64,
        np.uint32,
        np.int64,
        np.float64,
    ]
    assert not log.series
    assert not log.symbols


def test_events_are_read_as_they_were_appended(log: EventLog) -> None:
    assert log.append(batch(ROWS)) == 3
    assert log.append_one("température/é", START + 9, 1e308) == 4
    assert log.append(Batch(["b"], None, START + 5, np.array([7.0, 8.0]))) == 6
    assert rows_behind(log) == [
        *enumerate(ROWS, 1),
        (4, ("température/é", START + 9, 1e308)),
        (5, ("b", START + 5, 7.0)),
        (6, ("b", START + 5, 8.0)),
    ]
    assert log.position() == log.read(0).position == 6
    assert np.signbit(log.read(0).values[1])


def test_a_read_says_where_it_leaves_the_reader(log: EventLog) -> None:
    log.append(batch(ROWS))
    assert log.read(3).position == 3
    log.append_one("a", START, 1.0)
    events = log.read(3)
    assert (events.positions.tolist(), events.position) == ([4], 4)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_limited_reads_follow_on_from_each_other(log: EventLog, limit: int) -> None:
    for _ in range(3):
        log.append(batch(ROWS))
        log.append_one("a", START, 1.0)
    assert [position for position, _ in rows_behind(log, 0, limit)] == list(range(1, 13))


@pytest.mark.parametrize(("limit", "taken"), [(1, 3), (3, 3), (4, 4), (5, 7), (8, 8)])
def test_a_limited_read_ends_with_a_whole_record(log: EventLog, limit: int, taken: int) -> None:
    for _ in range(3):
        log.append(batch(ROWS))
        log.append_one("a", START, 1.0)
    assert len(log.read(0, limit)) == log.read(0, limit).position == taken


@pytest.mark.parametrize("after", range(9))
def test_reading_goes_on_in_the_middle_of_a_record(log: EventLog, after: int) -> None:
    log.append(batch(ROWS))
    log.append(Batch(["c"], None, START, np.arange(3.0)))
    log.append_one("a", START, 1.0)
    log.append_one("a", START, 2.0)
    assert rows_behind(log, after) == rows_behind(log)[after:]


def test_series_have_the_ids_of_their_first_use(log: EventLog) -> None:
    log.append(batch([("b", START, 1.0), ("a", START, 1.0)]))
    log.append_one("c", START, 1.0)
    log.append(batch([("c", START, 1.0), ("d", START, 1.0), ("b", START, 1.0)]))
    assert log.read(0).ids.tolist() == [0, 1, 2, 2, 3, 0]
    assert names(log) == ["b", "a", "c", "d"]


def test_too_many_series_store_nothing(make: Make) -> None:
    log = make(max_series=2)
    log.append_one("a", START, 1.0)
    with pytest.raises(TooManySeries, match="2 series"):
        log.append(batch([("a", START, 1.0), ("b", START, 1.0), ("c", START, 1.0)]))
    assert (log.position(), len(log.read(0)), names(log)) == (1, 1, ["a"])
    assert log.append_one("b", START, 1.0) == 2
    with pytest.raises(TooManySeries):
        log.append_one("c", START, 1.0)
    assert log.append(batch([("b", START, 1.0), ("a", START, 1.0)])) == 4


def test_a_symbol_knows_where_it_was_made(log: EventLog) -> None:
    log.append_one("a", START, 1.0)
    log.append_one("b", START, 1.0)
    log.clean(START - 5, lambda series: (0, 0))
    log.append(batch([("a", START, 1.0)]), symbol=True)
    log.append(batch([("a", START, 1.0)]), symbol=True)
    log.append(batch([("new", START, 1.0)]), symbol=True)
    log.read(0)
    assert {entry.name: (entry.symbol_since, entry.symbol_horizon) for entry in log.series} == {
        "a": (2, START - 5),
        "b": (None, 0),
        "new": (4, START - 5),
    }
    assert log.symbols == {0: log.series[0], 2: log.series[2]}


def test_too_many_symbols_store_nothing(make: Make) -> None:
    log = make(max_symbols=1)
    log.append(batch([("a", START, 1.0)]), symbol=True)
    log.append_one("b", START, 1.0)
    for name in ("b", "c"):
        with pytest.raises(TooManySymbols, match="1 symbols"):
            log.append(batch([(name, START, 1.0)]), symbol=True)
    log.read(0)
    assert (log.position(), names(log), list(log.symbols)) == (2, ["a", "b"], [0])
    assert log.append(batch([("a", START, 1.0)]), symbol=True) == 3


def test_the_horizon_only_rises(log: EventLog) -> None:
    for horizon, stands in ((5, 5), (3, 5), (9, 9)):
        log.clean(horizon, lambda series: (0, 0))
        assert log.read(0).horizon == stands


def test_threads_share_a_log(log: EventLog) -> None:
    def write(thread: int) -> None:
        for i in range(50):
            log.append_one(f"{thread}-{i % 7}", i, float(thread))
            log.append(batch([(f"{i % 7}+{thread}", i, float(thread)), ("all", i, float(thread))]))
            log.read(max(0, log.position() - 5))

    threads = [Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows_behind(log)
    assert [position for position, _ in found] == list(range(1, 601))
    assert len(log.series) == len(set(names(log))) == 57
    for number in range(4):
        own = [time for _, (_, time, value) in found if value == number]
        assert own == sorted(own)


def test_check_sync_and_close_may_be_called_at_any_time(log: EventLog) -> None:
    log.check()
    log.append_one("a", START, 1.0)
    log.sync()
    log.sync()
    log.check()
    log.close()
    log.close()


def test_a_series_remembers_the_event_it_began_with(log: EventLog) -> None:
    log.append(batch(ROWS))
    log.append_one("c", START + 7, 3.0)
    log.append(Batch(["a", "c"], np.array([0, 1], np.uint32), START + 8, np.array([9.0, 9.0])), symbol=True)
    log.read(0)
    assert [(series.created, series.initial) for series in log.series] == [
        (START + 2, 1.5),
        (START + 1, 0.0),
        (START + 7, 3.0),
    ]
