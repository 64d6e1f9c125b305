from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from event_log import applied
from event_log.compaction import compact
from event_log.errors import LogFull, TooManyKeepers, TooManySeries
from event_log.log_time import Moment
from event_log.memory_store import MemoryStore
from event_log.outcomes import Stored
from event_log.port import Appended, Guard, Record, RecordStore, Usage
from event_log.writes import PLAIN, Conditions
from event_service import EventService, TooFarAhead
from settings import Settings
from tests.conftest import FakeClock
from tests.event_log.stores import StoreKind
from tests.rolling.model import assert_summarises, summary_of
from tests.rolling.sizes import small
from tests.servers import until
from times import HOUR, MINUTE, SECOND
from view.answers import SeriesInfo

SETTINGS = Settings(keep_last=3, max_series=5, max_symbols=2, idle=0)
SYMBOL = Conditions(keep=10**8, symbols=True)


@pytest.fixture
def store(kind: StoreKind) -> RecordStore:
    return kind.open()


@pytest.fixture
def service(store: RecordStore, clock: FakeClock) -> EventService:
    return EventService(store, SETTINGS, clock)


def add(service: EventService, series: str, *values: float, ago: int = 0, conditions: Conditions = PLAIN) -> Stored:
    """Add a batch of one series, all of it dated `ago` microseconds back."""
    times = np.full(len(values), service.clock() - ago)
    return service.add_many([series], None, times, np.array(values, np.float64), conditions)


def clean(service: EventService) -> None:
    """Do the work that the background does once a second."""
    while service.tick():
        pass


def is_symbol(service: EventService, name: str) -> bool:
    """Return whether the service has learnt from the log that a series keeps what a symbol does."""
    service.tick()
    seen = service.level().projection
    number = seen.ids.get(name)
    return number is not None and seen.view.windows[number].keep == SYMBOL.keep


def values_of(service: EventService, series: str) -> list[float]:
    """The live values of a series, oldest first."""
    found = service.events(series, 10**9)
    assert found is not None
    values: list[float] = found[1].tolist()
    return values


class TestAdd:
    def test_an_event_is_stored(self, service: EventService, clock: FakeClock) -> None:
        assert service.add("a", clock.now - SECOND, 1.5) == Stored(1, 0, 1)
        assert service.add("a", None, 2.5) == Stored(1, 0, 2)
        answer = service.statistics("a", edges=True)
        assert_summarises(answer.summary, [1.5, 2.5])
        assert (answer.first, answer.last, answer.position) == ((clock.now - SECOND, 1.5), (clock.now, 2.5), 2)

    def test_the_retention_is_exact_to_the_microsecond(self, service: EventService, clock: FakeClock) -> None:
        service.add("a", None, 0.0)
        assert service.add("a", clock.now - HOUR, 1.0) == Stored(0, 1, 1)
        assert service.add("a", clock.now - HOUR + 1, 2.0) == Stored(1, 0, 2)
        assert service.statistics("a").summary == summary_of([2.0, 0.0])

    def test_too_far_ahead_is_refused_to_the_microsecond(self, service: EventService, clock: FakeClock) -> None:
        assert service.add("a", clock.now + MINUTE, 1.0).stored == 1
        with pytest.raises(TooFarAhead) as refused:
            service.add("a", clock.now + MINUTE + 1, 2.0)
        assert (refused.value.indexes, refused.value.limit) == ([0], MINUTE)
        assert service.statistics().summary == summary_of([1.0])

    def test_an_event_ahead_of_the_clock_counts_at_once(self, service: EventService, clock: FakeClock) -> None:
        service.add("a", clock.now + MINUTE, 1.0)
        assert service.statistics("a", window=1).summary.count == 1

    def test_a_series_too_many_stores_nothing(self, service: EventService) -> None:
        for name in "abcde":
            service.add(name, None, 1.0)
        with pytest.raises(TooManySeries):
            service.add("f", None, 1.0)
        with pytest.raises(TooManySeries):
            service.add_many(["a", "f"], np.array([0, 1], np.uint32), None, np.ones(2))
        assert service.statistics().summary.count == 5
        assert service.events("f", 1) is None


