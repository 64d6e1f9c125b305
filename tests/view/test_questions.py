"""Questions that take several turns: their answer is of the moment at which they began, whatever happens meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from event_log.memory_store import MemoryStore
from event_service import EventService
from rolling.epochs import NONE
from rolling.percentiles import Percentiles, percent
from rolling.ranks import Ranks
from rolling.span import Range
from rolling.steps import Pause
from rolling.window import RollingWindow
from settings import Settings
from tests.conftest import FakeClock
from tests.rolling.model import percentiles_of, summary_of
from tests.rolling.sizes import small
from times import HOUR, MINUTE, SECOND
from view import asking
from view.answers import MOST_POINTS, Extras, Figures, Order, Scope
from view.level import MOST_PUT_OFF
from view.listings import Over, Page, listed
from view.snapshots import MOST_ALIVE, Snapshot, Snapshots

SETTINGS = Settings(keep_last=3, idle=0)
MEDIAN = Percentiles((percent("50"), percent("99")))
Between = Callable[[], None]


@pytest.fixture
def service(clock: FakeClock) -> EventService:
    return EventService(MemoryStore(clock.moment), SETTINGS, clock)


def fill(service: EventService, *names: str, count: int = 600) -> None:
    generator = random.Random(1)
    times = np.array([service.clock() - generator.randrange(50 * MINUTE) for _ in range(count)])
    values = np.array([generator.uniform(0, 9) for _ in range(count)])
    service.add_many(names, np.arange(count, dtype=np.uint32) % len(names), times, values)


def between_turns(monkeypatch: pytest.MonkeyPatch, happen: Between) -> list[int]:
    """Let something happen between any two turns, each as short as can be; notes how many there were."""
    turns: list[int] = []

    def give_way() -> None:
        turns.append(1)
        happen()

    monkeypatch.setattr(asking, "give_way", give_way)
    monkeypatch.setattr(asking, "SECONDS", 0.0)
    return turns


def values_of(service: EventService, *names: str, window: int = 40 * MINUTE) -> list[float]:
    found: list[float] = []
    for name in names:
        events = service.events(name, 10**6)
        if events is not None:
            found += events[1][events[0] > service.clock() - window].tolist()
    return found


class TestPercentiles:
    @pytest.mark.parametrize("series", [None, "a"])
    def test_all_of_an_answer_is_of_the_first_moment(
        self, service: EventService, series: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        numbers = count()

        def happen() -> None:
            service.add("a", service.clock() - next(numbers) * MINUTE % (45 * MINUTE), 99.0)
            service.advance()

        with small():
            fill(service, "a", "b")
            values = values_of(service, *("ab" if series is None else series))
            turns = between_turns(monkeypatch, happen)
            found = service.statistics(series, window=40 * MINUTE, percentiles=MEDIAN, edges=True)
            assert len(turns) > 3
            assert service.position() == 600 + len(turns)
            assert (found.position, found.arrived) == (600, 600 if series is None else 300)
            assert list(found.percentiles) == percentiles_of(values, MEDIAN)
            assert found.summary == summary_of(values)

    @pytest.mark.parametrize("anew", [False, True])
    def test_a_series_that_ends_meanwhile_was_there(
        self, service: EventService, anew: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done: list[int] = []

        def happen() -> None:
            if not done:
                service.end_series("a")
                if anew:
                    service.add_many(["a"], None, None, np.array([5.0, 6.0]))
                while service.advance():
                    pass
            done.append(1)

        with small():
            fill(service, "a", "b")
            values = values_of(service, "a", window=60 * MINUTE)
            between_turns(monkeypatch, happen)
            found = service.statistics("a", percentiles=MEDIAN)
            assert done
            assert found.known
            assert list(found.percentiles) == percentiles_of(values, MEDIAN)
            assert list(service.statistics("a", percentiles=MEDIAN).percentiles) == ([5.0, 6.0] if anew else [None] * 2)
            found = service.statistics("never seen", percentiles=MEDIAN)
            assert list(found.percentiles) == [None, None]
            assert not found.known


class TestHistory:
    def test_points_are_of_the_first_moment(
        self, service: EventService, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for series in (None, "a", "never seen"):

            def happen() -> None:
                clock.advance(MINUTE)
                service.add("a", None, 1.0)
                service.advance()

            with small(), monkeypatch.context() as patch:
                fill(service, "a", "b", count=1200)
                names, began, position = "ab" if series is None else [series], clock(), service.position()
                values = values_of(service, *names, window=20 * MINUTE)
                turns = between_turns(patch, happen)
                found = service.history(series, window=20 * MINUTE, step=MINUTE, extras=Extras(percentiles=MEDIAN))
                assert len(turns) > 3
                start = (began - 20 * MINUTE) // MINUTE * MINUTE
                assert [begin for begin, _ in found.points] == [start + i * MINUTE for i in range(len(found.points))]
                assert found.end == (began // MINUTE + 1) * MINUTE
                assert sum(figures.summary.count for _, figures in found.points) == len(values)
                assert found.position == position

    @pytest.mark.parametrize(
        ("window", "step", "ahead"), [(110 * SECOND, None, 20 * SECOND), (1990 * SECOND, SECOND, 40 * SECOND)]
    )
    def test_what_lies_ahead_of_the_clock_is_in_a_step(
        self, service: EventService, window: int, step: int | None, ahead: int
    ) -> None:
        with small():
            fill(service, "a", "b")
            service.add("a", service.clock() + ahead, 7.0)
            found = service.history(window=window, step=step)
            assert len(found.points) <= MOST_POINTS
            assert found.points[-1][1].summary.maximum == 7.0

    def test_a_series_that_ends_meanwhile_was_there(
        self, service: EventService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def happen() -> None:
            service.end_series("a")
            service.advance()

        with small():
            fill(service, "a", "b")
            values = values_of(service, "a", window=60 * MINUTE)
            turns = between_turns(monkeypatch, happen)
            found = service.history("a", step=10 * MINUTE, extras=Extras(percentiles=MEDIAN))
            assert turns
            assert sum(figures.summary.count for _, figures in found.points) == len(values)
            found = service.history("a", step=10 * MINUTE, extras=Extras(percentiles=MEDIAN))
            assert [figures.summary.count for _, figures in found.points] == [0] * 7


class TestListing:
    @pytest.mark.parametrize("limit", [None, 7, 100])
    @pytest.mark.parametrize("visible", [None, lambda name: name[-1] in "02468"])
    def test_the_page_is_of_the_first_moment(
        self,
        service: EventService,
        clock: FakeClock,
        limit: int | None,
        visible: Callable[[str], bool] | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        generator = random.Random(3)
        names = [f"s{number:02}" for number in range(60)]
        fill(service, *names)
        happened = count()

        def happen() -> None:
            number = next(happened)
            if number < 30:
                service.add(generator.choice(names), service.clock() - generator.randrange(30 * MINUTE), 50.0)
            if number in (3, 9):
                service.end_series(names.pop(number))
                service.add(f"s0{number}a", None, 1.0)
            if number == 20:
                service.log.raise_horizon(clock() + 30 * MINUTE)
            service.advance()

        with service.level() as seen:
            page, order = Page("s", limit, "s01"), Order(visible=visible)
            expected = listed(seen, page, order, Over(clock() - HOUR))
        turns = between_turns(monkeypatch, happen)
        assert service.series("s", limit, "s01", visible) == expected
        assert len(turns) >= 2
        assert (expected[1] is None) == (limit != 7)

    def test_few_series_are_looked_into_in_a_turn(self, service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
        names = [f"s{number:03}" for number in range(500)]
        fill(service, *names, count=1000)
        looked, most = 0, 0
        live = RollingWindow.live

        def counted(window: RollingWindow, cutoff: int) -> int:
            nonlocal looked
            looked += 1
            return live(window, cutoff)

        def happen() -> None:
            nonlocal looked, most
            looked, most = 0, max(most, looked)

        monkeypatch.setattr(RollingWindow, "live", counted)
        turns = between_turns(monkeypatch, happen)
        assert len(service.series(limit=None)[0]) == 500
        assert looked <= 1
        assert most <= 2  # one of them by the first try
        assert len(turns) >= 500

    @pytest.mark.parametrize("seen", ["", "s"])
    def test_few_names_are_asked_in_a_turn_whether_they_may_be_seen(
        self, service: EventService, seen: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(service, *(f"s{number:03}" for number in range(500)))
        asked: list[str] = []
        most: list[int] = []

        def visible(name: str) -> bool:
            asked.append(name)
            return name.startswith(seen or "none")

        def happen() -> None:
            most.append(len(asked))
            asked.clear()

        between_turns(monkeypatch, happen)
        assert len(service.series(visible=visible)[0]) == (100 if seen else 0)
        assert max(most) <= 2

    def test_count_and_figures_are_of_one_moment(self, service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
        """The count was that of a later moment than the statistics."""
        names = [f"s{number:02}" for number in range(40)]
        fill(service, *names)

        def happen() -> None:
            service.add_many(names, np.arange(len(names), dtype=np.uint32), None, np.full(len(names), 50.0))
            service.advance()

        turns = between_turns(monkeypatch, happen)
        order, scope = Order(lambda figures: figures.summary.count, True), Scope(window=60 * MINUTE)
        found, _, position = service.ranking("s", 40, None, scope, order, Extras())
        assert turns
        assert position == 600
        assert [info.figures and info.figures.summary.count for info in found] == [info.count for info in found]
        assert sum(info.count for info in found) == 600


class TestRanking:
    def test_the_order_and_all_figures_are_of_the_moment_of_the_question(
        self, service: EventService, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        generator = random.Random(2)
        names = [f"s{number:02}" for number in range(40)]
        fill(service, *names)
        means = {name: service.statistics(name, window=20 * MINUTE).summary.mean for name in names}
        best = sorted(names, key=lambda name: (-(means[name] or -1e9), name))[:5]
        values = {name: values_of(service, name, window=20 * MINUTE) for name in best}
        ended: list[str] = []

        def happen() -> None:
            service.add(generator.choice(names), service.clock() - generator.randrange(30 * MINUTE), 50.0)
            if len(ended) < 3:
                ended.append(names.pop())
                service.end_series(ended[-1])
            service.log.raise_horizon(clock() + (15 + len(turns)) * MINUTE)
            service.level().prune()
            service.advance()

        turns = between_turns(monkeypatch, happen)
        order = Order(lambda figures: figures.summary.mean, True)
        found, following, position = service.ranking(
            "s", 5, None, Scope(window=20 * MINUTE), order, Extras(percentiles=MEDIAN)
        )
        assert len(turns) > 5
        assert (following, position) == (None, 600)
        assert [info.name for info in found] == best
        for info in found:
            own = values[info.name]
            assert info.figures == Figures(summary_of(own), None, None, percentiles_of(own, MEDIAN))

    def test_each_series_is_worked_out_once_while_all_are_written(
        self, service: EventService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Steady writes had all of them worked out again and again, and at last in one portion."""
        names = [f"s{number:02}" for number in range(40)]
        fill(service, *names)
        looked: list[float | None] = []

        def mean(figures: Figures) -> float | None:
            looked.append(figures.summary.mean)
            return figures.summary.mean

        def happen() -> None:
            service.add_many(names, np.arange(len(names), dtype=np.uint32), None, np.full(len(names), 50.0))
            service.advance()

        between_turns(monkeypatch, happen)
        service.ranking("s", 5, None, Scope(window=20 * MINUTE), Order(mean, True), Extras())
        assert len(looked) <= len(names) + 1  # one by the first try
        looked.clear()
        service.ranking("s", 5, None, Scope(window=20 * MINUTE), Order(mean, True), Extras())
        assert len(looked) == len(names)  # it took long the last time: there is no first try


