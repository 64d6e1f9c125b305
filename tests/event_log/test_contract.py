"""What every log promises of events, positions and series, asked of each of them."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

from event_log.base import START as BEGIN
from event_log.base import EventLog, Place, Terms
from event_log.batch import Batch
from event_log.errors import TooManySeries
from event_log.rules import Rules
from tests.event_log.logs import START, Kind, batch, ids
from tests.event_log.reader import Reader, rows_behind

ROWS = [("a", START + 2, 1.5), ("b", START + 1, -0.0), ("a", START, 5e-324)]


def names(log: EventLog) -> list[str]:
    return [series.name for _, series in sorted(log.series.items())]


def places(log: EventLog) -> list[Place]:
    """All places where reading one record at a time leaves a reader."""
    found = [BEGIN]
    while (events := log.read(found[-1], 1)).place.position > found[-1].position:
        found.append(events.place)
    return found


def test_an_empty_log_stands_at_zero(log: EventLog) -> None:
    events = log.read(BEGIN)
    assert (log.position(), events.place.position, events.horizon, len(events)) == (0, 0, 0, 0)
    assert (list(events.changes), events.more, events.kept, list(log.jumps)) == ([], False, False, [])
    assert [column.dtype for column in (events.positions, events.ids, events.times, events.values)] == [
        np.int64,
        np.uint32,
        np.int64,
        np.float64,
    ]
    assert not log.series


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
    assert log.position() == log.read(BEGIN).place.position == 6
    assert np.signbit(log.read(BEGIN).values[1])


def test_a_read_says_where_it_leaves_the_reader(log: EventLog) -> None:
    log.append(batch(ROWS))
    place = log.read(BEGIN).place
    assert log.read(place).place.position == place.position == 3
    log.append_one("a", START, 1.0)
    events = log.read(place)
    assert (events.positions.tolist(), events.place.position, events.more) == ([4], 4, False)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_limited_reads_follow_on_from_each_other(log: EventLog, limit: int) -> None:
    for _ in range(3):
        log.append(batch(ROWS))
        log.append_one("a", START, 1.0)
    assert [position for position, _ in rows_behind(log, limit=limit)] == list(range(1, 13))


@pytest.mark.parametrize(("limit", "taken"), [(1, 3), (3, 3), (4, 4), (5, 7), (8, 8), (12, 12), (13, 12)])
def test_a_limited_read_ends_with_a_whole_record(log: EventLog, limit: int, taken: int) -> None:
    for _ in range(3):
        log.append(batch(ROWS))
        log.append_one("a", START, 1.0)
    events = log.read(BEGIN, limit)
    assert len(events) == events.place.position == taken
    assert events.more is (taken < 12)


def test_reading_goes_on_from_any_place(log: EventLog) -> None:
    log.append(batch(ROWS))
    log.append(Batch(["c"], None, START, np.arange(3.0)))
    log.append_one("a", START, 1.0)
    log.append_one("a", START, 2.0)
    everything = rows_behind(log)
    found = places(log)
    assert [place.position for place in found] == [0, 3, 6, 7, 8]
    for place in found:
        assert rows_behind(log, place) == everything[place.position :]


def test_series_keep_the_ids_of_their_first_use(log: EventLog) -> None:
    log.append(batch([("b", START, 1.0), ("a", START, 1.0)]))
    log.append_one("c", START, 1.0)
    log.append(batch([("c", START, 1.0), ("d", START, 1.0), ("b", START, 1.0)]))
    found = log.read(BEGIN).ids.tolist()
    assert found[2] == found[3]
    assert found[0] == found[5]
    assert found[0] < found[1] < found[2] < found[4]
    assert names(log) == ["b", "a", "c", "d"]


def test_a_write_makes_its_series_known_at_once(log: EventLog) -> None:
    log.append(batch(ROWS))
    log.append_one("c", START, 1.0)
    assert names(log) == ["a", "b", "c"]


def test_too_many_series_store_nothing(kind: Kind) -> None:
    log = kind.open(max_series=2)
    log.append_one("a", START, 1.0)
    with pytest.raises(TooManySeries, match="2 series"):
        log.append(batch([("a", START, 1.0), ("b", START, 1.0), ("c", START, 1.0)]))
    assert (log.position(), len(log.read(BEGIN)), names(log)) == (1, 1, ["a"])
    assert log.append_one("b", START, 1.0) == 2
    with pytest.raises(TooManySeries):
        log.append_one("c", START, 1.0)
    assert log.append(batch([("b", START, 1.0), ("a", START, 1.0)])) == 4


def test_a_series_that_has_ended_gives_its_room_free(kind: Kind) -> None:
    log = kind.open(max_series=2)
    log.append(batch([("a", START, 1.0), ("b", START, 1.0)]))
    log.end_series(ids(log)["a"])
    log.append_one("c", START, 1.0)
    with pytest.raises(TooManySeries):
        log.append_one("a", START, 1.0)
    log.end_series(ids(log)["c"])
    log.append_one("a", START, 1.0)
    assert sorted(ids(log)) == ["a", "b"]


def test_a_series_remembers_the_event_it_began_with(log: EventLog) -> None:
    log.append(batch(ROWS))
    log.append_one("c", START + 7, 3.0)
    log.append(Batch(["a", "c"], np.array([0, 1], np.uint32), START + 8, np.array([9.0, 9.0])), Terms(keep=5))
    log.read(BEGIN)
    assert [(series.created, series.initial) for _, series in sorted(log.series.items())] == [
        (START + 2, 1.5),
        (START + 1, 0.0),
        (START + 7, 3.0),
    ]


def test_siblings_see_each_others_writes(kind: Kind) -> None:
    log = kind.open()
    other = kind.sibling(log)
    readers = Reader(log), Reader(other)
    for i in range(20):
        writer = other if i % 3 else log
        writer.append_one(f"s{i % 5}", START + i, float(i))
        assert log.position() == other.position() == i + 1
        for reader in readers:
            reader.follow()
            assert sum(len(one.events) for one in reader.series.values()) == i + 1
    assert readers[0].live() == readers[1].live()
    assert dict(log.series) == dict(other.series)


def test_a_sibling_counts_the_series_of_the_other(kind: Kind) -> None:
    log = kind.open(max_series=2)
    other = kind.sibling(log)
    log.append_one("a", START, 1.0)
    other.append_one("b", START, 1.0)
    for one in (log, other):
        with pytest.raises(TooManySeries):
            one.append_one("c", START, 1.0)
    assert log.append(batch([("a", START, 1.0), ("b", START, 1.0)])) == 4


def test_threads_share_a_log(log: EventLog) -> None:
    log.claim(Rules(10, 5), "start")

    def write(thread: int) -> None:
        reader = Reader(log)
        for i in range(50):
            log.append_one(f"{thread}-{i % 7}", i, float(thread))
            log.append(batch([(f"{i % 7}+{thread}", i, float(thread)), ("all", i, float(thread))]))
            reader.follow(100)

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


def test_a_sound_log_has_nothing_to_tell(log: EventLog) -> None:
    log.check()
    log.append_one("a", START, 1.0)
    log.sync()
    log.sync()
    log.check()
    assert log.notice() is None
    assert list(log.jumps) == []


def test_usage_grows_with_what_is_stored(log: EventLog) -> None:
    before = log.usage()
    log.append(Batch(["a"], None, START, np.arange(10_000.0)))
    log.sync()
    after = log.usage()
    assert before.bytes_used < after.bytes_used <= after.bytes_allowed == before.bytes_allowed


def test_closing_twice_does_no_harm(log: EventLog) -> None:
    log.append_one("a", START, 1.0)
    log.close()
    log.close()
