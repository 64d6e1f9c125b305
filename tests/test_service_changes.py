"""Rules, ends and histories that change under services, each with a log of its own as if in its own process."""

from __future__ import annotations

from threading import Event, Thread

import numpy as np
import pytest

from event_log import applied, single_flight
from event_log.applied import Begun, Told
from event_log.codec import Columns
from event_log.compaction import compact
from event_log.memory_store import MemoryStore
from event_log.outcomes import Repeated, Stored
from event_log.port import Chunk, Cursor, RecordStore
from event_log.steps import Rows, SeriesEnd
from event_log.writes import PLAIN, Conditions, Once
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from tests.event_log.stores import StoreKind
from tests.rolling.model import summary_of
from times import HOUR, MINUTE, SECOND
from view import level as level_module

DAY = 24 * HOUR
SOON = 60.0
"""Far more seconds than any step takes; a test that waits so long has failed."""


@pytest.fixture
def store(kind: StoreKind) -> RecordStore:
    return kind.open()


def service_on(store: RecordStore, clock: FakeClock, start: str | None = None, **settings: int) -> EventService:
    return EventService(store, Settings(**{"keep_last": 3, **settings}), clock, start=start)  # type: ignore[arg-type]


def add(service: EventService, series: str, *values: float, ago: int = 0, conditions: Conditions = PLAIN) -> Stored:
    times = np.full(len(values), service.clock() - ago)
    return service.add_many([series], None, times, np.array(values, np.float64), conditions)


def clean(service: EventService) -> None:
    while service.tick():
        pass


class TestRules:
    def test_those_of_the_last_start_hold_for_all(self, kind: StoreKind, store: RecordStore, clock: FakeClock) -> None:
        old = service_on(store, clock, "old", keep_last=100)
        add(old, "a", *range(30))
        add(old, "b", 1.0)
        new = service_on(kind.sibling(store), clock, "new", keep_last=5, retention=30 * MINUTE, window=10 * MINUTE)
        clock.advance(20 * MINUTE)
        add(new, "a", 30.0)
        worker = service_on(kind.sibling(store), clock, "old", keep_last=100)  # made anew by the older start
        for _ in range(2):
            for service in (old, new, worker):
                assert service.statistics("a", window=HOUR).summary.count == 31
                assert service.statistics("a", last=100).summary.count == 31
                assert service.rules[:3] == (30 * MINUTE, 5, 10 * MINUTE)
            clock.advance(-1)
        clock.advance(20 * MINUTE)
        for _ in range(2):
            for service in (old, new, worker, service_on(kind.sibling(store), clock, "old", keep_last=100)):
                assert service.statistics("a", window=HOUR).summary == summary_of([30.0])
                assert service.statistics("a", last=100).summary == summary_of([26.0, 27.0, 28.0, 29.0, 30.0])
                assert service.statistics("b", last=100).summary.count == 1
                assert add(service, "c", 1.0, ago=31 * MINUTE).expired == 1
            clean(old)

    def test_all_workers_of_a_start_claim_as_one(self, kind: StoreKind, store: RecordStore, clock: FakeClock) -> None:
        services = [service_on(kind.sibling(store), clock, "one", keep_last=i) for i in range(4)]
        for service in services:
            service.add("a", None, 1.0)
        for service in services:
            assert service.statistics().summary.count == 4
            assert service.rules.keep_last == 0
        assert store.end().position == 4

    def test_nothing_comes_back_under_longer_rules(self, kind: StoreKind, store: RecordStore, clock: FakeClock) -> None:
        old = service_on(store, clock, keep_last=2)
        add(old, "a", 1.0, 2.0, 3.0, 4.0)
        clock.advance(2 * HOUR)
        clean(old)
        new = service_on(kind.sibling(store), clock, keep_last=100, retention=DAY)
        for service in (new, old, service_on(kind.sibling(store), clock, keep_last=100, retention=DAY)):
            assert service.statistics("a", window=DAY).summary.count == 0
            assert service.statistics("a", last=100).summary == summary_of([3.0, 4.0])

    def test_a_fresh_worker_calls_expired_what_its_siblings_do(
        self, kind: StoreKind, store: RecordStore, clock: FakeClock
    ) -> None:
        old = service_on(store, clock, "one")
        old.add("a", None, 1.0)
        clock.advance(2 * HOUR)
        clean(old)
        clock.advance(-MINUTE)
        late = clock.now - HOUR + SECOND
        fresh = service_on(kind.sibling(store), clock, "one")
        assert fresh.add("a", late, 2.0).stored == old.add("a", late, 2.0).stored == 0

    def test_no_window_reaches_behind_the_retention_in_force(self, store: RecordStore, clock: FakeClock) -> None:
        service = service_on(store, clock, keep_last=0, retention=MINUTE, window=MINUTE)
        service.add("a", None, 1.0)
        clock.advance(MINUTE)
        assert service.statistics("a", window=HOUR).summary.count == 0


