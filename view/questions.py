"""What can be asked of the events: each answer is exact, of one moment, and knows all that was acknowledged before.

A question of microseconds is answered under the view's lock at once; one that may take long goes in portions, by
`view.asking.ask`, and is then of the moment of the last; a listing is of that at which it began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from event_log.batch import Times, Values
from event_log.rules import Rules
from rolling.block import LATEST, NOTHING
from rolling.grid import edges, preferred_step, touched
from rolling.histogram import Divide, Histogram
from rolling.history import Point
from rolling.percentiles import Percentiles
from rolling.span import Span
from rolling.steps import Steps, finished
from rolling.view import Tail
from rolling.window import RollingWindow
from settings import Settings
from view.answers import (
    MOST_POINTS,
    NO_EXTRAS,
    Answer,
    Course,
    Extras,
    Figures,
    History,
    Listed,
    Order,
    OutOfReach,
    Replayed,
    Scope,
    TooManyPoints,
)
from view.asking import ask
from view.level import Level
from view.listings import Listing, Over, Page, end_of
from view.projection import Projection

SPARE_STEPS = 64
"""So many steps may begin while a history is worked out."""
ATTEMPTS = 3
"""So often may more steps than those begin, or the series end; then nobody is let in any more."""
NEVER_SEEN = -1
"""Stands for the id of a series that is not there."""


class Questions:
    """The reading half of the service."""

    _level: Level
    """Made by `start`, in the process that uses it."""

    def __init__(self, settings: Settings, clock: Callable[[], int]) -> None:
        self.settings = settings
        self.clock = clock

    def start(self) -> None:
        """Use the log from now on in this process. Raises LogUnavailable."""
        raise NotImplementedError

    def statistics(
        self,
        series: str | None = None,
        *,
        window: int | None = None,
        last: int | None = None,
        at: int | None = None,
        edges: bool = False,
        percentiles: Percentiles | None = None,
    ) -> Answer:
        """The statistics of a series, or of all, over what a Scope of these describes; a series never seen is empty.
        Raises OutOfReach."""
        self.start()
        scope, extras = Scope(window, last, at), Extras(edges, percentiles)
        if percentiles is not None or (series is None and window is None and last is not None):
            return ask(self._level, lambda projection: self._statistics(projection, series, scope, extras))
        with self._level as projection:
            span, number = self._span(projection, scope, self.clock()), _number(projection, series)
            tail = projection.view.tail(number, span.after, span.cutoff, last, edges, span.until)
            return _answer(projection, number, tail)

    def rules_in_force(self) -> tuple[Rules, int]:
        """Return what the log has in force, and how far the view had read."""
        self.start()
        with self._level as projection:
            return projection.rules, projection.cursor.position

    def histogram(self, series: str | None, scope: Scope, divide: Divide) -> tuple[Histogram, int]:
        """Count the events of a scope of a series, or of all, by their values; also how far the view had read. Raises
        OutOfReach."""
        self.start()
        return ask(self._level, lambda projection: self._histogram(projection, series, scope, divide))

    def history(
        self,
        series: str | None = None,
        *,
        window: int | None = None,
        step: int | None = None,
        at: int | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> History:
        """The events of a window of a series, or of all, laid out in steps. Raises OutOfReach, TooManyPoints."""
        self.start()
        scope = Scope(window, None, at)
        return ask(self._level, lambda projection: self._history(projection, series, scope, step, extras))

    def series(
        self,
        prefix: str = "",
        limit: int | None = 100,
        after: str | None = None,
        visible: Callable[[str], bool] | None = None,
    ) -> Listed:
        """Up to `limit` series by name, or all, those that begin with `prefix`, come behind `after` and are visible;
        then the name to go on after, None at the end; then how far the view had read."""
        self.start()
        page, order = Page(prefix, limit, after), Order(visible=visible)

        def question(projection: Projection) -> Steps[Listed]:
            return Listing(projection, page, order, Over(self.clock() - projection.rules.retention)).steps()

        return ask(self._level, question)

    def ranking(self, prefix: str, limit: int, after: str | None, scope: Scope, order: Order, extras: Extras) -> Listed:
        """As `series`, with the figures of each series over a scope, in this order. There is no name to go on after
        but in the order of names."""
        self.start()
        page = Page(prefix, limit, after)

        def question(projection: Projection) -> Steps[Listed]:
            now = self.clock()
            over = Over(now - projection.rules.retention, self._span(projection, scope, now), extras)
            return Listing(projection, page, order, over).steps()

        return ask(self._level, question)

    def events(self, series: str, limit: int) -> tuple[Times, Values, int] | None:
        """Times and values of the last live events of a series, oldest first, and how far the view had read;
        None for a series never seen."""
        found = self.course(series, limit)
        return None if found.initial is None else (found.times, found.values, found.position)

    def course(self, series: str, limit: int) -> Course:
        """The last live events of a series, and how it began."""
        self.start()
        with self._level as projection:
            cutoff = self.clock() - projection.rules.retention
            number, position = projection.ids.get(series), projection.cursor.position
            if number is None:
                return Course(None, NOTHING[0], NOTHING[2], position)
            window, known = projection.view.windows[number], projection.series[number]
            times, _, values = window.rows(min(limit, window.live(max(cutoff, projection.view.horizon))))
            return Course((known.created, known.initial), times, values, position)

    def replay(self, series: str, after: int, limit: int) -> Replayed:
        """Up to `limit` events of a series behind a position, the first ones, from the view. A series never seen has
        none."""
        self.start()
        return ask(self._level, lambda projection: self._replay(projection, series, after, limit))

    def _span(self, projection: Projection, scope: Scope, now: int) -> Span:
        window, last, at = scope
        retention = projection.rules.retention
        cutoff = now - retention
        if window is None and last is None:
            window = projection.rules.window
        if at is None:
            return Span(cutoff, None if window is None else now - min(window, retention), None, last)
        end = max(cutoff, projection.view.horizon)
        if window is None:
            window = max(at - end, 0)
        if not end + window <= at <= now + projection.rules.max_future:
            raise OutOfReach(at, window, end + window, now + projection.rules.max_future)
        return Span(cutoff, at - window, at, last)

    def _statistics(self, projection: Projection, series: str | None, scope: Scope, extras: Extras) -> Steps[Answer]:
        span = self._span(projection, scope, self.clock())
        while True:
            number = _number(projection, series)
            tail, percentiles = yield from projection.view.figures(
                number, span, ends=extras.edges, wanted=extras.percentiles
            )
            if number == _number(projection, series):
                return _answer(projection, number, tail, percentiles)

    def _histogram(
        self, projection: Projection, series: str | None, scope: Scope, divide: Divide
    ) -> Steps[tuple[Histogram, int]]:
        span = self._span(projection, scope, self.clock())
        while True:
            number = _number(projection, series)
            found = yield from projection.view.histogram(number, span, divide)
            if number == _number(projection, series):
                return found, projection.cursor.position

    def _history(
        self, projection: Projection, series: str | None, scope: Scope, step: int | None, extras: Extras
    ) -> Steps[History]:
        now = self.clock()
        span = self._span(projection, scope, now)
        assert span.after is not None
        for attempt in count(1):
            number = _number(projection, series)
            # Without a moment the window has no end: some events may be dated ahead of the clock.
            until = max(now, projection.view.newest(number)) if span.until is None else span.until
            length = step or preferred_step(span.after, until)
            if (steps := touched(span.after, now if span.until is None else until, length)) > MOST_POINTS:
                raise TooManyPoints(steps)
            bounds = _bounds(span.after, until, length, spare=span.until is None)
            work = projection.view.history(
                number,
                span.after,
                LATEST if span.until is None else until,
                bounds,
                ends=extras.edges,
                wanted=extras.percentiles,
            )
            points = (yield from work) if attempt <= ATTEMPTS else finished(work)
            until = max(until, projection.view.newest(number)) if span.until is None else until
            fits = until < bounds[-1] and length == (step or preferred_step(span.after, until))
            if number == _number(projection, series) and fits:
                break
        shown = min(touched(span.after, until, length), len(points))
        end = (until // length + 1) * length
        figures = list(zip(bounds, map(_figures_of, points[:shown]), strict=False))
        return History(length, figures, end, projection.cursor.position)

    def _replay(self, projection: Projection, series: str, after: int, limit: int) -> Steps[Replayed]:
        window: RollingWindow | None = None
        found = NOTHING
        while (number := projection.ids.get(series)) is not None and window is not projection.view.windows[number]:
            window = projection.view.windows[number]
            found = yield from window.behind(after, limit + 1, lambda: projection.cursor.position)
        times, positions, values = found if number is not None else NOTHING
        position = projection.cursor.position
        lost = (
            after > position or after < projection.ended_at(series) or any(after < end for _, end in projection.jumps)
        )
        return Replayed(
            positions[:limit],
            times[:limit],
            values[:limit],
            lost or (number is not None and projection.view.windows[number].forgotten > after),
            more=len(positions) > limit,
            position=position,
        )


def _bounds(after: int, until: int, length: int, *, spare: bool) -> list[int]:
    """Where the steps of a history begin, and where the last one ends; some to spare, if more may begin. Too many that
    lie ahead of the clock are one."""
    steps = touched(after, until, length)
    if steps > MOST_POINTS:
        return [*edges(after, length, MOST_POINTS - 1), LATEST]
    return edges(after, length, min(steps + SPARE_STEPS, MOST_POINTS) if spare else steps)


def _number(projection: Projection, series: str | None) -> int | None:
    return None if series is None else projection.ids.get(series, NEVER_SEEN)


def _answer(projection: Projection, number: int | None, tail: Tail, percentiles: Sequence[float | None] = ()) -> Answer:
    window = None if number is None else projection.view.windows.get(number)
    arrived = projection.view.taken if number is None else window.taken if window is not None else 0
    return Answer(
        tail.summary,
        end_of(tail.first),
        end_of(tail.last),
        percentiles,
        projection.cursor.position,
        arrived,
        known=number != NEVER_SEEN,
    )


def _figures_of(point: Point) -> Figures:
    return Figures(point.summary, end_of(point.first), end_of(point.last), point.percentiles or ())