def test_a_history_with_percentiles_is_worked_out_once_while_all_are_written(
    service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{number:02}" for number in range(40)]
    looked: list[int] = []
    percentiles = Ranks.percentiles

    def counted(ranks: Ranks, ranges: list[Range], wanted: Percentiles, pause: Pause) -> list[float | None]:
        looked.append(1)
        return percentiles(ranks, ranges, wanted, pause)

    def happen() -> None:
        service.add_many(names, np.arange(len(names), dtype=np.uint32), None, np.full(len(names), 50.0))
        service.advance()

    with small():
        fill(service, *names)
        monkeypatch.setattr(Ranks, "percentiles", counted)
        turns = between_turns(monkeypatch, happen)
        found = service.history(window=40 * MINUTE, step=MINUTE, extras=Extras(percentiles=MEDIAN))
    assert len(turns) > 40
    assert len(looked) == len(found.points) == 41


class Gone(Exception):
    """The client has left."""


def test_whoever_leaves_before_the_end_leaves_no_snapshot_behind(
    service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave() -> None:
        assert service.level().projection.view.epochs.frozen >= 0
        raise Gone

    fill(service, *(f"s{number:02}" for number in range(40)))
    with monkeypatch.context() as patch:
        between_turns(patch, leave)
        with pytest.raises(Gone):
            service.series()
    assert service.level().lock.acquire(timeout=60)  # nobody has it, though it was left without
    service.level().lock.release()
    service.add("s00", None, 1.0)
    with service.level() as projection:  # who writes next, counts it off
        assert projection.view.epochs.frozen == NONE


def test_a_question_of_a_kind_that_is_quick_again_takes_no_snapshot(
    service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(service, *(f"s{number:02}" for number in range(40)))
    service.series()
    slow = service.level().projection.snapshots.slow
    with monkeypatch.context() as patch:
        between_turns(patch, lambda: None)
        service.series()
    assert slow == {"listing"}
    monkeypatch.setattr(asking, "SECONDS", 3600.0)
    service.series()
    assert not slow
    epoch = service.level().projection.view.epochs.now
    service.series()
    assert service.level().projection.view.epochs.now == epoch


def test_questions_of_one_place_share_a_snapshot_and_a_third_waits(
    service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(service, *(f"s{number:02}" for number in range(40)))
    alive: list[int] = []
    level = service.level()

    def happen() -> None:
        alive.append(len(level.projection.snapshots.alive))
        if len(alive) == 5:
            assert service.series()[2] == 600  # shares the one there is
            service.add("s00", None, 1.0)
            assert service.series()[2] == 601  # has one of its own
            with level as projection:
                other = projection.snapshot()
                assert other is not None
                assert projection.snapshot() is other
            service.add("s00", None, 1.0)
            with level as projection:
                assert projection.snapshot() is None
                for _ in range(2):
                    projection.snapshots.leave(other)

    between_turns(monkeypatch, happen)
    assert service.series()[2] == 600
    assert max(alive) == 2


def test_the_number_of_snapshots_and_the_age_of_the_oldest_are_told(service: EventService) -> None:
    fill(service, "a")
    seconds = [100.0]
    held: list[Snapshot] = []
    with service._level as projection:
        projection.snapshots = Snapshots(lambda: seconds[0])
    for expected in ((0, 0.0), (1, 3.0), (2, 6.0)):
        assert service.snapshots() == expected
        with service._level as projection:
            snapshot = projection.snapshot()
        if snapshot is not None:
            held.append(snapshot)
        service.add("a", None, 1.0)
        seconds[0] += 3
    projection.snapshots.leave(held[0])
    assert service.snapshots() == (1, 6.0)
    projection.snapshots.leave(held[1])
    assert service.snapshots() == (0, 0.0)


def test_a_question_waits_until_a_snapshot_is_free(service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(service, *(f"s{number:02}" for number in range(40)))
    held: list[Snapshot] = []
    level = service.level()
    for _ in range(MOST_ALIVE):
        with level as projection:
            snapshot = projection.snapshot()
            assert snapshot is not None
            held.append(snapshot)
        service.add("s00", None, 1.0)
    waited = count()

    def happen() -> None:
        if next(waited) == 4:
            level.projection.snapshots.leave(held.pop())

    between_turns(monkeypatch, happen)
    assert service.series()[2] == 602
    assert next(waited) > 40


def test_another_history_is_asked_anew(service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    with small():
        fill(service, "a", "b")
        done: list[int] = []

        def happen() -> None:
            if not done:
                before = service.level().projection
                service.log.retell()
                while service.advance():
                    pass
                assert service.level().projection is not before
            done.append(1)

        between_turns(monkeypatch, happen)
        found = service.statistics(percentiles=MEDIAN)
        assert done
        assert list(found.percentiles) == percentiles_of(values_of(service, "a", "b", window=60 * MINUTE), MEDIAN)


def test_the_follower_lets_go_of_what_percentiles_need(service: EventService, clock: FakeClock) -> None:
    with small():
        fill(service, "a", "b")
        service.tick()
        service.statistics("a", percentiles=MEDIAN)
        ranks = service.level().projection.view.ranks
        assert ranks.held
        for _ in range(6):
            clock.advance(MINUTE + SECOND)
            service.tick()
        assert not ranks.held


def test_the_memory_for_percentiles_is_bounded(clock: FakeClock) -> None:
    service = EventService(MemoryStore(clock.moment), Settings(percentile_bytes=0), clock)
    with small():
        fill(service, "a")
        found = service.statistics("a", percentiles=MEDIAN)
        assert list(found.percentiles) == percentiles_of(values_of(service, "a", window=60 * MINUTE), MEDIAN)
        assert service.level().projection.view.ranks.held == 0


def test_pruning_is_put_off_while_a_snapshot_lives_but_not_for_long(service: EventService, clock: FakeClock) -> None:
    with small():
        fill(service, "a", "b")
        level = service.level()
        with level as projection:
            snapshot = projection.snapshot()
            projection.view.raise_horizon(clock())
            before = len(projection.view)
        assert snapshot is not None
        for _ in range(MOST_PUT_OFF - 1):
            level.prune()
        assert len(projection.view) == before
        level.prune()
        assert len(projection.view) < before == len(snapshot.view)
        projection.snapshots.leave(snapshot)