class TestEnd:
    def test_a_series_is_gone_from_every_answer(self, kind: StoreKind, store: RecordStore, clock: FakeClock) -> None:
        service, other = service_on(store, clock), service_on(kind.sibling(store), clock)
        add(service, "a", 1.0, 2.0)
        add(other, "b", 3.0)
        assert other.end_series("a") == (True, 4)
        for view in (service, other, service_on(kind.sibling(store), clock)):
            assert view.statistics().summary == summary_of([3.0])
            assert view.statistics("a", last=9).summary.count == 0
            assert view.events("a", 9) is None
            assert [info.name for info in view.series()[0]] == ["b"]
            assert view.statistics().position == 4
        assert service.end_series("a") == (False, 4)
        assert service.end_series("never") == (False, 4)

    def test_its_name_may_begin_anew(self, kind: StoreKind, store: RecordStore, clock: FakeClock) -> None:
        service, other = service_on(store, clock), service_on(kind.sibling(store), clock)
        add(service, "a", 1.0, conditions=Conditions(keep=100))
        service.end_series("a")
        clock.advance(SECOND)
        add(other, "a", 5.0)
        for view in (service, other):
            assert view.statistics("a").summary == summary_of([5.0])
            assert view.series()[0][0].initial == (clock.now, 5.0)

    def test_an_idle_series_ends_by_itself(self, kind: StoreKind, store: RecordStore, clock: FakeClock) -> None:
        service, other = service_on(store, clock, idle=DAY), service_on(kind.sibling(store), clock, idle=DAY)
        add(service, "quiet", 1.0)
        add(service, "busy", 1.0)
        clock.advance(DAY)
        add(service, "busy", 2.0)
        clean(service)
        assert [info.name for info in service.series()[0]] == ["busy", "quiet"]
        clock.advance(SECOND)
        clean(service)
        for view in (service, other):
            assert [info.name for info in view.series()[0]] == ["busy"]
        clock.advance(30 * DAY)
        clean(service_on(kind.sibling(store), clock, idle=0))
        assert [info.name for info in other.series()[0]] == ["busy"]

    def test_one_that_another_has_just_written_to_stays(
        self, kind: StoreKind, store: RecordStore, clock: FakeClock
    ) -> None:
        service, other = service_on(store, clock, idle=DAY), service_on(kind.sibling(store), clock, idle=DAY)
        add(service, "a", 1.0)
        clock.advance(2 * DAY)
        service.statistics()
        add(other, "a", 2.0)
        service.housekeeping.end_idle(clock.now)  # before it has read what the other wrote
        assert service.statistics("a", last=9).summary == summary_of([1.0, 2.0])

    def test_what_all_has_left_is_listed_by_a_fresh_worker_too(
        self, kind: StoreKind, store: RecordStore, clock: FakeClock
    ) -> None:
        service = service_on(store, clock, keep_last=0, idle=2 * DAY)
        add(service, "a", 1.0, 2.0)
        clock.advance(HOUR + SECOND)
        add(service, "b", 3.0)
        clean(service)
        views = [service, service_on(kind.sibling(store), clock, keep_last=0, idle=2 * DAY)]
        for view in views:
            assert [(info.name, info.count) for info in view.series()[0]] == [("a", 0), ("b", 1)]
        clock.advance(3 * DAY)
        clean(views[1])
        for view in views:
            assert view.series()[0] == []


