"""What can be asked of the events: each answer is exact, of one moment, and knows all that was acknowledged before.

A question of microseconds is answered under the view's lock at once; one that may take long goes in portions, by
`view.asking.ask`, and is then of the moment of the last; a listing is of that at which it began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

from event_log.base import EventLog, Rules, Times, Values
from rolling.block import LATEST, NOTHING
from rolling.grid import edges, preferred_step, touched
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
from view.listings import Listing, Over, Page, end_of
from view.log_view import LogView
from view.replica import Replica

SPARE_STEPS = 64
"""So many steps may begin while a history is worked out."""
ATTEMPTS = 3
"""So often may more steps than those begin, or the series end; then nobody is let in any more."""
NEVER_SEEN = -1
"""Stands for the id of a series that is not there."""


class Questions:
    """The reading half of the service."""

    def __init__(self, log: EventLog, settings: Settings, clock: Callable[[], int]) -> None:
        self.log = log
        self.settings = settings
        self.clock = clock
        self._own_rules = Rules(settings.retention, settings.keep_last)
        self._replica = Replica(log, self._own_rules, settings.percentile_bytes)

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
            return ask(self._replica, lambda seen: self._statistics(seen, series, scope, extras))
        with self._replica as seen:
            span, number = self._span(seen, scope, self.clock()), _number(seen, series)
            tail = seen.view.tail(number, span.after, span.cutoff, last, edges, span.until)
            return _answer(seen, number, tail)

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
        scope = Scope(window or self.settings.window, None, at)
        return ask(self._replica, lambda seen: self._history(seen, series, scope, step, extras))

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

        def question(seen: LogView) -> Steps[Listed]:
            return Listing(seen, page, order, Over(self.clock() - seen.rules.retention)).steps()

        return ask(self._replica, question)

    def ranking(self, prefix: str, limit: int, after: str | None, scope: Scope, order: Order, extras: Extras) -> Listed:
        """As `series`, with the figures of each series over a scope, in this order. There is no name to go on after
        but in the order of names."""
        self.start()
        page = Page(prefix, limit, after)

        def question(seen: LogView) -> Steps[Listed]:
            now = self.clock()
            over = Over(now - seen.rules.retention, self._span(seen, scope, now), extras)
            return Listing(seen, page, order, over).steps()

        return ask(self._replica, question)

    def events(self, series: str, limit: int) -> tuple[Times, Values, int] | None:
        """Times and values of the last live events of a series, oldest first, and how far the view had read;
        None for a series never seen."""
        found = self.course(series, limit)
        return None if found.initial is None else (found.times, found.values, found.position)

    def course(self, series: str, limit: int) -> Course:
        """The last live events of a series, and how it began."""
        self.start()
        with self._replica as seen:
            cutoff = self.clock() - seen.rules.retention
            number, position = seen.ids.get(series), seen.place.position
            if number is None:
                return Course(None, NOTHING[0], NOTHING[2], position)
            window, known = seen.view.windows[number], seen.series[number]
            times, _, values = window.rows(min(limit, window.live(max(cutoff, seen.view.horizon))))
            return Course((known.created, known.initial), times, values, position)

    def replay(self, series: str, after: int, limit: int) -> Replayed:
        """Up to `limit` events of a series behind a position, the first ones, from the view. A series never seen has
        none."""
        self.start()
        return ask(self._replica, lambda seen: self._replay(seen, series, after, limit))

    def _span(self, seen: LogView, scope: Scope, now: int) -> Span:
        window, last, at = scope
        retention = seen.rules.retention
        cutoff = now - retention
        if window is None and last is None:
            window = self.settings.window
        if at is None:
            return Span(cutoff, None if window is None else now - min(window, retention), None, last)
        end = max(cutoff, seen.view.horizon)
        if window is None:
            window = max(at - end, 0)
        if not end + window <= at <= now + self.settings.max_future:
            raise OutOfReach(at, window, end + window, now + self.settings.max_future)
        return Span(cutoff, at - window, at, last)

    def _statistics(self, seen: LogView, series: str | None, scope: Scope, extras: Extras) -> Steps[Answer]:
        span = self._span(seen, scope, self.clock())
        while True:
            number = _number(seen, series)
            tail, percentiles = yield from seen.view.figures(number, span, ends=extras.edges, wanted=extras.percentiles)
            if number == _number(seen, series):
                return _answer(seen, number, tail, percentiles)

    def _history(
        self, seen: LogView, series: str | None, scope: Scope, step: int | None, extras: Extras
    ) -> Steps[History]:
        now = self.clock()
        span = self._span(seen, scope, now)
        assert span.after is not None
        for attempt in count(1):
            number = _number(seen, series)
            # Without a moment the window has no end: some events may be dated ahead of the clock.
            until = max(now, seen.view.newest(number)) if span.until is None else span.until
            length = step or preferred_step(span.after, until)
            if (steps := touched(span.after, now if span.until is None else until, length)) > MOST_POINTS:
                raise TooManyPoints(steps)
            bounds = _bounds(span.after, until, length, spare=span.until is None)
            work = seen.view.history(
                number,
                span.after,
                LATEST if span.until is None else until,
                bounds,
                ends=extras.edges,
                wanted=extras.percentiles,
            )
            points = (yield from work) if attempt <= ATTEMPTS else finished(work)
            until = max(until, seen.view.newest(number)) if span.until is None else until
            fits = until < bounds[-1] and length == (step or preferred_step(span.after, until))
            if number == _number(seen, series) and fits:
                break
        shown = min(touched(span.after, until, length), len(points))
        end = (until // length + 1) * length
        figures = list(zip(bounds, map(_figures_of, points[:shown]), strict=False))
        return History(length, figures, end, seen.place.position)

    def _replay(self, seen: LogView, series: str, after: int, limit: int) -> Steps[Replayed]:
        window: RollingWindow | None = None
        found = NOTHING
        while (number := seen.ids.get(series)) is not None and window is not seen.view.windows[number]:
            window = seen.view.windows[number]
            found = yield from window.behind(after, limit + 1, lambda: seen.place.position)
        times, positions, values = found if number is not None else NOTHING
        position = seen.place.position
        lost = after > position or after < seen.ended_at(series) or any(after < end for _, end in self.log.jumps)
        return Replayed(
            positions[:limit],
            times[:limit],
            values[:limit],
            lost or (number is not None and seen.view.windows[number].forgotten > after),
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


def _number(seen: LogView, series: str | None) -> int | None:
    return None if series is None else seen.ids.get(series, NEVER_SEEN)


def _answer(seen: LogView, number: int | None, tail: Tail, percentiles: Sequence[float | None] = ()) -> Answer:
    window = None if number is None else seen.view.windows.get(number)
    arrived = seen.view.taken if number is None else window.taken if window is not None else 0
    return Answer(tail.summary, end_of(tail.first), end_of(tail.last), percentiles, seen.place.position, arrived)


def _figures_of(point: Point) -> Figures:
    return Figures(point.summary, end_of(point.first), end_of(point.last), point.percentiles or ())
