"""Questions that are answered in portions: of one moment, whatever happens between two portions."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from event_log.memory_store import MemoryStore
from event_service import EventService
from rolling.block import LATEST
from rolling.percentiles import Percentiles, percent
from rolling.steps import finished
from rolling.window import RollingWindow
from settings import Settings
from tests.conftest import FakeClock
from tests.rolling.model import percentiles_of, summary_of
from tests.rolling.sizes import small
from times import HOUR, MINUTE, SECOND
from view import asking, listings, questions
from view.answers import MOST_POINTS, Extras, Figures, Listed, Order, Scope
from view.listings import Listing, Over, Page

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


def between_portions(monkeypatch: pytest.MonkeyPatch, happen: Between) -> list[int]:
    """Let something happen between any two portions, each of one step; notes how many there were."""
    portions: list[int] = []

    def give_way() -> None:
        portions.append(1)
        happen()

    monkeypatch.setattr(asking, "give_way", give_way)
    monkeypatch.setattr(asking, "run_for", lambda work, seconds: next(work, asking) is asking)
    return portions


def values_of(service: EventService, *names: str, window: int = 40 * MINUTE) -> list[float]:
    found: list[float] = []
    for name in names:
        events = service.events(name, 10**6)
        if events is not None:
            found += events[1][events[0] > service.clock() - window].tolist()
    return found


class TestPercentiles:
    @pytest.mark.parametrize("series", [None, "a"])
    def test_all_of_an_answer_is_of_the_last_moment(
        self, service: EventService, series: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        numbers = count()

        def happen() -> None:
            service.add("a", service.clock() - next(numbers) * MINUTE % (45 * MINUTE), 99.0)
            service.advance()

        with small():
            fill(service, "a", "b")
            portions = between_portions(monkeypatch, happen)
            found = service.statistics(series, window=40 * MINUTE, percentiles=MEDIAN, edges=True)
            assert len(portions) > 3
            assert found.position == 600 + len(portions)
            values = values_of(service, *("ab" if series is None else series))
            assert list(found.percentiles) == percentiles_of(values, MEDIAN)
            assert found.summary == summary_of(values)

    def test_a_series_that_ends_meanwhile_is_empty_and_one_that_begins_anew_is_itself(
        self, service: EventService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for anew in (False, True):
            done: list[int] = []

            def happen(anew: bool = anew, done: list[int] = done) -> None:
                if not done:
                    service.end_series("a")
                    if anew:
                        service.add_many(["a"], None, None, np.array([5.0, 6.0]))
                    while service.advance():
                        pass
                done.append(1)

            with small():
                fill(service, "a", "b")
                between_portions(monkeypatch, happen)
                found = service.statistics("a", percentiles=MEDIAN)
                assert done
                assert list(found.percentiles) == ([5.0, 6.0] if anew else [None, None])
                assert found.summary.count == (2 if anew else 0)
                found = service.statistics("never seen", percentiles=MEDIAN)
                assert list(found.percentiles) == [None, None]


class TestHistory:
    def test_points_are_of_one_moment_and_of_all_that_came(
        self, service: EventService, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for series in (None, "a", "never seen"):
            began = clock()

            def happen(began: int = began) -> None:
                if clock() < began + 15 * MINUTE:
                    clock.advance(MINUTE)
                service.add("a", None, 1.0)
                service.advance()

            with small():
                fill(service, "a", "b", count=1200)
                portions = between_portions(monkeypatch, happen)
                found = service.history(series, window=20 * MINUTE, step=MINUTE, extras=Extras(percentiles=MEDIAN))
                assert len(portions) > 3 or series == "never seen"
                start = (began - 20 * MINUTE) // MINUTE * MINUTE
                assert [begin for begin, _ in found.points] == [start + i * MINUTE for i in range(len(found.points))]
                names = "ab" if series is None else [series]
                values = values_of(service, *names, window=clock() - began + 20 * MINUTE)
                assert sum(figures.summary.count for _, figures in found.points) == len(values)
                assert found.position == service.position()

    def test_steps_that_begin_meanwhile_do_not_keep_it_for_ever(
        self, service: EventService, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def happen() -> None:
            clock.advance(2 * questions.SPARE_STEPS * SECOND)
            service.add("a", None, 1.0)
            service.advance()

        with small():
            fill(service, "a", "b")
            portions = between_portions(monkeypatch, happen)
            found = service.history(window=MINUTE, step=SECOND)
            assert questions.ATTEMPTS <= len(portions) < 20
            assert sum(figures.summary.count for _, figures in found.points[-1:]) == 1
            assert found.position == service.position()

    @pytest.mark.parametrize(
        ("window", "step", "ahead"), [(110 * SECOND, None, 20 * SECOND), (1990 * SECOND, SECOND, 40 * SECOND)]
    )
    def test_what_comes_meanwhile_ahead_of_the_clock_makes_no_other_points_than_had_it_come_before(
        self,
        service: EventService,
        monkeypatch: pytest.MonkeyPatch,
        window: int,
        step: int | None,
        ahead: int,
    ) -> None:
        happened = count()

        def happen() -> None:
            if not next(happened):
                service.add("a", service.clock() + ahead, 7.0)
                service.advance()

        with small():
            fill(service, "a", "b")
            with monkeypatch.context() as patch:
                between_portions(patch, happen)
                found = service.history(window=window, step=step)
            assert next(happened) > 0
            assert found == service.history(window=window, step=step)
            assert len(found.points) <= MOST_POINTS
            assert found.points[-1][1].summary.maximum == 7.0

    def test_a_series_that_ends_meanwhile_leaves_empty_steps(
        self, service: EventService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def happen() -> None:
            service.end_series("a")
            service.advance()

        with small():
            fill(service, "a", "b")
            between_portions(monkeypatch, happen)
            found = service.history("a", step=10 * MINUTE, extras=Extras(percentiles=MEDIAN))
            assert [figures.summary.count for _, figures in found.points] == [0] * 7


class TestListing:
    @pytest.mark.parametrize("limit", [None, 7, 100])
    @pytest.mark.parametrize("visible", [None, lambda name: name[-1] in "02468"])
    def test_the_page_is_of_one_moment(
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

            note()

        answers: dict[int, Listed] = {}

        def note() -> None:
            """Note the whole answer at this position."""
            with service._level as seen:
                page, order = Page("s", limit, "s01"), Order(visible=visible)
                answers[seen.cursor.position] = finished(Listing(seen, page, order, Over(clock() - HOUR)).steps())

        note()
        first = service.position()
        monkeypatch.setattr(listings, "NAMES_AT_A_TIME", 4)
        portions = between_portions(monkeypatch, happen)
        found = service.series("s", limit, "s01", visible)
        assert len(portions) >= 2
        assert found == answers[found[2]]
        assert (found[2] == first) == (visible is None)  # else its moment comes once all names have been looked at
        assert len(answers) > 5
        assert (found[1] is None) == (limit != 7)

    def test_no_portion_looks_into_many_series(self, service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
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
        portions = between_portions(monkeypatch, happen)
        assert len(service.series(limit=None)[0]) == 500
        assert looked == 0
        assert most == 1
        assert len(portions) >= 500

    @pytest.mark.parametrize("seen", ["", "s"])
    def test_no_portion_asks_of_many_names_whether_they_may_be_seen(
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

        monkeypatch.setattr(listings, "NAMES_AT_A_TIME", 20)
        between_portions(monkeypatch, happen)
        assert len(service.series(visible=visible)[0]) == (100 if seen else 0)
        assert max(most) == 20
        assert not asked

    def test_names_that_begin_meanwhile_are_listed_where_they_may_be_seen(
        self, service: EventService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(service, *(f"s{number:02}" for number in range(40)))
        numbers = count()

        def happen() -> None:
            number = next(numbers)
            if number < 4:
                service.add(f"{'rs'[number % 2]}0{number}a", None, 1.0)
                service.advance()

        monkeypatch.setattr(listings, "NAMES_AT_A_TIME", 7)
        between_portions(monkeypatch, happen)
        found = service.series(visible=lambda name: name[0] == "s")
        assert [info.name for info in found[0]] == sorted([*(f"s{number:02}" for number in range(40)), "s01a", "s03a"])
        assert found[2] == service.position()


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
            service.log.raise_horizon(clock() + (15 + len(portions)) * MINUTE)
            service._level.prune()
            service.advance()

        portions = between_portions(monkeypatch, happen)
        order = Order(lambda figures: figures.summary.mean, True)
        found, following, position = service.ranking(
            "s", 5, None, Scope(window=20 * MINUTE), order, Extras(percentiles=MEDIAN)
        )
        assert len(portions) > 5
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

        between_portions(monkeypatch, happen)
        service.ranking("s", 5, None, Scope(window=20 * MINUTE), Order(mean, True), Extras())
        assert len(looked) <= len(names) + 1  # one may be under way when it changes

    def test_whoever_leaves_before_the_end_leaves_no_snapshot_behind(
        self, service: EventService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Gone(Exception):
            """The client has left."""

        def leave() -> None:
            assert service._level.projection.view.snapshots.earliest(LATEST) < LATEST
            raise Gone

        fill(service, *(f"s{number:02}" for number in range(40)))
        between_portions(monkeypatch, leave)
        with pytest.raises(Gone):
            service.series()
        assert service._level.projection.view.snapshots.earliest(LATEST) == LATEST


def test_another_history_is_asked_anew(service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    with small():
        fill(service, "a", "b")
        done: list[int] = []

        def happen() -> None:
            if not done:
                before = service._level.projection
                service.log.retell()
                while service.advance():
                    pass
                assert service._level.projection is not before
            done.append(1)

        between_portions(monkeypatch, happen)
        found = service.statistics(percentiles=MEDIAN)
        assert done
        assert list(found.percentiles) == percentiles_of(values_of(service, "a", "b", window=60 * MINUTE), MEDIAN)


def test_the_follower_lets_go_of_what_percentiles_need(service: EventService, clock: FakeClock) -> None:
    with small():
        fill(service, "a", "b")
        service.tick()
        service.statistics("a", percentiles=MEDIAN)
        memory = service._level.projection.view._memory
        assert memory._held
        for _ in range(6):
            clock.advance(MINUTE + SECOND)
            service.tick()
        assert not memory._held


def test_the_memory_for_percentiles_is_bounded(clock: FakeClock) -> None:
    service = EventService(MemoryStore(clock.moment), Settings(percentile_bytes=0), clock)
    with small():
        fill(service, "a")
        found = service.statistics("a", percentiles=MEDIAN)
        assert list(found.percentiles) == percentiles_of(values_of(service, "a", window=60 * MINUTE), MEDIAN)
        assert service._level.projection.view._memory._held < 6000