class TestReplay:
    def test_events_behind_a_position_in_order_of_position(self, store: RecordStore, clock: FakeClock) -> None:
        service = service_on(store, clock)
        add(service, "a", 1.0)
        add(service, "b", 2.0)
        add(service, "a", 3.0, ago=MINUTE)
        add(service, "a", 4.0)
        found = service.replay("a", 1, 10)
        assert (found.positions.tolist(), found.values.tolist()) == ([3, 4], [3.0, 4.0])
        assert found.times.tolist() == [clock.now - MINUTE, clock.now]
        assert (found.gap, found.more, found.position) == (False, False, 4)
        assert service.replay("a", 0, 2).positions.tolist() == [1, 3]
        assert service.replay("a", 0, 2).more
        assert not service.replay("a", 0, 3).more
        assert len(service.replay("a", 4, 9).values) == len(service.replay("never", 0, 9).values) == 0

    def test_what_has_gone_since_is_a_gap(self, kind: StoreKind, store: RecordStore, clock: FakeClock) -> None:
        service = service_on(store, clock)
        add(service, "a", 1.0, 2.0, 3.0, 4.0, 5.0)
        add(service, "quiet", 1.0)
        clock.advance(2 * HOUR)
        add(service, "a", 6.0)
        clean(service)
        assert compact(store, service.level().judge)
        fresh = service_on(kind.sibling(store), clock)
        found = fresh.replay("a", 1, 10)
        assert (found.gap, found.positions.tolist()) == (True, [4, 5, 7])
        assert not fresh.replay("a", 3, 10).gap
        assert not fresh.replay("quiet", 0, 10).gap
        assert fresh.replay("a", 99, 10).gap  # nothing of ours ever stood there


