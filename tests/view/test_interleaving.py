"""Several questions at once, a portion of each in turn, while events come, age and go, series end, and rules change:
each answer is what a model that sorts everything anew says of the moment of its last portion, or of a listing's first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from event_log.memory_store import MemoryStore
from event_service import EventService
from rolling.grid import edges
from rolling.percentiles import Percentiles, percent
from rolling.span import Span
from settings import Settings
from tests.conftest import FakeClock
from tests.rolling.model import Model, Row, percentiles_of, summary_of
from tests.rolling.sizes import small
from times import MINUTE, SECOND
from view import listings
from view.answers import Extras, Figures, History, Listed, Order, Scope, SeriesInfo
from view.listings import Listing, Over, Page
from view.projection import Projection

NAMES = ("a", "ab", "b", "c", "d")
RETENTION = 10 * MINUTE
EXTRAS = Extras(edges=True, percentiles=Percentiles((percent("50"), percent("1"))))
Check = Callable[[Projection, Any], None]


@dataclass
class Asked:
    """A question under way, and what is to be projection of its answer at that moment."""

    projection: Projection
    steps: Iterator[None]
    check: Check


@dataclass
class World:
    """A service and the model beside it."""

    generator: random.Random
    clock: FakeClock = field(default_factory=FakeClock)
    model: Model = field(default_factory=Model)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock.moment)
        settings = Settings(keep_last=0, idle=0, retention=RETENTION, window=RETENTION)
        self.service = EventService(self.store, settings, self.clock)
        self.service.start()
        self.starts = 0

    def happen(self) -> None:
        """Let something happen that shapes answers, or lets go of what is dead."""
        acts = self.add, self.age, self.service.tick, self.service._level.prune, self.end, self.change_rules
        [act] = self.generator.choices(acts, (12, 5, 2, 2, 1, 1))
        act()
        while self.service.advance():
            pass

    def add(self) -> None:
        name = self.generator.choice(NAMES)
        for _ in range(self.generator.choice((1, 3, 40))):
            time = self.clock() + self.generator.choice((0, -5 * SECOND, self.generator.randrange(-RETENTION, MINUTE)))
            value = float(self.generator.choice((0, 1, 2, 4, 5, 6, self.generator.uniform(-1e3, 1e3))))
            new = name not in self.ids
            if not self.service.add(name, time, value).stored:
                continue
            if new:
                self.model.register(self.ids[name], None)
            self.model.add(self.ids[name], time, value, self.store.end().position)

    def age(self) -> None:
        self.clock.advance(self.generator.choice((1, SECOND, MINUTE)))

    def end(self) -> None:
        name = self.generator.choice(NAMES)
        if name in self.ids:
            self.model.end_series(self.ids[name])
            self.service.end_series(name)

    def change_rules(self) -> None:
        self.starts += 1
        log = self.service.log
        rules = log.machine.rules._replace(keep_last=self.generator.choice((0, 3, 30)))
        if self.store.end().position and rules.keep_last != self.model.keep_last:
            log.catch_up()
            self.model.change_keep(None, max(0, log.machine.horizon), rules.keep_last)
            log.claim(rules, str(self.starts))

    @property
    def ids(self) -> dict[str, int]:
        return self.service.log.machine.series.ids

    def rows(self, name: str | None, span: Span) -> list[Row]:
        if name is not None and name not in self.ids:
            return []
        number = None if name is None else self.ids[name]
        return self.model.rows(number, span.after, span.cutoff, span.last, span.until)

    def figures(self, rows: list[Row]) -> Figures:
        values = [value for _, _, value in rows]
        first, last = ((rows[0][0], rows[0][2]), (rows[-1][0], rows[-1][2])) if rows else (None, None)
        assert EXTRAS.percentiles is not None
        return Figures(summary_of(values), first, last, percentiles_of(values, EXTRAS.percentiles))

    def ask(self) -> Asked:
        """Begin with a question."""
        with self.service._level as projection:
            return self.generator.choice((self.statistics, self.history, self.listing))(projection)

    def span(self, scope: Scope) -> Span:
        now = self.clock()
        return Span(now - RETENTION, None if scope.window is None else now - scope.window, None, scope.last)

    def statistics(self, projection: Projection) -> Asked:
        name = self.generator.choice((None, *NAMES))
        scope = Scope(self.generator.choice((MINUTE, RETENTION)), self.generator.choice((None, 5, 50)))
        scope = self.generator.choice((scope, Scope(None, 20)))
        span = self.span(scope)

        def check(projection: Projection, answer: Figures) -> None:
            found = Figures(answer.summary, answer.first, answer.last, answer.percentiles)
            assert found == self.figures(self.rows(name, span))

        return Asked(projection, self.service._statistics(projection, name, scope, EXTRAS), check)

    def history(self, projection: Projection) -> Asked:
        name = self.generator.choice((None, *NAMES))
        window, step = self.generator.choice((MINUTE, RETENTION)), self.generator.choice((SECOND, MINUTE))
        span = self.span(Scope(window))
        assert span.after is not None
        after = span.after

        def check(projection: Projection, answer: History) -> None:
            starts = edges(after, step, len(answer.points))
            rows = self.rows(name, span)
            assert answer.end == starts.pop()
            assert answer.points == [
                (start, self.figures([row for row in rows if start <= row[0] < start + step])) for start in starts
            ]
            assert sum(figures.summary.count for _, figures in answer.points) == len(rows)

        return Asked(projection, self.service._history(projection, name, Scope(window), step, EXTRAS), check)

    def listing(self, projection: Projection) -> Asked:
        over = Over(self.clock() - RETENTION, self.span(Scope(MINUTE)), EXTRAS)
        page = Page(limit=self.generator.choice((2, None)))
        by_count = self.generator.choice((True, False))
        order = Order((lambda figures: figures.summary.count) if by_count else None, by_count)

        assert over.span is not None
        self.model.prune(projection.view.horizon)
        rows = {name: self.rows(name, over.span) for name in sorted(self.ids)}
        names = sorted(rows, key=lambda name: -len(rows[name])) if by_count else list(rows)
        expected = []
        for name in names[: page.limit]:
            live, entry = self.figures(self.rows(name, Span(over.cutoff))), projection.series[self.ids[name]]
            begin = entry.created, entry.initial
            figures = self.figures(rows[name])
            expected.append(SeriesInfo(name, begin, live.summary.count, live.first, live.last, figures))
        following = None if by_count or len(names) == len(expected) else expected[-1].name
        position = projection.cursor.position

        def check(projection: Projection, answer: Listed) -> None:
            assert answer == (expected, following, position)

        return Asked(projection, Listing(projection, page, order, over).steps(), check)

    def go_on(self, asked: Asked) -> bool:
        """Take a step of a question; whether it has been answered, or has to be asked anew."""
        with self.service._level.held() as projection:
            if asked.projection is not projection:
                return True
            try:
                next(asked.steps)
            except StopIteration as end:
                self.model.prune(projection.view.horizon)
                asked.check(projection, end.value)
                return True
        return False


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(listings, "NAMES_AT_A_TIME", 2)
    with ExitStack() as stack:
        stack.enter_context(small())
        yield


@pytest.mark.soak(seed=(range(2), range(60)))
def test_every_answer_is_of_the_moment_of_its_last_portion(seed: int) -> None:
    world = World(random.Random(seed))
    world.add()
    under_way: list[Asked] = []
    answered = 0
    for _ in range(1500):
        if world.generator.random() < 0.15:
            world.happen()
        if len(under_way) < 4:
            under_way.append(world.ask())
            if world.go_on(under_way[-1]):  # it reads the clock at once
                under_way.pop()
        for asked in list(under_way):
            if world.go_on(asked):
                under_way.remove(asked)
                answered += 1
    assert answered > 3
