"""Several questions at once, a turn of each after the other, while events come, age and go, series end, and rules
change: each answer is what a model that sorts everything anew says of the moment at which it began.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from event_log.memory_store import MemoryStore
from event_service import EventService
from rolling.grid import edges, touched
from rolling.percentiles import Percentiles, percent
from rolling.span import Span
from settings import Settings
from tests.conftest import FakeClock
from tests.rolling.model import Model, Row, percentiles_of, summary_of
from tests.rolling.sizes import small
from times import MINUTE, SECOND
from view.answers import Extras, Figures, History, Order, Scope, SeriesInfo
from view.listings import Over, Page, listed
from view.snapshots import Seen

NAMES = ("a", "ab", "b", "c", "d")
RETENTION = 10 * MINUTE
EXTRAS = Extras(edges=True, percentiles=Percentiles((percent("50"), percent("1"))))
Question = Callable[[Seen], object]


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
        self.starts = self.answered = 0

    def happen(self) -> None:
        """Let something happen that shapes answers, or lets go of what is dead."""
        acts = self.add, self.age, self.service.tick, self.service.level().prune, self.end, self.change_rules
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

    def ask(self, depth: int = 0) -> None:
        """Put a question to a snapshot, in whose pauses things happen and further questions are asked."""
        with self.service.level() as projection:
            snapshot = projection.snapshot()
            if snapshot is None:  # as many live as may
                return
            self.model.prune(projection.view.horizon)
            question, expected = self.generator.choice((self.statistics, self.history, self.listing))(snapshot)
            mine = partial(self.pause, snapshot, depth)
            snapshot.view.pause_by(mine)
            assert question(snapshot) == expected
            self.answered += 1
            projection.snapshots.leave(snapshot)

    def pause(self, seen: Seen, depth: int) -> None:
        """Let others in, as `view.asking.ask` does."""
        mine = seen.view.pause
        if self.generator.random() < 0.03:
            self.happen()
        if depth < 2 and self.generator.random() < 0.01:
            self.ask(depth + 1)
        seen.view.pause_by(mine)

    def span(self, scope: Scope) -> Span:
        now = self.clock()
        return Span(now - RETENTION, None if scope.window is None else now - scope.window, None, scope.last)

    def statistics(self, seen: Seen) -> tuple[Question, object]:
        name, now = self.generator.choice((None, *NAMES)), self.clock()
        scope = Scope(self.generator.choice((MINUTE, RETENTION)), self.generator.choice((None, 5, 50)))
        scope = self.generator.choice((scope, Scope(None, 20)))
        figures = self.figures(self.rows(name, self.span(scope)))

        def question(seen: Seen) -> Figures:
            answer = self.service._statistics(seen, name, scope, EXTRAS, now)
            return Figures(answer.summary, answer.first, answer.last, answer.percentiles)

        return question, figures

    def history(self, seen: Seen) -> tuple[Question, object]:
        name, now = self.generator.choice((None, *NAMES)), self.clock()
        window, step = self.generator.choice((MINUTE, RETENTION)), self.generator.choice((SECOND, MINUTE))
        span = self.span(Scope(window))
        assert span.after is not None
        rows = self.rows(name, span)
        until = max(now, rows[-1][0] if rows else 0)
        *starts, end = edges(span.after, step, touched(span.after, until, step))
        points = [(start, self.figures([row for row in rows if start <= row[0] < start + step])) for start in starts]
        expected = History(step, points, end, seen.cursor.position)
        assert sum(figures.summary.count for _, figures in points) == len(rows)
        return lambda seen: self.service._history(seen, name, Scope(window), step, EXTRAS, now), expected

    def listing(self, seen: Seen) -> tuple[Question, object]:
        over = Over(self.clock() - RETENTION, self.span(Scope(MINUTE)), EXTRAS)
        page = Page(limit=self.generator.choice((2, None)))
        by_count = self.generator.choice((True, False))
        order = Order((lambda figures: figures.summary.count) if by_count else None, by_count)

        assert over.span is not None
        rows = {name: self.rows(name, over.span) for name in sorted(self.ids)}
        names = sorted(rows, key=lambda name: -len(rows[name])) if by_count else list(rows)
        expected = []
        for name in names[: page.limit]:
            live, entry = self.figures(self.rows(name, Span(over.cutoff))), seen.series[self.ids[name]]
            begin = entry.created, entry.initial
            figures = self.figures(rows[name])
            expected.append(SeriesInfo(name, begin, live.summary.count, live.first, live.last, figures))
        following = None if by_count or len(names) == len(expected) else expected[-1].name
        answer = expected, following, seen.cursor.position
        return lambda seen: listed(seen, page, order, over), answer


@pytest.fixture(autouse=True)
def small_sizes() -> Iterator[None]:
    with small():
        yield


@pytest.mark.soak(seed=(range(2), range(60)))
def test_every_answer_is_of_the_moment_at_which_it_began(seed: int) -> None:
    world = World(random.Random(seed))
    world.add()
    for _ in range(40):
        world.happen()
        world.ask()
    assert world.answered > 30
    with world.service.level() as projection:
        projection.snapshots.settle()
        assert not projection.snapshots.alive
        projection.view.check()