class TestListening:
    def test_each_portion_is_told_in_order_once(self, kind: StoreKind, store: RecordStore, clock: FakeClock) -> None:
        service, other = service_on(store, clock, "one"), service_on(kind.sibling(store), clock, "one")
        told: list[int] = []

        def listen(each: Told | Begun) -> None:
            assert isinstance(each, Told)
            for step in each.steps:
                if isinstance(step, Rows):
                    told.extend(row[0] for row in step.rows)
                elif isinstance(step, Columns):
                    told.extend(step.positions.tolist())
                elif isinstance(step, SeriesEnd):
                    told.append(step.position)

        service.statistics()
        service.listen(listen)
        for value in range(5):
            add(other, "a", value, value + 0.5)
            service.statistics()
        other.end_series("a")
        service.tick()
        assert told == list(range(1, 12))
        assert service.series_id("a") is None

    def test_a_fault_of_a_listener_harms_nobody(
        self, store: RecordStore, clock: FakeClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        service = service_on(store, clock)
        told: list[Told | Begun] = []

        def fail(each: Told | Begun) -> None:
            raise RuntimeError("a bug")

        service.statistics()
        service.listen(fail)
        service.listen(told.append)
        add(service, "a", 1.0)
        assert service.statistics().summary.count == 1
        assert told
        assert "telling of new events failed" in caplog.text


class TestOnce:
    KEY, BODY = b"k" * 16, b"b" * 16
    ONCE = Conditions(once=Once(KEY, BODY))

    def test_a_write_is_done_once(self, store: RecordStore, clock: FakeClock) -> None:
        service = service_on(store, clock)
        assert service.recall(self.KEY) is None
        service.add("a", None, 1.0, conditions=self.ONCE)
        for _ in range(2):
            with pytest.raises(Repeated):
                add(service, "a", 1.0, 2.0, conditions=self.ONCE)
        assert service.recall(self.KEY) == (self.BODY, 1, 0, 1)
        assert service.position() == 1

    def test_what_became_of_the_events_is_remembered(self, store: RecordStore, clock: FakeClock) -> None:
        service = service_on(store, clock)
        times = np.array([clock.now, clock.now - 2 * HOUR, clock.now - 1])
        assert service.add_many(["a"], None, times, np.ones(3), self.ONCE) == Stored(2, 1, 2)
        assert service.recall(self.KEY) == (self.BODY, 2, 1, 2)

    def test_one_whose_events_have_all_expired_is_remembered_too(self, store: RecordStore, clock: FakeClock) -> None:
        service = service_on(store, clock)
        assert add(service, "a", 1.0, ago=2 * HOUR, conditions=self.ONCE) == Stored(0, 1, 0)
        with pytest.raises(Repeated):
            add(service, "a", 1.0, conditions=self.ONCE)


class SlowStore(MemoryStore):
    """Reads only when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_read = Event()
        self.may_read.set()
        self.reading = Event()

    def is_level(self, cursor: Cursor) -> bool:
        return False

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        self.reading.set()
        assert self.may_read.wait(SOON)
        return super().read(cursor, limit)


def test_while_the_log_is_read_nothing_is_held(clock: FakeClock) -> None:
    store = SlowStore()
    service = service_on(store, clock)
    service.add("a", None, 1.0)
    service.statistics()
    store.may_read.clear()
    store.reading.clear()
    counts: list[int] = []
    asking = [Thread(target=lambda: counts.append(service.statistics().summary.count)) for _ in range(3)]
    for thread in asking:
        thread.start()
    assert store.reading.wait(SOON)
    assert service.level().lock.acquire(timeout=SOON)
    service.level().lock.release()
    assert service.add("a", None, 2.0) == Stored(1, 0, 2)
    assert (service.position(), service.rules.keep_last, service.level().is_ready) == (2, 3, True)
    store.may_read.set()
    for thread in asking:
        thread.join(SOON)
    assert set(counts) <= {1, 2}
    assert len(counts) == 3


def test_a_long_log_is_taken_in_in_portions_between_which_others_go_first(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore(clock.moment)
    writer = service_on(store, clock, "one")
    for _ in range(20):
        add(writer, "a", *range(100))
    monkeypatch.setattr(applied, "CHUNK", 100)
    service = service_on(store, clock, "one")
    seen: list[bool] = []

    def others_go_first() -> None:
        other = Thread(target=look)
        other.start()
        other.join(SOON)

    def look() -> None:
        assert service.level().lock.acquire(timeout=SOON)
        service.level().lock.release()
        seen.append(service.level().is_ready)
        writer.add("b", None, 1.0)

    monkeypatch.setattr(single_flight, "give_way", others_go_first)
    assert service.statistics("a").summary.count == 2000
    assert seen == [False] * len(seen)
    assert len(seen) >= 19
    assert service.statistics("b").summary.count == len(seen)


def test_a_question_waits_until_a_portion_is_taken_in_whole(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a series takes several steps; none shows."""
    store = MemoryStore(clock.moment)
    service = service_on(store, clock, "one")
    rng = np.random.default_rng(1)
    for _ in range(10):
        names = rng.integers(0, 2, 2000).astype(np.uint32)
        service.add_many(["a", "b"], names, clock.now - rng.integers(0, HOUR // 2, 2000), np.ones(2000))
    whole = service.statistics().summary.count
    ended = service.statistics("a").summary.count
    answers: list[int] = []
    monkeypatch.setattr(level_module, "run_for", lambda work: next(work, "end") == "end")
    threads: list[Thread] = []

    def ask() -> None:
        threads.append(Thread(target=lambda: answers.append(service.statistics().summary.count)))
        threads[-1].start()

    monkeypatch.setattr(level_module, "give_way", ask)
    service.end_series("a")
    assert service.statistics().summary.count == whole - ended
    for thread in threads:
        thread.join(SOON)
    assert len(threads) >= 3
    assert answers == [whole - ended] * len(threads)
