"""Leases and tables, which all who share a log see alike."""

from __future__ import annotations

import pytest

from event_log import codec
from event_log.compaction import compact
from event_log.errors import LogDamaged
from event_log.log import Log
from event_log.machine import Machine
from event_log.memory_store import MemoryStore
from event_log.outcomes import Void
from event_log.port import Chunk, Cursor, Entry, Manifest
from event_log.rules import Rules
from event_log.tables import Change, Row
from tests.event_log.projection import Projection
from tests.event_log.stores import Clocks
from times import HOUR, MINUTE, SECOND


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def store(clocks: Clocks) -> MemoryStore:
    return MemoryStore(clocks)


@pytest.fixture
def log(store: MemoryStore) -> Log:
    made = Log(store)
    made.claim(Rules(HOUR, 2, HOUR, MINUTE, 4, 2), "a start")
    return made


class TestLeases:
    def test_one_process_has_it_at_a_time(self, log: Log, store: MemoryStore, clocks: Clocks) -> None:
        other = Log(store)
        number = log.lease("alerts", 10)
        assert number is not None
        assert other.lease("alerts", 10) is None
        assert other.lease("another", 10) is not None
        clocks.advance(10 * SECOND)
        later = other.lease("alerts", 10)
        assert later is not None
        assert later > number
        log.catch_up()
        assert log.lease("alerts", 10) is None

    def test_it_is_prolonged_by_a_record_only_when_half_is_over(
        self, log: Log, store: MemoryStore, clocks: Clocks
    ) -> None:
        number, end = log.lease("alerts", 10), store.end()
        clocks.advance(4 * SECOND)
        assert log.lease("alerts", 10) == number
        assert store.end() == end
        clocks.advance(SECOND)
        assert log.lease("alerts", 10) == number
        assert store.end().number == end.number + 1
        clocks.advance(9 * SECOND)
        assert Log(store).lease("alerts", 10) is None

    def test_it_is_given_up_at_once(self, log: Log, store: MemoryStore) -> None:
        log.lease("alerts", 10)
        assert log.lease("alerts", 0) is None
        assert Log(store).lease("alerts", 10) is not None

    def test_of_two_who_race_one_has_it(self, log: Log, store: MemoryStore, clocks: Clocks) -> None:
        other = Log(store)
        assert log.lease("alerts", 10) is not None  # of which the other one has not read
        assert other.lease("alerts", 10) is None
        assert other.machine.leases.current("alerts", store.time()) == log.machine.leases.current(
            "alerts", store.time()
        )

    def test_it_takes_no_position(self, log: Log, store: MemoryStore) -> None:
        position = store.end().position
        log.lease("alerts", 10)
        assert store.end().position == position


class TestTables:
    def test_each_change_has_a_position_of_its_own_and_is_told(self, log: Log) -> None:
        position = log.change([Change("alerts", "a", "firing"), Change("alerts", "b", "pending")])
        assert log.machine.tables.rows("alerts") == {"a": Row("firing", position - 1), "b": Row("pending", position)}
        projection = Projection(log)
        projection.follow()
        assert projection.tables.rows("alerts") == log.machine.tables.rows("alerts")

    def test_none_is_done_where_one_leaves_another_row(self, log: Log, store: MemoryStore) -> None:
        log.change([Change("alerts", "a", "pending")])
        other = Log(store)
        other.change([Change("alerts", "a", "firing", log.machine.tables.rows("alerts")["a"].position)])
        end = store.end().position
        with pytest.raises(Void):  # decided when it is applied: this process had not read of the other's
            log.change([Change("alerts", "b", "pending"), Change("alerts", "a", "firing", end - 1)])
        assert store.end().position == end + 2
        with pytest.raises(Void):  # and now at a look, without a record
            log.change([Change("alerts", "a", None, end - 1)])
        assert store.end().position == end + 2
        assert list(log.machine.tables.rows("alerts")) == ["a"]

    def test_nothing_is_changed_under_a_lease_that_is_anothers(
        self, log: Log, store: MemoryStore, clocks: Clocks
    ) -> None:
        number = log.lease("alerts", 10)
        assert number is not None
        log.change([Change("alerts", "a", "pending")], ("alerts", number))
        clocks.advance(10 * SECOND)
        assert Log(store).lease("alerts", 10)
        with pytest.raises(Void):
            log.change([Change("alerts", "b", "pending")], ("alerts", number))
        assert list(log.machine.tables.rows("alerts")) == ["a"]

    def test_a_removed_row_is_gone_and_may_come_again(self, log: Log) -> None:
        first = log.change([Change("alerts", "a", "firing")])
        log.change([Change("alerts", "a", None, first)])
        assert log.machine.tables.rows("alerts") == {}
        assert log.change([Change("alerts", "a", "firing")]) > first

    def test_they_outlive_a_compaction(self, log: Log, store: MemoryStore) -> None:
        number = log.lease("alerts", 10)
        position = log.change([Change("alerts", "a", "é"), Change("acknowledged", "ops", "1")])
        projection = Projection(log)
        assert compact(store, projection.judge)
        fresh = Projection(Log(store))
        fresh.follow()
        assert store.manifest() > Manifest(0, store.manifest().cursor)
        for tables in (fresh.tables, fresh.log.machine.tables):
            assert tables.rows("alerts") == {"a": Row("é", position - 1)}
            assert tables.rows("acknowledged") == {"ops": Row("1", position)}
        assert fresh.log.machine.leases.items() == log.machine.leases.items()
        assert fresh.log.machine.leases.is_in_force("alerts", number or 0, store.time())


@pytest.mark.parametrize("kind", [codec.CHANGE, codec.LEASE])
@pytest.mark.parametrize("data", [b"", b"{", b"[1, 2]", b'[[["a"]], null]', b"7"])
def test_what_cannot_be_read_is_damage(kind: int, data: bytes) -> None:
    entry = Entry(0, 7, kind, 0, bytes(codec.NONCE) + data)
    with pytest.raises(LogDamaged, match="record 1 of the log cannot be read"):
        Machine(Cursor(0)).apply(Chunk([entry], Cursor(0, 1), more=False))
