"""What every log promises of changes: rules for all, what one series keeps, the end of a series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from event_log.base import START as BEGIN
from event_log.base import EventLog, Place, Terms
from event_log.batch import Batch
from event_log.errors import TooManyKeepers
from event_log.rules import Rules
from event_log.steps import KeepChange, RulesChange, SeriesEnd
from tests.event_log.logs import START, Kind, batch, ids
from tests.event_log.reader import Reader, changes_behind

RULES = Rules(retention=60, keep_last=3)
OTHERS = Rules(retention=90, keep_last=5)


def raise_horizon(log: EventLog, horizon: int) -> None:
    reader = Reader(log)
    reader.follow()
    reader.clean(horizon)
    assert log.read(BEGIN).horizon == horizon


def few(name: str, *values: float) -> Batch:
    return Batch([name], None, START, np.array(values))


class TestClaim:
    def test_a_new_log_begins_with_the_rules_of_the_first(self, log: EventLog) -> None:
        log.claim(RULES, "one")
        assert log.position() == 0
        assert log.read(BEGIN).rules == RULES
        log.append_one("a", START, 1.0)
        events = log.read(BEGIN)
        assert (events.rules, list(events.changes), events.place.position) == (RULES, [], 1)
        assert log.read(events.place).rules is None

    def test_other_rules_take_a_position(self, log: EventLog) -> None:
        log.claim(RULES, "one")
        log.append_one("a", START, 1.0)
        raise_horizon(log, START - 5)
        place = log.read(BEGIN).place
        log.claim(OTHERS, "two")
        assert log.position() == 2
        log.append_one("a", START, 2.0)
        for where in (BEGIN, place):
            assert changes_behind(log, where) == [RulesChange(2, START - 5, OTHERS)]
        events = log.read(place)
        assert (events.positions.tolist(), events.place.position) == ([3], 3)

    def test_they_do_so_before_the_first_event_too(self, log: EventLog) -> None:
        log.claim(RULES, "one")
        place = log.read(BEGIN).place
        log.claim(OTHERS, "two")
        assert log.position() == 1
        reader = Reader(log)
        reader.place, reader.rules = place, RULES
        for one in (reader, Reader(log)):
            one.follow()
            assert (one.rules, one.place.position) == (OTHERS, 1)

    def test_the_same_rules_change_nothing(self, log: EventLog) -> None:
        log.claim(RULES, "one")
        log.append_one("a", START, 1.0)
        log.claim(RULES, "two")
        assert log.position() == 1

    def test_each_start_claims_once(self, kind: Kind) -> None:
        log = kind.open()
        other = kind.sibling(log)
        log.claim(RULES, "one")
        log.append_one("a", START, 1.0)
        other.claim(OTHERS, "two")
        for late in (log, other):
            late.claim(RULES, "one")  # a worker that the older start has made anew
            late.claim(OTHERS, "two")
        assert changes_behind(log) == [RulesChange(2, 0, OTHERS)]
        log.claim(RULES, "three")
        assert log.position() == 3

    def test_a_claim_in_vain_counts_as_one(self, log: EventLog) -> None:
        log.claim(RULES, "one")
        log.append_one("a", START, 1.0)
        log.claim(RULES, "two")
        log.claim(OTHERS, "three")
        log.claim(RULES, "two")
        assert changes_behind(log) == [RulesChange(2, 0, OTHERS)]

    def test_a_change_alone_is_something_to_read(self, log: EventLog) -> None:
        log.claim(RULES, "one")
        log.append_one("a", START, 1.0)
        place = log.read(BEGIN).place
        log.claim(OTHERS, "two")
        events = log.read(place, 1)
        assert (len(events), len(events.changes), events.place.position, events.more) == (0, 1, 2, False)


class TestKeep:
    def test_a_new_series_takes_no_position_for_it(self, log: EventLog) -> None:
        assert log.append(few("a", 1.0, 2.0), Terms(keep=7)) == 2
        assert log.series[ids(log)["a"]].keep == 7
        assert changes_behind(log) == []

    def test_one_that_is_there_takes_one_before_the_events(self, log: EventLog) -> None:
        log.append_one("a", START, 1.0)
        raise_horizon(log, START - 9)
        assert log.append(few("a", 2.0, 3.0), Terms(keep=7)) == 4
        number = ids(log)["a"]
        assert changes_behind(log) == [KeepChange(2, START - 9, number, 7)]
        assert log.read(BEGIN).positions.tolist() == [1, 3, 4]
        assert log.series[number].keep is None

    def test_each_series_of_a_batch_takes_its_own(self, log: EventLog) -> None:
        log.append(batch([("a", START, 1.0), ("b", START, 1.0)]))
        rows = [("a", START, 2.0), ("new", START, 2.0), ("b", START, 2.0)]
        assert log.append(batch(rows), Terms(keep=7)) == 7
        number = ids(log)
        changes = changes_behind(log)
        assert [change.position for change in changes] == [3, 4]
        assert {change.series for change in changes if isinstance(change, KeepChange)} == {number["a"], number["b"]}
        assert log.series[number["new"]].keep == 7
        assert log.read(BEGIN).positions.tolist() == [1, 2, 5, 6, 7]

    def test_the_same_again_changes_nothing(self, log: EventLog) -> None:
        log.append(few("a", 1.0), Terms(keep=7))
        assert log.append(few("a", 2.0), Terms(keep=7)) == 2
        assert log.append(few("a", 2.0)) == 3
        assert log.append(few("a", 2.0), Terms(keep=2)) == 5
        assert log.append(few("a", 2.0), Terms(keep=2)) == 6
        assert log.append(few("a", 2.0), Terms(keep=7)) == 8
        changes = changes_behind(log)
        assert [(change.position, change.keep) for change in changes if isinstance(change, KeepChange)] == [
            (4, 2),
            (7, 7),
        ]

    def test_a_sibling_knows_what_a_series_keeps(self, kind: Kind) -> None:
        log = kind.open()
        other = kind.sibling(log)
        log.append_one("a", START, 1.0)
        other.append(few("a", 1.0), Terms(keep=7))
        assert log.append(few("a", 1.0), Terms(keep=7)) == 4

    def test_too_many_keepers_store_nothing(self, log: EventLog) -> None:
        log.append(few("a", 1.0), Terms(keep=7, most_keepers=1))
        log.append_one("b", START, 1.0)
        for name in ("b", "c"):
            with pytest.raises(TooManyKeepers, match="1 series"):
                log.append(few(name, 1.0), Terms(keep=7, most_keepers=1))
        assert (log.position(), sorted(ids(log))) == (2, ["a", "b"])
        assert log.append(few("a", 1.0), Terms(keep=7, most_keepers=1)) == 3
        assert log.append(few("a", 1.0), Terms(keep=9, most_keepers=1)) == 5
        assert log.append(few("b", 1.0), Terms(keep=7)) == 7  # who sets no limit meets none
        log.end_series(ids(log)["a"])
        log.end_series(ids(log)["b"])
        assert log.append(few("c", 1.0), Terms(keep=7, most_keepers=1)) == 10

    def test_a_batch_counts_all_its_series(self, log: EventLog) -> None:
        rows = [("a", START, 1.0), ("b", START, 1.0), ("c", START, 1.0)]
        with pytest.raises(TooManyKeepers):
            log.append(batch(rows), Terms(keep=7, most_keepers=2))
        assert (log.position(), ids(log)) == (0, {})
        assert log.append(batch(rows), Terms(keep=7, most_keepers=3)) == 3


class TestEnd:
    def test_a_series_ends_at_a_position(self, log: EventLog) -> None:
        log.append(batch([("a", START, 1.0), ("b", START, 1.0)]))
        number = ids(log)["a"]
        assert log.end_series(number) == 3 == log.position()
        assert changes_behind(log) == [SeriesEnd(3, number)]
        assert log.series[number].ended == 3
        assert list(ids(log)) == ["b"]

    def test_it_ends_once(self, kind: Kind) -> None:
        log = kind.open()
        other = kind.sibling(log)
        log.append_one("a", START, 1.0)
        other.read(BEGIN)
        number = ids(log)["a"]
        assert log.end_series(number) == 2
        assert log.end_series(number) is None
        assert other.end_series(number) is None
        assert log.end_series(number + 1000) is None
        assert log.position() == 2

    def test_a_name_that_begins_anew_is_another_series(self, kind: Kind) -> None:
        log = kind.open()
        other = kind.sibling(log)
        log.append(few("a", 1.0), Terms(keep=7))
        other.read(BEGIN)
        first = ids(log)["a"]
        log.end_series(first)
        assert other.append_one("a", START + 9, 2.0) == 3
        second = ids(other)["a"]
        assert second > first
        entry = other.series[second]
        assert (entry.created, entry.initial, entry.keep, entry.ended) == (START + 9, 2.0, None, 0)
        reader = Reader(log)
        reader.follow()
        assert list(reader.series) == [second]

    def test_no_id_comes_back(self, log: EventLog) -> None:
        seen: set[int] = set()
        for i in range(5):
            log.append_one("a", START + i, 1.0)
            number = ids(log)["a"]
            assert number not in seen
            seen.add(number)
            log.end_series(number)
            Reader(log).clean_all(START + 100)

    def test_a_quiet_one_ends_only_while_it_is_quiet(self, log: EventLog) -> None:
        log.append_one("a", START, 1.0)
        log.append_one("b", START, 1.0)
        log.append_one("a", START, 1.0)
        number = ids(log)
        assert log.end_series(number["a"], quiet_since=2) is None
        assert log.position() == 3
        assert log.series[number["a"]].ended == 0
        assert log.end_series(number["b"], quiet_since=2) == 4
        assert log.end_series(number["a"], quiet_since=3) == 5

    def test_its_events_leave_the_log(self, log: EventLog) -> None:
        log.claim(RULES, "one")
        log.append(batch([("a", START, 1.0), ("b", START, 1.0), ("a", START + 1, 1.0)]))
        log.end_series(ids(log)["a"])
        Reader(log).clean_all(START + 10)
        log.append_one("c", START + 20, 1.0)
        Reader(log).clean_all(START + 11)
        reader = Reader(log)
        reader.follow()
        assert dict(reader.live().values()) == {
            "b": [(START, 2, 1.0)],
            "c": [(START + 20, 5, 1.0)],
        }

    def test_it_stays_known_while_its_end_may_be_read(self, log: EventLog) -> None:
        log.claim(RULES, "one")
        lagging = Reader(log)
        log.append_one("a", START, 1.0)
        lagging.follow()
        number = ids(log)["a"]
        log.end_series(number)
        fresh = Reader(log)
        fresh.read(1)
        assert log.series[number].ended == 2
        Reader(log).clean_all(START + 10)
        for reader in (lagging, fresh):
            reader.follow()
            assert reader.live() == {}
        log.append_one("a", START + 20, 1.0)
        for reader in (lagging, fresh):
            reader.follow()
            assert list(reader.live()) == [ids(log)["a"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_changes_come_in_order_between_the_events(log: EventLog, limit: int) -> None:
    log.claim(RULES, "one")
    log.append(batch([("a", START, 1.0), ("b", START, 1.0)]))  # 1, 2
    log.append(few("a", 2.0), Terms(keep=9))  # 3, 4
    log.claim(OTHERS, "two")  # 5
    log.append_one("b", START, 2.0)  # 6
    log.end_series(ids(log)["b"])  # 7
    log.append(batch([("b", START, 3.0), ("a", START, 3.0)]))  # 8, 9
    log.append(few("a", 4.0), Terms(keep=1))  # 10, 11
    seen: list[Any] = []
    place: Place = BEGIN
    while (events := log.read(place, limit)).place.position > place.position:
        portion = [*events.positions.tolist(), *(change.position for change in events.changes)]
        assert all(place.position < position <= events.place.position for position in portion)
        seen.extend(sorted(portion))
        place = events.place
        assert events.more is (place.position < 11)
    assert seen == list(range(1, 12))
    changes = changes_behind(log)
    assert [type(change) for change in changes] == [KeepChange, RulesChange, SeriesEnd, KeepChange]