class TestAddMany:
    def test_events_of_several_series_keep_their_order(self, service: EventService, clock: FakeClock) -> None:
        times = np.array([3, 1, 1, 2]) + clock.now - SECOND
        which = np.array([1, 0, 1, 0], np.uint32)
        accepted = service.add_many(["a", "b"], which, times, np.array([1.0, 2.0, 3.0, 4.0]))
        assert accepted == Stored(4, 0, 4)
        assert values_of(service, "a") == [2.0, 4.0]
        assert values_of(service, "b") == [3.0, 1.0]

    def test_no_times_mean_now(self, service: EventService, clock: FakeClock) -> None:
        assert service.add_many(["a"], None, None, np.array([1.0, 2.0])) == Stored(2, 0, 2)
        answer = service.statistics("a", edges=True)
        assert (answer.first, answer.last) == ((clock.now, 1.0), (clock.now, 2.0))

    def test_expired_events_are_counted_and_left_out(self, service: EventService, clock: FakeClock) -> None:
        times = np.array([clock.now - HOUR, clock.now, clock.now - 2 * HOUR])
        which = np.array([0, 1, 2], np.uint32)
        assert service.add_many(["a", "b", "c"], which, times, np.arange(3.0)) == Stored(1, 2, 1)
        assert service.series()[0] == [SeriesInfo("b", (clock.now, 1.0), 1, (clock.now, 1.0), (clock.now, 1.0))]
        assert service.add_many(["b"], None, times, np.arange(3.0)) == Stored(1, 2, 2)
        assert service.statistics("b").summary == summary_of([1.0, 1.0])

    def test_a_batch_of_expired_events_stores_nothing(self, service: EventService) -> None:
        service.add("a", None, 1.0)
        assert add(service, "b", 1.0, 2.0, ago=HOUR) == Stored(0, 2, 1)
        assert service.events("b", 1) is None

    def test_one_event_too_far_ahead_refuses_all_and_names_it(self, service: EventService, clock: FakeClock) -> None:
        times = np.full(300, clock.now)
        times[[5, 7]] += MINUTE + 1
        with pytest.raises(TooFarAhead) as refused:
            service.add_many(["a"], None, times, np.ones(300))
        assert refused.value.indexes == [5, 7]
        with pytest.raises(TooFarAhead) as refused:
            service.add_many(["a"], None, times + MINUTE + 1, np.ones(300))
        assert refused.value.indexes == list(range(100))
        assert service.statistics().summary.count == 0

    def test_a_symbol_too_many_stores_nothing(self, service: EventService) -> None:
        add(service, "a", 1.0, conditions=SYMBOL)
        add(service, "b", 1.0, conditions=SYMBOL)
        with pytest.raises(TooManyKeepers):
            add(service, "c", 1.0, conditions=SYMBOL)
        add(service, "a", 2.0, conditions=SYMBOL)
        assert service.statistics().summary.count == 3
        assert [is_symbol(service, name) for name in "abc"] == [True, True, False]


class TestStatistics:
    def test_windows_are_exact_to_the_microsecond(self, service: EventService, clock: FakeClock) -> None:
        for ago in (0, 1, 999_999, SECOND, SECOND + 1):
            service.add("a", clock.now - ago, float(ago))
        assert service.statistics("a", window=SECOND).summary == summary_of([0.0, 1.0, 999_999.0])
        assert service.statistics(window=SECOND + 1).summary.count == 4
        clock.advance(1)
        assert service.statistics("a", window=SECOND).summary == summary_of([0.0, 1.0])

    def test_the_configured_window_is_the_default(self, store: RecordStore, clock: FakeClock) -> None:
        service = EventService(store, Settings(window=MINUTE), clock)
        add(service, "a", 1.0, ago=2 * MINUTE)
        add(service, "a", 2.0, ago=MINUTE - 1)
        assert service.statistics("a").summary == service.statistics().summary == summary_of([2.0])

    def test_last_counts_kept_events_but_not_within_a_window(self, service: EventService, clock: FakeClock) -> None:
        add(service, "a", 1.0, 2.0, 3.0, 4.0)
        add(service, "b", 9.0)
        clock.advance(2 * HOUR)
        add(service, "a", 5.0)
        assert service.statistics("a", last=2).summary == summary_of([4.0, 5.0])
        assert service.statistics("a", last=100).summary == summary_of([3.0, 4.0, 5.0])
        assert service.statistics(last=100).summary == summary_of([3.0, 4.0, 5.0, 9.0])
        assert service.statistics(last=2).summary == summary_of([9.0, 5.0])
        assert service.statistics("a", last=100, window=HOUR).summary == summary_of([5.0])
        assert service.statistics("b").summary.count == 0

    def test_a_series_never_seen_is_empty(self, service: EventService) -> None:
        service.add("a", None, 1.0)
        answer = service.statistics("b", edges=True)
        assert (answer.summary.count, answer.first, answer.last, answer.position) == (0, None, None, 1)
        assert service.events("b", 5) is None
        assert not is_symbol(service, "b")

    def test_edges_come_only_when_asked_for(self, service: EventService) -> None:
        service.add("a", None, 1.0)
        assert service.statistics("a").first is None
        assert service.statistics("a").last is None

    def test_an_empty_service_answers(self, service: EventService) -> None:
        answer = service.statistics(edges=True)
        assert_summarises(answer.summary, [])
        assert (answer.first, answer.last, answer.position) == (None, None, 0)
        assert service.series() == ([], None, 0)
        assert service.statistics(last=5).summary.count == 0


