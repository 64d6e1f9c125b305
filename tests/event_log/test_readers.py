"""Whoever has read all of a log knows the same, whatever was cleaned, and when and in what portions they read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from event_log.base import START as BEGIN
from event_log.base import Batch, EventLog, KeepChange, Rules, RulesChange, SeriesEnd, Terms
from tests.event_log.logs import LOGS, START, Kind, batch, ids
from tests.event_log.reader import EARLIEST, LATEST, Event, Reader, Truth, changes_behind, rows_behind
from tests.event_log.view_reader import ViewReader

RULES = Rules(retention=60, keep_last=2)


@pytest.fixture
def log(kind: Kind) -> EventLog:
    """Its series keep their last two events."""
    log = kind.open()
    log.claim(RULES, "start")
    return log


def few(name: str, times: range, value: float = 1.0) -> Batch:
    return Batch([name], None, np.array(times, np.int64), np.full(len(times), value))


def positions(log: EventLog) -> list[int]:
    return sorted(position for position, _ in rows_behind(log))


def agree(*readers: Reader, limit: int = 1_000_000) -> dict[str, list[Event]]:
    """What all of these know once they have read everything, and those who begin now; by name."""
    everybody = [*readers, Reader(readers[0].log)]
    for reader in everybody:
        reader.follow(limit)
    found = [dict(reader.live().values()) for reader in everybody]
    assert all(one == found[0] for one in found)
    assert len({(reader.place.position, reader.horizon, reader.rules) for reader in everybody}) == 1
    return found[0]


class TestCleaning:
    def test_the_horizon_only_rises(self, log: EventLog) -> None:
        for horizon, stands in ((5, 5), (3, 5), (9, 9)):
            log.clean(horizon, lambda series: (EARLIEST, 0), log.position())
            assert log.read(BEGIN).horizon == stands

    def test_dead_events_go_and_the_last_ones_stay(self, log: EventLog) -> None:
        reader = Reader(log)
        for i in range(5):
            log.append(batch([("a", i, 1.0), ("b", 10 + i, 1.0)]))
        log.append_one("c", 100, 1.0)
        reader.clean_all(12)
        assert agree(reader) == {
            "a": [(3, 7, 1.0), (4, 9, 1.0)],
            "b": [(13, 8, 1.0), (14, 10, 1.0)],
            "c": [(100, 11, 1.0)],
        }
        assert {1, 3, 5}.isdisjoint(positions(log))
        assert {7, 8, 9, 10, 11} <= set(positions(log))

    def test_what_is_later_than_the_horizon_stays(self, log: EventLog) -> None:
        reader = Reader(log)
        log.append(few("a", range(10)))
        reader.clean_all(4)
        fresh = Reader(log)
        fresh.follow()
        [one] = fresh.series.values()
        assert [time for time, _, _ in one.events if time > 4] == [5, 6, 7, 8, 9]

    def test_newer_events_push_kept_ones_out(self, log: EventLog) -> None:
        reader = Reader(log)
        for i in range(6):
            log.append(few("a", range(10 * i, 10 * i + 2)))
            reader.clean_all(10 * i + 5)
        log.append_one("b", 200, 1.0)
        reader.clean_all(100)
        assert positions(log) == [11, 12, 13]
        assert agree(reader)["a"] == [(50, 11, 1.0), (51, 12, 1.0)]

    def test_positions_stay_what_they_were(self, log: EventLog) -> None:
        reader = Reader(log)
        log.append(batch([("a", 1, 1.0), ("b", 2, 2.0), ("a", 3, 3.0), ("a", 4, 4.0), ("b", 50, 5.0)]))
        log.append(batch([("a", 5, 6.0), ("b", 60, 7.0)]))
        before = dict(rows_behind(log))
        for horizon in (4, 10, 55, 70):
            reader.clean_all(horizon)
            assert all(before[position] == row for position, row in rows_behind(log))
        assert set(dict(rows_behind(log))) >= {4, 5, 6, 7}

    def test_the_highest_position_that_has_left_is_known_in_whatever_order_they_leave(self, log: EventLog) -> None:
        log.claim(Rules(retention=60, keep_last=1), "another start")
        reader = Reader(log)
        first = log.position() + 1
        for batches in ([("a", 7, 1.0), ("a", 3, 1.0)], [("a", 9, 1.0)]):  # of the first two the earlier one stays
            last = log.append(batch(batches))
            log.append_one("b", 100, 1.0)
            reader.clean_all(50)
            gone = set(range(first, last + 1)) - set(positions(log))
            assert log.series[0].forgotten >= max(gone, default=0)

    def test_order_of_arrival_decides_between_equal_times(self, log: EventLog) -> None:
        reader = Reader(log)
        for value in range(6):
            log.append(Batch(["a"], None, 7, np.array([float(value)])))
        log.append_one("b", 100, 1.0)
        reader.clean_all(50)
        assert agree(reader)["a"] == [(7, 5, 4.0), (7, 6, 5.0)]

    def test_an_old_event_that_comes_late_does_not_push_out_a_newer_one(self, log: EventLog) -> None:
        reader = Reader(log)
        log.append(few("a", range(5, 8)))
        reader.clean_all(6)
        log.append_one("a", 2, 9.0)
        reader.clean_all(50)
        assert agree(reader)["a"] == [(6, 2, 1.0), (7, 3, 1.0)]

    def test_a_series_knows_its_last_event_that_has_left(self, log: EventLog) -> None:
        reader = Reader(log)
        log.append(few("a", range(5)))
        log.append(few("quiet", range(2)))
        log.append_one("b", 200, 1.0)
        reader.clean_all(100)
        number = ids(log)
        assert log.series[number["a"]].forgotten == 3
        assert log.series[number["quiet"]].forgotten == 0
        assert log.series[number["b"]].forgotten == 0

    def test_one_that_has_lost_all_its_events_is_still_there(self, kind: Kind, log: EventLog) -> None:
        """Readers from the start learn of it by its last event that has left alone."""
        log.claim(Rules(60, 0), "nothing")
        reader = Reader(log)
        log.append(few("a", range(1, 4)))
        log.append_one("b", 200, 1.0)
        for horizon in (100, 101):  # a log may raise its horizon first and clean under it the next time
            reader.clean_all(horizon)
        assert agree(reader)["b"] == [(200, log.position(), 1.0)]
        for one in (log, kind.sibling(log)):
            one.read(BEGIN)
            number = ids(one)["a"]
            assert one.series[number].forgotten == log.position() - 1
        fresh = ViewReader(log)
        fresh.follow()
        assert fresh.names() == ["a", "b"]

    def test_a_view_that_missed_a_change_cleans_nothing(self, log: EventLog) -> None:
        reader = Reader(log)
        log.append(few("a", range(1, 11)))
        reader.follow()
        log.append(few("a", range(11, 13)), Terms(keep=100))
        assert not reader.clean(50)
        assert log.read(BEGIN).horizon == 0
        assert len(positions(log)) == 12
        reader.clean_all(50)
        assert len(agree(reader)["a"]) == 12

    @pytest.mark.parametrize("what", ["rules", "keep", "end"])
    def test_any_change_counts(self, log: EventLog, what: str) -> None:
        reader = Reader(log)
        log.append_one("a", 1, 1.0)
        reader.follow()
        if what == "rules":
            log.claim(Rules(60, 3), "another")
        elif what == "keep":
            log.append(few("a", range(1)), Terms(keep=1))
        else:
            log.end_series(ids(log)["a"])
        assert not reader.clean(50)
        assert log.read(BEGIN).horizon == 0
        reader.follow()
        reader.clean(50)
        assert log.read(BEGIN).horizon == 50

    def test_one_that_lags_behind_events_cleans_what_it_knows_to_be_dead(self, log: EventLog) -> None:
        reader = Reader(log)
        log.append(few("a", range(10)))
        reader.follow()
        log.append(few("a", range(10, 20)))
        while reader.clean(50):
            pass
        assert agree(reader)["a"] == [(18, 19, 1.0), (19, 20, 1.0)]

    def test_a_lower_keep_frees_quiet_series_too(self, log: EventLog) -> None:
        log.claim(Rules(60, 100), "more")
        reader = Reader(log)
        log.append(few("a", range(100)))
        log.append(few("b", range(100)))
        log.append_one("c", 1000, 1.0)
        reader.clean_all(500)
        assert len(positions(log)) == 201
        log.claim(Rules(60, 5), "less")
        reader.clean_all(500)
        found = agree(reader)
        assert [len(found[name]) for name in "abc"] == [5, 5, 1]
        assert len(positions(log)) <= 11 + 2 * 32  # whole pieces may stay

    def test_a_step_is_bounded(self, log: EventLog) -> None:
        reader = Reader(log)
        for i in range(60):
            log.append(few("a", range(1000 * i, 1000 * i + 1000)))
        reader.follow()
        steps = 1
        while reader.clean(10**6):
            steps += 1
        assert steps > 3
        assert agree(reader)["a"] == [(59_998, 59_999, 1.0), (59_999, 60_000, 1.0)]


class TestLagging:
    """Readers that stand before the mark, or begin there."""

    def fill(self, log: EventLog, start: int, count: int, names: str = "abc") -> None:
        for i in range(start, start + count):
            log.append(batch([(name, 10 * i + j, float(i)) for j, name in enumerate(names)]))

    @pytest.mark.parametrize("limit", [1, 2, 5, 1000])
    def test_one_left_behind_is_given_what_is_kept(self, log: EventLog, limit: int) -> None:
        cleaner, lagging = Reader(log), Reader(log)
        self.fill(log, 0, 10)
        lagging.follow()
        self.fill(log, 10, 10)
        cleaner.clean_all(150)
        self.fill(log, 20, 3)
        cleaner.clean_all(205)
        found = agree(cleaner, lagging, limit=limit)
        assert [event[1] for event in found["a"]] == [64, 67]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7])
    def test_cleaning_may_overtake_a_reader_again_and_again(self, log: EventLog, limit: int) -> None:
        cleaner, lagging = Reader(log), Reader(log)
        self.fill(log, 0, 40)
        for step in range(60):
            lagging.read(limit)
            if step % 3 == 0:
                self.fill(log, 40 + step, 1)
                cleaner.clean_all(10 * step)
        agree(cleaner, lagging, limit=limit)

    @pytest.mark.parametrize("limit", [1, 2, 3, 1000])
    def test_a_keep_change_stands_between_the_kept_events(self, log: EventLog, limit: int) -> None:
        """Keeping more from a position on brings nothing back that was dead there."""
        log.claim(Rules(60, 5), "five")
        cleaner, lagging = Reader(log), Reader(log)
        log.append(few("a", range(8)))
        log.append(few("b", range(8)))
        lagging.follow()
        log.append(few("a", range(8, 11)))
        cleaner.follow()
        cleaner.clean(20)
        log.append(few("a", range(11, 14)), Terms(keep=10))
        log.append(few("b", range(8, 10)))
        log.append_one("c", 100, 1.0)
        cleaner.clean_all(50)
        found = agree(cleaner, lagging, limit=limit)
        assert [event[0] for event in found["a"]] == [6, 7, 8, 9, 10, 11, 12, 13]
        assert [event[0] for event in found["b"]] == [5, 6, 7, 8, 9]

    @pytest.mark.parametrize("limit", [1, 2, 3, 1000])
    def test_rules_for_all_stand_between_the_kept_events(self, log: EventLog, limit: int) -> None:
        cleaner, lagging = Reader(log), Reader(log)
        for name in "ab":
            log.append(few(name, range(8)))
        log.append(few("own", range(8)), Terms(keep=4))
        lagging.follow()
        for name in ("a", "b", "own"):
            log.append(few(name, range(8, 11)))
        cleaner.follow()
        cleaner.clean(20)
        log.claim(Rules(60, 6), "six")
        for name in ("a", "b", "own"):
            log.append(few(name, range(11, 13)))
        log.append_one("c", 100, 1.0)
        cleaner.clean_all(50)
        found = agree(cleaner, lagging, limit=limit)
        assert [[event[0] for event in found[name]] for name in ("a", "b", "own")] == [
            [9, 10, 11, 12],
            [9, 10, 11, 12],
            [9, 10, 11, 12],
        ]

    @pytest.mark.parametrize("limit", [1, 3, 1000])
    def test_a_series_may_end_under_a_reader(self, log: EventLog, limit: int) -> None:
        cleaner = Reader(log)
        self.fill(log, 0, 10)
        cleaner.clean_all(80)
        starting, standing = Reader(log), Reader(log)
        starting.read(limit)
        standing.follow()
        log.end_series(ids(log)["a"])
        self.fill(log, 20, 2)
        log.end_series(ids(log)["b"])
        cleaner.clean_all(300)
        found = agree(cleaner, starting, standing, limit=limit)
        assert {name: [event[1] for event in events] for name, events in found.items()} == {
            "a": [32, 35],
            "c": [34, 37],
        }

    def test_a_reader_from_the_start_is_given_the_rules_of_its_past(self, log: EventLog) -> None:
        cleaner = Reader(log)
        self.fill(log, 0, 5)
        log.claim(Rules(60, 4), "four")
        self.fill(log, 5, 5)
        cleaner.clean_all(1000)
        log.claim(Rules(60, 6), "six")
        fresh = Reader(log)
        first = log.read(BEGIN)
        told = [change.rules for change in changes_behind(log) if isinstance(change, RulesChange)]
        assert [first.rules, *told][-1] == Rules(60, 6)
        fresh.follow()
        assert fresh.rules == Rules(60, 6)
        assert agree(cleaner)["a"] == fresh.live()[ids(log)["a"]][1]

    def test_kept_events_say_so(self, log: EventLog) -> None:
        cleaner = Reader(log)
        self.fill(log, 0, 5)
        cleaner.clean_all(1000)
        self.fill(log, 200, 1)
        place, flags = BEGIN, []
        more = True
        while more:
            events = log.read(place, 1)
            flags += [(position, events.kept) for position in events.positions.tolist()]
            place, more = events.place, events.more
        assert sorted(flags) == [(position, True) for position in range(10, 16)] + [(p, False) for p in range(16, 19)]

    @pytest.mark.no_cover
    @pytest.mark.parametrize("passed", [False, True])
    def test_what_died_at_a_change_stays_dead_however_much_follows(self, log: EventLog, passed: bool) -> None:
        """Also when the change itself is no longer told to anybody, and whether or not the dead were gone by then."""
        cleaner = Reader(log)
        if not passed:
            log.append(few("ahead", range(500, 501)))  # the mark cannot pass it yet
        log.append(few("a", range(6)))
        cleaner.follow()
        cleaner.clean(20)
        log.append(few("a", range(6, 7)), Terms(keep=10**6))
        for i in range(2500):
            log.append(few("b", range(30 + i, 31 + i)), Terms(keep=i % 2))
            if i % 250 == 0:
                cleaner.clean_all(25 + i)
        lagging = Reader(log)
        lagging.read(1)
        cleaner.clean_all(10**6)
        found = agree(cleaner, lagging)
        assert [event[0] for event in found["a"]] == [4, 5, 6]

    @pytest.mark.no_cover
    def test_one_who_missed_what_is_no_longer_told_begins_anew(self, log: EventLog) -> None:
        cleaner, lagging = Reader(log), Reader(log)
        log.append(few("a", range(6)))
        lagging.follow()
        for i in range(2500):
            log.append(few("b", range(30 + i, 31 + i)), Terms(keep=1 + i % 2))
            if i % 100 == 0:
                cleaner.clean_all(25 + i)
        cleaner.clean_all(10**6)
        agree(cleaner, lagging)  # whether it was told all of it, or to begin anew


names = st.sampled_from(["a", "b", "c", "température"])
ages = st.one_of(st.integers(-5, 130), st.sampled_from([0, 59, 60, 61]))
rows = st.lists(st.tuples(names, ages), min_size=1, max_size=8)
limits = st.sampled_from([1, 2, 3, 8, 1_000_000])
keeps = st.sampled_from([0, 1, 2, 4, 100])
RETENTION = 60


class Readers(RuleBasedStateMachine):
    """Siblings that write, change, end and clean in any order, and readers that follow each at its own pace."""

    make: Callable[[Path], Kind]
    reader: Callable[[EventLog], Any] = Reader

    @initialize(keep=keeps)
    def open(self, keep: int) -> None:
        self.folder = TemporaryDirectory()
        self.kind = type(self).make(Path(self.folder.name))
        self.log = self.kind.open()
        self.logs = [self.log, self.kind.sibling(self.log)]
        self.now = START
        self.truth = Truth()
        self.truth.rules = Rules(RETENTION, keep)
        self.starts = 0
        self.log.claim(self.truth.rules, "0")
        self.readers = [type(self).reader(log) for log in (*self.logs, *self.logs)]

    @rule(which=st.integers(0, 1), rows=rows, keep=st.none() | keeps)
    def write(self, which: int, rows: list[tuple[str, int]], keep: int | None) -> None:
        log = self.logs[which]
        self.note_before()
        own = [(name, self.now - age, float(i)) for i, (name, age) in enumerate(rows)]
        last = log.append(batch(own), Terms(keep=keep))
        known = ids(log)
        for name in dict.fromkeys(name for name, _, _ in own):
            one = self.truth.series.get(known[name])
            if one is not None and keep is not None and one.keep != keep:
                self.expected += 1
                self.truth.change(KeepChange(self.expected, self.truth.horizon, known[name], keep))
            elif one is None:
                self.truth.add(known[name], name, keep, [])
        for name, time, value in own:
            self.expected += 1
            self.truth.add(known[name], name, None, [(time, self.expected, value)])
        assert last == self.expected

    @rule(which=st.integers(0, 1), name=names, age=ages)
    def write_one(self, which: int, name: str, age: int) -> None:
        self.note_before()
        position = self.logs[which].append_one(name, self.now - age, 0.5)
        assert position == self.expected + 1
        self.truth.add(ids(self.logs[which])[name], name, None, [(self.now - age, position, 0.5)])

    @rule(which=st.integers(0, 1), keep=keeps)
    def claim(self, which: int, keep: int) -> None:
        self.note_before()
        self.starts += 1
        rules = Rules(RETENTION, keep)
        self.logs[which].claim(rules, str(self.starts))
        if rules != self.truth.rules:
            self.truth.change(RulesChange(self.expected + 1, self.truth.horizon, rules))
            self.expected += 1
        self.truth.rules = rules
        assert self.log.position() == self.expected

    @precondition(lambda self: bool(getattr(self, "truth", None) and self.truth.series))
    @rule(which=st.integers(0, 1), index=st.integers(0, 3))
    def end(self, which: int, index: int) -> None:
        self.note_before()
        number = sorted(self.truth.series)[index % len(self.truth.series)]
        position = self.logs[which].end_series(number)
        assert position == self.expected + 1
        self.truth.change(SeriesEnd(position, number))

    @rule(microseconds=st.one_of(st.integers(0, 30), st.integers(0, 200), st.just(-10)))
    def pass_time(self, microseconds: int) -> None:
        self.now += microseconds

    @rule(which=st.integers(0, 3), limit=limits)
    def read(self, which: int, limit: int) -> None:
        self.readers[which].read(limit)

    @rule(which=st.integers(0, 3))
    def begin_anew(self, which: int) -> None:
        self.readers[which] = type(self).reader(self.readers[which].log)

    @rule(which=st.integers(0, 3))
    def clean_a_step(self, which: int) -> None:
        """By whoever it is, wherever it stands."""
        self.readers[which].clean(self.now - RETENTION)

    @rule(which=st.integers(0, 3), limit=limits)
    def clean_all(self, which: int, limit: int) -> None:
        reader = self.readers[which]
        reader.follow(limit)
        while reader.clean(self.now - RETENTION):
            pass

    @rule(which=st.integers(0, 3), limit=limits)
    def read_while_another_cleans(self, which: int, limit: int) -> None:
        cleaner = self.readers[(which + 1) % 4]
        cleaner.follow()
        while self.readers[which].read(limit):
            cleaner.clean(self.now - RETENTION)

    @rule(limit=limits)
    def all_who_have_read_everything_know_the_same(self, limit: int) -> None:
        self.truth.horizon = self.log.read(BEGIN).horizon
        for reader in (*self.readers, *(type(self).reader(log) for log in self.logs)):
            reader.follow(limit)
            reader.check(self.truth)
            assert reader.live() == self.truth.live()
            assert reader.rules == self.truth.rules
            assert reader.place.position == self.log.position()
            assert reader.horizon == self.truth.horizon

    @invariant()
    def living_series_have_their_names(self) -> None:
        if hasattr(self, "log"):
            for number, one in self.truth.series.items():
                assert all(log.series[number].name == one.name for log in self.logs if number in log.series)

    def note_before(self) -> None:
        """Changes are judged by the horizon of their moment."""
        self.truth.horizon = self.log.read(BEGIN).horizon
        self.expected = self.log.position()

    def teardown(self) -> None:
        if hasattr(self, "kind"):
            self.kind.close()
            self.folder.cleanup()


@pytest.mark.no_cover
@pytest.mark.parametrize("reader", [Reader, ViewReader])
@pytest.mark.parametrize("name", LOGS)
@pytest.mark.soak(examples=(6, 200))
def test_all_readers_agree_with_the_truth(name: str, reader: Callable[[EventLog], Any], examples: int) -> None:
    machine = type("ReadersOfOneKind", (Readers,), {"make": staticmethod(LOGS[name]), "reader": staticmethod(reader)})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )


def test_what_no_reader_knows_is_kept(log: EventLog) -> None:
    """A view speaks for series that others have made since as it must: any event of them may be live."""
    reader = Reader(log)
    log.append_one("a", 1, 1.0)
    reader.follow()
    log.append_one("new", 2, 2.0)
    while reader.clean(50):
        pass
    assert agree(reader)["new"] == [(2, 2, 2.0)]
    log.clean(60, lambda series: (LATEST, 0), log.position())


def test_one_who_has_not_heard_of_a_series_cleans_none_of_it(kind: Kind, log: EventLog) -> None:
    late = ViewReader(kind.sibling(log))
    reader = Reader(log)
    log.append_one("a", 1, 1.0)
    reader.follow()
    reader.clean(50)
    while late.clean(50):
        pass
    assert agree(reader)["a"] == [(1, 1, 1.0)]
