"""Promises of the log to its writers, over a store in memory; each test tells of one rule."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from event_log import compaction
from event_log.batch import Batch
from event_log.compaction import Content, compact
from event_log.errors import LogUnavailable, LogUncertain, OverBudget, TooManyKeepers, TooManySeries
from event_log.log import Log
from event_log.memory_store import MemoryStore
from event_log.outcomes import Repeated, Stored
from event_log.port import Chunk, Cursor
from event_log.rules import Rules
from event_log.writes import PLAIN, Budget, Conditions, Once, Owner
from tests.event_log.projection import Projection
from tests.event_log.stores import WALL, Clocks
from times import HOUR, MINUTE, SECOND

RULES = Rules(HOUR, 2, HOUR, MINUTE, 4, 2)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


class Faulty(MemoryStore):
    """A store whose next read fails if asked to."""

    fails = False

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        if self.fails:
            raise LogUnavailable("the disk is on fire")
        return super().read(cursor, limit)


@pytest.fixture
def store(clocks: Clocks) -> Faulty:
    return Faulty(clocks)


@pytest.fixture
def log(store: Faulty) -> Log:
    made = Log(store)
    made.claim(RULES, "a start")
    return made


def key(number: int = 1) -> Once:
    digest = hashlib.blake2b(bytes([number]), digest_size=16).digest()
    return Once(digest, digest[::-1])


def some(count: int = 1, name: str = "a", time: int = WALL) -> Batch:
    return Batch([name], None, time, np.arange(float(count)))


def followed(log: Log) -> Projection:
    projection = Projection(log)
    projection.follow()
    return projection


class TestExpiry:
    def test_what_is_dead_on_arrival_is_counted_as_expired(self, log: Log, store: Faulty, clocks: Clocks) -> None:
        other = Log(store)
        log.append_one("a", WALL, 1.0)
        clocks.advance(2 * HOUR)
        assert other.raise_horizon(clocks.wall) is False  # it knows of no rules yet
        other.catch_up()
        assert other.raise_horizon(clocks.wall)
        assert log.append_one("a", WALL, 2.0) == Stored(0, 1, 1)
        times = np.array([WALL, clocks.wall], np.int64)
        assert log.append(Batch(["a"], None, times, np.array([3.0, 4.0]))) == Stored(1, 1, 2)
        assert followed(log).live()["a"] == [(WALL, 1, 1.0), (clocks.wall, 2, 4.0)]

    def test_a_host_with_a_clock_two_hours_ahead_expires_nothing(self, log: Log, clocks: Clocks) -> None:
        log.append_one("a", WALL - HOUR // 2, 1.0)
        log.raise_horizon(clocks.wall + 2 * HOUR)
        assert log.append_one("a", WALL - HOUR // 2, 2.0).stored == 1
        assert followed(log).horizon == WALL - HOUR

    def test_the_horizon_rises_at_most_once_in_a_thousandth_of_the_retention(self, log: Log, clocks: Clocks) -> None:
        risen = 0
        for _ in range(100):
            clocks.advance(SECOND)
            risen += log.raise_horizon(clocks.wall)
            log.catch_up()
        assert risen == 25  # each 4 seconds, since 3.6 have passed


class TestOnce:
    def test_a_repetition_gets_the_first_answer_and_appends_nothing(self, log: Log, store: Faulty) -> None:
        stored = log.append(some(3), Conditions(once=key()), expired=2)
        assert stored == Stored(3, 2, 3)
        end = store.end()
        other = Log(store)
        other.catch_up()
        for again in (log, other):
            with pytest.raises(Repeated) as repeated:
                again.append(some(7, "b"), Conditions(once=key()))
            assert repeated.value.done == (key().body, *stored)
        assert store.end() == end

    def test_one_who_has_not_heard_of_it_appends_what_is_void(self, log: Log, store: Faulty) -> None:
        log.append(some(3), Conditions(once=key()))
        with pytest.raises(Repeated):
            Log(store).append(some(7, "b"), Conditions(once=key()))
        assert store.end() == (3, 10)
        assert followed(log).live() == {"a": [(WALL, 1, 0.0), (WALL, 2, 1.0), (WALL, 3, 2.0)]}

    def test_it_is_remembered_by_the_logs_time_alone(self, log: Log, store: Faulty, clocks: Clocks) -> None:
        log.append(some(), Conditions(once=key()))
        clocks.advance(HOUR + MINUTE - SECOND)
        clocks.wall += 24 * HOUR  # of which the log's time takes no notice
        log.append(some(time=clocks.wall), Conditions(once=key(2)))
        with pytest.raises(Repeated):
            log.append(some(time=clocks.wall), Conditions(once=key()))
        clocks.advance(SECOND)
        log.append(some(time=clocks.wall), Conditions(once=key(3)))
        assert log.append(some(time=clocks.wall), Conditions(once=key())).stored == 1
        assert Log(store).recall(key().key) is None  # it has read nothing yet

    def test_it_lives_exactly_as_long_though_nothing_else_is_written(self, log: Log, clocks: Clocks) -> None:
        log.append(some(), Conditions(once=key()))
        clocks.advance(HOUR + MINUTE - 1)
        assert log.recall(key().key) is not None
        with pytest.raises(Repeated):
            log.append(some(time=clocks.wall), Conditions(once=key()))
        clocks.advance(1)
        assert log.recall(key().key) is None
        assert log.append(some(time=clocks.wall), Conditions(once=key())).stored == 1

    def test_it_is_remembered_longer_where_the_retention_is_lengthened(self, log: Log, clocks: Clocks) -> None:
        log.append(some(), Conditions(once=key()))
        clocks.advance(HOUR)
        log.claim(RULES._replace(retention=3 * HOUR), "another start")
        clocks.advance(HOUR)
        with pytest.raises(Repeated):
            log.append(some(time=clocks.wall), Conditions(once=key()))

    def test_a_request_whose_events_have_all_expired_is_remembered_too(self, log: Log) -> None:
        batch = Batch((), None, WALL, np.empty(0))
        assert log.append(batch, Conditions(once=key()), expired=5) == Stored(0, 5, 0)
        with pytest.raises(Repeated):
            log.append(some(), Conditions(once=key()))

    def test_a_write_of_which_the_outcome_is_not_known_is_uncertain(self, log: Log, store: Faulty) -> None:
        store.fails = True
        with pytest.raises(LogUncertain):
            log.append(some(), Conditions(once=key()))
        store.fails = False
        with pytest.raises(Repeated):
            log.append(some(), Conditions(once=key()))


class TestLimits:
    def test_series_are_counted_when_the_log_is_applied(self, log: Log, store: Faulty) -> None:
        for name in "abcd":
            log.append_one(name, WALL, 1.0)
        with pytest.raises(TooManySeries, match="4"):
            Log(store).append_one("e", WALL, 1.0)
        Log(store).end_series(1)
        assert log.append_one("e", WALL, 1.0).stored == 1

    def test_an_owner_may_begin_so_many_that_live(self, log: Log) -> None:
        mine, others = Conditions(owner=Owner("me", 1)), Conditions(owner=Owner("you", 1))
        log.append(some(name="a"), mine)
        log.append(some(name="a"), mine)
        with pytest.raises(TooManySeries, match="1 series of me"):
            log.append(some(name="b"), mine)
        log.append(some(name="b"), others)
        log.append(some(name="b"), mine)
        log.end_series(1)
        assert log.append(some(name="c"), mine).stored == 1

    def test_symbols_are_counted_by_the_rules_in_force(self, log: Log) -> None:
        symbol = Conditions(keep=3, symbols=True)
        log.append(some(name="a"), symbol)
        log.append(some(name="b"), symbol)
        with pytest.raises(TooManyKeepers, match="2"):
            log.append(some(name="c"), symbol)
        log.append(some(name="c"), Conditions(keep=3))

    def test_a_keep_only_rises_whatever_another_process_knows(self, log: Log, store: Faulty) -> None:
        other = Log(store)
        log.append(some(), Conditions(keep=1))
        other.catch_up()
        log.append(some(), Conditions(keep=3))
        other.append(some(), Conditions(keep=1))  # as far as it knows, nothing is to be changed
        log.append(some(), Conditions(keep=2))
        log.catch_up()
        other.catch_up()
        assert [machine.series.by_id[1].keep for machine in (log.machine, other.machine)] == [3, 3]

    def test_a_write_that_asks_for_a_keep_in_force_is_plain(self, log: Log) -> None:
        symbol = Conditions(keep=3, symbols=True)
        log.append(some(), symbol)
        before = log.machine.cursor.number
        log.append(some(), symbol)
        assert log.machine.cursor.number == before  # its writer need not apply it
        log.append(some(), Conditions(keep=4))
        assert log.machine.cursor.number > before

    def test_a_budget_is_shared_and_fills_by_the_logs_time(self, log: Log, store: Faulty, clocks: Clocks) -> None:
        paid = Conditions(budget=Budget("b", 2.0, 10))
        assert log.append(some(10), paid).stored == 10
        end = store.end()
        with pytest.raises(OverBudget) as refused:
            log.append(some(4), paid)
        assert (refused.value.retry_after, store.end()) == (2.0, end)
        clocks.advance(2 * SECOND)
        assert Log(store).append(some(4), paid).stored == 4
        with pytest.raises(OverBudget) as refused:
            log.append(some(11), paid)
        assert refused.value.retry_after == float("inf")

    def test_a_write_of_no_events_costs_one(self, log: Log, clocks: Clocks) -> None:
        paid = Conditions(budget=Budget("b", 1.0, 2))
        log.append_one("a", WALL, 1.0)
        clocks.advance(2 * HOUR)
        log.raise_horizon(clocks.wall)
        log.catch_up()
        assert [log.append(some(5), paid).expired for _ in range(2)] == [5, 5]
        with pytest.raises(OverBudget) as refused:
            log.append(some(5), paid)
        assert refused.value.retry_after == 1.0


class TestRules:
    def test_a_start_puts_its_rules_in_force_once(self, log: Log, store: Faulty) -> None:
        other = RULES._replace(window=MINUTE, max_series=9)
        Log(store).claim(other, "b")
        log.claim(RULES, "a start")
        assert followed(log).rules == other

    def test_a_start_that_began_earlier_than_that_in_force_changes_nothing(self, log: Log, store: Faulty) -> None:
        log.claim(RULES._replace(keep_last=9), "late", began=WALL + HOUR)
        Log(store).claim(RULES._replace(keep_last=1), "early", began=WALL)
        assert followed(log).rules.keep_last == 9

    def test_a_quiet_series_ends_only_while_it_is_quiet(self, log: Log, store: Faulty) -> None:
        log.append_one("a", WALL, 1.0)
        position = log.append_one("a", WALL, 2.0).position
        assert Log(store).end_series(1, quiet_since=position - 1) is None
        assert log.end_series(1, quiet_since=position) == 3
        assert log.end_series(1) is None
        assert followed(log).live() == {}


class TestCompaction:
    def fill(self, log: Log, projection: Projection, clocks: Clocks, rounds: int) -> list[Content]:
        """Steady writes, and a compaction each minute."""
        contents = []
        for number in range(rounds):
            clocks.advance(MINUTE)
            log.append(Batch(["a"], None, clocks.wall + np.arange(100), np.full(100, float(number))))
            log.raise_horizon(clocks.wall)
            assert compact(log.store, projection.judge)
            log.adopt()
            log.store.sync()
            contents.append(Content.of(log.store.manifest()))
        return contents

    def test_blobs_stay_few_and_small_under_steady_writes(self, log: Log, clocks: Clocks) -> None:
        contents = self.fill(log, Projection(log), clocks, 400)
        assert max(len(content.parts) for content in contents) <= 12
        live = 60 * 100
        assert max(sum(part.rows for part in content.parts) for content in contents) <= 3 * live
        # Blobs that were replaced in the last ten minutes can still be read.
        assert log.store.usage().bytes_used < 200 * live

    def test_a_fresh_worker_comes_to_the_same_after_each(self, log: Log, store: Faulty, clocks: Clocks) -> None:
        projection = Projection(log)
        for _ in range(20):
            self.fill(log, projection, clocks, 3)
            log.claim(RULES._replace(keep_last=1 + clocks.wall // MINUTE % 3), str(clocks.wall))
            projection.follow()
            assert followed(Log(store)).live() == projection.live()

    def test_what_was_dead_does_not_come_back_where_more_is_kept(self, log: Log, store: Faulty, clocks: Clocks) -> None:
        projection = Projection(log)
        log.append(some(10))
        clocks.advance(2 * HOUR)
        log.raise_horizon(clocks.wall)
        log.claim(RULES._replace(keep_last=5), "keeps more")
        compact(store, projection.judge)
        assert projection.live() == followed(Log(store)).live() == {"a": [(WALL, 9, 8.0), (WALL, 10, 9.0)]}

    def test_idempotency_records_become_runs(self, log: Log, store: Faulty, clocks: Clocks) -> None:
        projection = Projection(log)
        for number in range(200):
            log.append(some(), Conditions(once=key(number)))
            if number % 10 == 9:
                assert compact(store, projection.judge)
                log.adopt()
        assert len(log.machine.done.newest()) == 0
        assert 1 <= len(log.machine.done.runs) <= 8
        for number in range(200):
            for reader in (log, Log(store)):
                with pytest.raises(Repeated):
                    reader.append(some(), Conditions(once=key(number)))
        clocks.advance(2 * HOUR)
        log.append(some(time=clocks.wall))
        log.raise_horizon(clocks.wall)
        compact(store, projection.judge)
        assert Content.of(store.manifest()).runs == []

    def test_one_goes_no_further_than_its_memory_allows(self, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compaction, "MOST_EVENTS", 100)
        monkeypatch.setattr(compaction, "CHUNK", 10)
        for _ in range(1000):
            log.append_one("a", WALL, 1.0)
        projection, steps = Projection(log), 0
        while log.store.manifest().cursor.position < 1000:
            assert compact(log.store, projection.judge)
            steps += 1
        assert steps == 10
        assert len(followed(Log(log.store)).live()["a"]) == 1000

    def test_a_write_knows_its_outcome_though_its_process_fell_far_behind(
        self, log: Log, store: Faulty, clocks: Clocks
    ) -> None:
        behind = Log(store)
        log.append(some(3))
        assert compact(store, Projection(log).judge)
        clocks.advance(11 * MINUTE)
        store.sync()
        assert behind.append(some(1, "b", clocks.wall), Conditions(once=key())) == Stored(1, 0, 4)
        assert behind.machine.series.ids.keys() == {"a", "b"}

    def test_a_worker_that_fell_behind_begins_anew(self, log: Log, store: Faulty, clocks: Clocks) -> None:
        late = Projection(Log(store))
        late.follow()
        projection = Projection(log)
        self.fill(log, projection, clocks, 30)
        late.follow()
        assert late.begun == 1
        assert late.live() == projection.live()


def test_plain_writes_take_one_record_and_no_outcome(log: Log, store: Faulty) -> None:
    log.append_one("a", WALL, 1.0)
    store.fails = True  # nothing is read for them
    assert log.append_one("a", WALL, 2.0) == Stored(1, 0, 2)
    assert log.append(some(5), PLAIN, expired=1) == Stored(5, 1, 7)