class TestEvents:
    def test_the_last_ones_oldest_first(self, service: EventService, clock: FakeClock) -> None:
        for ago in (3, 1, 2):
            service.add("a", clock.now - ago, float(ago))
        found = service.events("a", 2)
        assert found is not None
        times, values, position = found
        assert (times.tolist(), values.tolist(), position) == ([clock.now - 2, clock.now - 1], [2.0, 1.0], 3)

    def test_they_are_copies(self, service: EventService) -> None:
        service.add("a", None, 1.0)
        found = service.events("a", 10)
        service.add("a", None, 2.0)
        assert values_of(service, "a") == [1.0, 2.0]
        assert found is not None
        assert found[1].tolist() == [1.0]


class TestListing:
    @pytest.fixture(autouse=True)
    def _series(self, service: EventService) -> None:
        for name in ("b", "ab", "a", "aa", "température"):
            service.add(name, None, 1.0)

    def listed(self, service: EventService, **asked: object) -> tuple[list[str], str | None]:
        infos, following, position = service.series(**asked)  # type: ignore[arg-type]
        assert position == 5
        return [info.name for info in infos], following

    def test_all_by_name(self, service: EventService) -> None:
        assert self.listed(service) == (["a", "aa", "ab", "b", "température"], None)

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6])
    def test_pages_make_up_the_whole(self, service: EventService, limit: int) -> None:
        names: list[str] = []
        after: str | None = None
        while True:
            page, after = self.listed(service, limit=limit, after=after)
            names += page
            if after is None:
                break
            assert (len(page), after) == (limit, page[-1])
        assert names == ["a", "aa", "ab", "b", "température"]

    @pytest.mark.parametrize(
        ("prefix", "after", "limit", "page"),
        [
            ("a", None, 9, (["a", "aa", "ab"], None)),
            ("a", None, 2, (["a", "aa"], "aa")),
            ("a", "aa", 2, (["ab"], None)),
            ("a", "0", 9, (["a", "aa", "ab"], None)),
            ("a", "b", 9, ([], None)),
            ("aa", None, 9, (["aa"], None)),
            ("temp", None, 9, (["température"], None)),
            ("c", None, 9, ([], None)),
            ("", "ab", 1, (["b"], "b")),
            ("", "not there", 9, (["température"], None)),
            ("a", "a", 1, (["aa"], "aa")),
            ("aa", "a", 1, (["aa"], None)),
        ],
    )
    def test_prefix_and_after(
        self, service: EventService, prefix: str, after: str | None, limit: int, page: tuple[list[str], str | None]
    ) -> None:
        assert self.listed(service, prefix=prefix, after=after, limit=limit) == page

    def test_each_tells_its_live_events(self, service: EventService, clock: FakeClock) -> None:
        start = clock.now
        clock.advance(SECOND)
        service.add("a", None, 2.0)
        assert service.series(limit=1)[0] == [SeriesInfo("a", (start, 1.0), 2, (start, 1.0), (clock.now, 2.0))]


def test_a_series_without_live_events_is_still_listed(store: RecordStore, clock: FakeClock) -> None:
    service = EventService(store, Settings(keep_last=0), clock)
    service.add("a", None, 1.0)
    start = clock.now
    clock.advance(HOUR)
    assert service.series()[0] == [SeriesInfo("a", (start, 1.0), 0, None, None)]
    assert values_of(service, "a") == []


class TestTime:
    def test_events_expire_by_the_clock_alone(self, service: EventService, clock: FakeClock) -> None:
        add(service, "a", *range(10))
        clock.advance(HOUR - 1)
        assert service.statistics("a").summary.count == 10
        clock.advance(1)
        assert service.statistics("a").summary.count == 0
        assert values_of(service, "a") == [7.0, 8.0, 9.0]

    def test_pruning_happens_as_the_log_is_cleaned(self, service: EventService, clock: FakeClock) -> None:
        for _ in range(5):
            add(service, "a", *range(2000))
            clock.advance(HOUR)
            clean(service)
            assert service.statistics("a", last=10**9).summary == summary_of([1997.0, 1998.0, 1999.0])
        assert len(service.level().projection.view) < 5000

    def test_kept_events_outlive_quiet_hours(self, store: RecordStore, service: EventService, clock: FakeClock) -> None:
        add(service, "a", *range(100))
        for _ in range(5):
            clock.advance(HOUR)
            service.tick()
        for other in (service, EventService(store, SETTINGS, clock)):
            assert other.statistics("a", last=10).summary == summary_of([97.0, 98.0, 99.0])
            assert other.statistics(last=2).summary == summary_of([98.0, 99.0])
            assert other.statistics("a").summary.count == 0

    def test_a_clock_set_back_by_a_minute_breaks_nothing(self, service: EventService, clock: FakeClock) -> None:
        add(service, "a", *range(10), ago=HOUR - 30 * SECOND)
        add(service, "a", 10.0)
        clock.advance(MINUTE)
        clean(service)
        add(service, "a", 11.0)
        assert service.statistics("a").summary == summary_of([10.0, 11.0])
        clock.advance(-MINUTE)
        assert service.statistics("a").summary == summary_of([10.0, 11.0])  # what has expired stays so
        assert add(service, "a", 12.0, ago=HOUR - 30 * SECOND).expired == 1
        assert service.add("a", None, 13.0).stored == 1
        assert service.statistics("a", window=1).summary == summary_of([10.0, 11.0, 13.0])
        clock.advance(MINUTE)
        assert service.statistics("a").summary == summary_of([10.0, 13.0, 11.0])
        assert service.statistics("a", window=MINUTE).summary == summary_of([11.0])

    def test_the_horizon_rises_in_steps(self, service: EventService, clock: FakeClock) -> None:
        add(service, "a", 1.0)
        clean(service)
        service.statistics()
        horizon = service.level().projection.view.horizon
        for passed in (SECOND, 3 * SECOND):  # a thousandth of the retention is 3.6 s
            clock.advance(passed)
            clean(service)
            service.statistics()
        assert service.level().projection.view.horizon == horizon + 4 * SECOND == clock.now - HOUR


class TestTwoWorkers:
    @pytest.fixture
    def other(self, store: RecordStore, clock: FakeClock) -> EventService:
        """A second view of the same log."""
        return EventService(store, SETTINGS, clock)

    def test_each_sees_what_the_other_was_told(self, service: EventService, other: EventService) -> None:
        for i in range(20):
            writer, reader = (service, other) if i % 2 else (other, service)
            accepted = writer.add("a", None, float(i))
            answer = reader.statistics("a")
            assert answer.position >= accepted.position
            assert answer.summary == summary_of([float(j) for j in range(i + 1)])

    def test_a_series_made_by_the_other_is_known(self, service: EventService, other: EventService) -> None:
        service.add("a", None, 1.0)
        other.add("b", None, 2.0)
        add(service, "c", 3.0, conditions=SYMBOL)
        assert other.statistics("b").summary == summary_of([2.0])
        assert (
            [info.name for info in service.series()[0]] == [info.name for info in other.series()[0]] == ["a", "b", "c"]
        )
        assert is_symbol(other, "c")

    def test_a_fresh_symbol_keeps_all(self, service: EventService, other: EventService, clock: FakeClock) -> None:
        add(service, "s", *range(5000), conditions=SYMBOL)
        clock.advance(3 * HOUR)
        clean(service)
        for view in (service, other, EventService(service.store, SETTINGS, clock)):
            assert view.statistics("s", last=10**8).summary == summary_of([float(i) for i in range(5000)])

    def test_becoming_a_symbol_brings_nothing_back(
        self, service: EventService, other: EventService, clock: FakeClock
    ) -> None:
        add(service, "s", *range(10))
        clock.advance(2 * HOUR)
        clean(service)
        other.statistics()
        add(service, "s", 10.0)
        add(service, "s", 11.0, conditions=SYMBOL)
        clock.advance(2 * HOUR)
        add(other, "s", 12.0)
        clean(other)
        # Its last three were 8, 9 and 10 when it became a symbol.
        for view in (service, other, EventService(service.store, SETTINGS, clock)):
            assert values_of(view, "s") == [8.0, 9.0, 10.0, 11.0, 12.0]
            assert is_symbol(view, "s")

    def test_cleaning_spares_a_series_that_became_a_symbol_unseen(
        self, service: EventService, other: EventService, clock: FakeClock
    ) -> None:
        add(service, "s", *range(10))
        service.statistics()
        add(other, "s", 10.0, conditions=SYMBOL)
        clock.advance(2 * HOUR)
        add(other, "t", 0.0)
        service.housekeeping.upkeep.tick(clock.now)
        assert compact(service.store, service.level().judge)
        for view in (service, other, EventService(service.store, SETTINGS, clock)):
            assert values_of(view, "s") == [float(i) for i in range(11)]

    def test_portions_change_nothing(
        self, service: EventService, other: EventService, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for i in range(60):
            add(service, "s", i, i + 0.5)
            add(service, "t", i)
        service.statistics()
        add(service, "s", 100.0, conditions=SYMBOL)
        clock.advance(2 * HOUR)
        add(service, "t", 100.0)
        clean(service)
        monkeypatch.setattr(applied, "CHUNK", 40)
        with small():  # blocks of a few events are let go of at once
            for view in (service, other, EventService(service.store, SETTINGS, clock)):
                assert view.statistics("s", last=10**8).summary.count == 121
                assert view.statistics("t", last=10**8).summary == summary_of([58.0, 59.0, 100.0])
                assert view.statistics().summary == summary_of([100.0])


@pytest.mark.no_cover
@pytest.mark.soak(seed=(range(1), range(10)), steps=(30, 150))
def test_any_number_of_views_agree_with_a_list(store: RecordStore, clock: FakeClock, seed: int, steps: int) -> None:
    """Two views that live and one that is made anew for each question, under a clock that also steps back."""
    generator = np.random.default_rng(seed)
    settings = Settings(retention=10 * SECOND, window=10 * SECOND, keep_last=4, max_future=SECOND)
    services = [EventService(store, settings, clock) for _ in range(2)]
    everything: list[tuple[int, int, float, str]] = []
    for step in range(steps):
        service = services[step % 2]
        clock.advance(int(generator.choice([0, 1, SECOND, 4 * SECOND, -SECOND, -3 * SECOND])))
        name = "abc"[generator.integers(3)]
        size = int(generator.choice([1, 2, 60]))
        times = clock.now - generator.integers(-SECOND, 12 * SECOND, size)
        values = generator.normal(size=size)
        services[0].statistics()
        horizon = max(clock.now - settings.retention, services[0].log.machine.horizon)
        accepted = service.add_many([name], None, times, values)
        stored = [(int(t), float(v)) for t, v in zip(times, values, strict=True) if t > horizon]
        assert accepted.stored in {len(stored), int((times > clock.now - settings.retention).sum())}
        if accepted.stored != len(stored):
            stored = [
                (int(t), float(v)) for t, v in zip(times, values, strict=True) if t > clock.now - settings.retention
            ]
        first = accepted.position - accepted.stored + 1
        everything += [(t, first + i, v, name) for i, (t, v) in enumerate(stored)]
        if step % 3 == 0:
            service.tick()
        fresh = EventService(store, settings, clock)
        for asked in (services[0], services[1], fresh):
            assert_agrees(asked, everything, max(clock.now - settings.retention, services[0].log.machine.horizon))


def assert_agrees(service: EventService, everything: list[tuple[int, int, float, str]], horizon: int) -> None:
    rows = sorted(everything)
    assert service.statistics().summary == summary_of([v for t, _, v, _ in rows if t > horizon])
    kept = []
    for name in "abc":
        own = [row for row in rows if row[3] == name]
        live = own[min(sum(t <= horizon for t, *_ in own), max(0, len(own) - 4)) :]
        kept += live
        assert service.statistics(name, last=10**9).summary == summary_of([v for _, _, v, _ in live])
        assert service.statistics(name, last=5).summary == summary_of([v for _, _, v, _ in live[-5:]])
    assert service.statistics(last=10**9).summary == summary_of([v for _, _, v, _ in sorted(kept)])
    assert service.statistics(last=7).summary == summary_of([v for _, _, v, _ in sorted(kept)[-7:]])


class SmallStore(MemoryStore):
    """Has room for 40,000 events."""

    def append(self, record: Record, guard: Guard) -> Appended:
        if record.raises is None and self.usage().bytes_used + len(record.payload) > 40_000 * 16:
            raise LogFull("full")
        return super().append(record, guard)

    def usage(self) -> Usage:
        return super().usage()._replace(bytes_allowed=40_000 * 16)


class TestFullLog:
    @pytest.fixture
    def store(self, clock: FakeClock) -> RecordStore:
        return SmallStore(clock.moment)

    def fill(self, service: EventService, clock: FakeClock) -> int:
        """Write until nothing fits any more; how many batches did."""
        batches = 0
        with pytest.raises(LogFull):  # noqa: PT012  # whichever write it is
            while True:
                service.add_many(["a"], None, np.arange(5000) + clock.now - SECOND, np.ones(5000))
                batches += 1
        return batches

    def test_one_that_is_full_is_compacted_and_takes_writes_again(
        self, service: EventService, clock: FakeClock
    ) -> None:
        batches = self.fill(service, clock)
        assert service.statistics().summary.count == 5000 * batches > 10_000
        clock.advance(HOUR)
        clean(service)
        clock.advance(10 * MINUTE)  # for so long readers may still need what was compacted
        service.store.sync()
        assert add(service, "a", *[2.0] * 5000).stored == 5000
        assert service.statistics().summary.count == 5000

    def test_a_write_that_is_refused_stores_nothing(self, service: EventService, clock: FakeClock) -> None:
        batches = self.fill(service, clock)
        with pytest.raises(LogFull):
            add(service, "b", *[2.0] * 20_000)
        assert service.statistics().summary.count == 5000 * batches
        assert service.events("b", 1) is None


class TestAWrongClock:
    """The clock of one host among others: it goes by theirs, and what it stamps on arrival counts for all alike."""

    @pytest.fixture
    def store(self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> RecordStore:
        store = MemoryStore(lambda: Moment(clock.now - 2 * HOUR, clock.now))
        monkeypatch.setattr(store, "corrected", lambda wall: wall - 2 * HOUR)
        return store

    def test_its_own_events_are_dated_by_the_time_of_all(self, service: EventService, clock: FakeClock) -> None:
        service.add("a", None, 1.0)
        clean(service)
        answer = service.statistics("a", window=MINUTE, edges=True)
        assert (answer.summary.count, answer.last) == (1, (clock.now - 2 * HOUR, 1.0))
        assert add(service, "a", 2.0).stored == 1
        with pytest.raises(TooFarAhead):
            service.add("a", clock.now, 3.0)

    def test_one_behind_the_horizon_has_nothing_dead_at_birth(self, clock: FakeClock) -> None:
        store = MemoryStore(clock.moment)
        service = EventService(store, SETTINGS, clock)
        service.add("a", None, 1.0)
        clock.advance(HOUR)
        clean(service)
        clean(service)
        clock.advance(-2 * HOUR)
        for accepted in (service.add("b", None, 2.0), service.add_many(["b"], None, None, np.array([3.0]))):
            assert (accepted.stored, accepted.expired) == (1, 0)
        assert service.statistics("b").summary.count == 2


class TestFollowing:
    @pytest.fixture
    def following(self, store: RecordStore, clock: FakeClock) -> Iterator[EventService]:
        """A service that follows its log in the background."""
        service = EventService(store, SETTINGS, clock, follow=True)
        yield service
        service.close()

    def test_it_is_ready_once_it_has_caught_up(
        self, store: RecordStore, following: EventService, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(applied, "CHUNK", 10)
        writer = EventService(store, SETTINGS, clock)
        for _ in range(10):
            add(writer, "a", *range(10))
        following.start()
        until(following.ready, "ready")
        assert following.statistics("a").summary.count == 100

    def test_a_stopped_one_catches_up_when_asked(self, following: EventService) -> None:
        following.add("a", None, 1.0)
        following.close()
        assert following.ready()
        assert following.statistics("a").summary.count == 1

    def test_without_following_ready_means_catching_up_now(self, service: EventService) -> None:
        service.start()
        service.add("a", None, 1.0)
        assert service.ready()
        service.close()
        service.close()
