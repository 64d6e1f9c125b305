"""What can be asked of the events: each answer is exact, of one moment, and knows all that was acknowledged before.

A question of microseconds is answered under the view's lock at once; one that may take long goes in portions, by
`view.asking.ask`, and is then of the moment of the last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from event_log.base import EventLog, Rules, Times, Values
from rolling.block import LATEST, NOTHING
from rolling.grid import edges, preferred_step, touched
from rolling.history import Point
from rolling.percentiles import Percentiles
from rolling.ranking import first_by
from rolling.span import Span
from rolling.steps import Steps
from rolling.timeline import Row
from rolling.view import Tail
from rolling.window import RollingWindow
from settings import Settings
from view.answers import (
    MOST_POINTS,
    NO_EXTRAS,
    Answer,
    End,
    Extras,
    Figures,
    History,
    Order,
    OutOfReach,
    Replayed,
    Scope,
    SeriesInfo,
    TooManyPoints,
)
from view.asking import ask
from view.log_view import LogView
from view.replica import Replica

SPARE_STEPS = 64
"""So many steps may begin while a history is worked out."""
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
        self, prefix: str = "", limit: int = 100, after: str | None = None
    ) -> tuple[list[SeriesInfo], str | None, int]:
        """Up to `limit` series by name, those that begin with `prefix` and come behind `after`; then the name to
        go on after, None at the end; then how far the view had read."""
        self.start()
        with self._replica as seen:
            cutoff = self.clock() - seen.rules.retention
            page = seen.page(prefix, limit + 1, after)
            infos = [_info(seen, name, cutoff) for name in page[:limit]]
            return infos, page[limit - 1] if len(page) > limit else None, seen.place.position

    def ranking(
        self, prefix: str, limit: int, after: str | None, scope: Scope, order: Order, extras: Extras
    ) -> tuple[list[SeriesInfo], str | None, int]:
        """As `series`, with the figures of each series over a scope, in this order. There is no name to go on after
        but in the order of names."""
        self.start()
        return ask(self._replica, lambda seen: self._ranking(seen, prefix, limit, after, scope, order, extras))

    def events(self, series: str, limit: int) -> tuple[Times, Values, int] | None:
        """Times and values of the last live events of a series, oldest first, and how far the view had read;
        None for a series never seen."""
        self.start()
        with self._replica as seen:
            cutoff = self.clock() - seen.rules.retention
            number = seen.ids.get(series)
            if number is None:
                return None
            window = seen.view.windows[number]
            times, _, values = window.rows(min(limit, window.live(max(cutoff, seen.view.horizon))))
            return times, values, seen.place.position

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
        while True:
            number = _number(seen, series)
            # Without a moment the window has no end: some events may be dated ahead of the clock.
            until = max(now, seen.view.newest(number)) if span.until is None else span.until
            length = step or preferred_step(span.after, until)
            if (count := touched(span.after, now if span.until is None else until, length)) > MOST_POINTS:
                raise TooManyPoints(count)
            if (count := touched(span.after, until, length)) > 2 * MOST_POINTS:
                raise TooManyPoints(count)
            bounds = edges(span.after, length, count if span.until is not None else count + SPARE_STEPS)
            points = yield from seen.view.history(
                number,
                span.after,
                LATEST if span.until is None else until,
                bounds,
                ends=extras.edges,
                wanted=extras.percentiles,
            )
            until = max(until, seen.view.newest(number)) if span.until is None else until
            if number == _number(seen, series) and until < bounds[-1]:
                shown = points[: touched(span.after, until, length)]
                return History(length, list(zip(bounds, map(_figures_of, shown), strict=False)), seen.place.position)

    def _replay(self, seen: LogView, series: str, after: int, limit: int) -> Steps[Replayed]:
        window: RollingWindow | None = None
        found = NOTHING
        while (number := seen.ids.get(series)) is not None and window is not seen.view.windows[number]:
            window = seen.view.windows[number]
            found = yield from window.behind(after, limit + 1)
        times, positions, values = found if number is not None else NOTHING
        position = seen.place.position
        lost = after > position or any(after < end for _, end in self.log.jumps)
        return Replayed(
            positions[:limit],
            times[:limit],
            values[:limit],
            lost or (number is not None and seen.view.windows[number].forgotten > after),
            more=len(positions) > limit,
            position=position,
        )

    def _ranking(
        self,
        seen: LogView,
        prefix: str,
        limit: int,
        after: str | None,
        scope: Scope,
        order: Order,
        extras: Extras,
    ) -> Steps[tuple[list[SeriesInfo], str | None, int]]:
        now = self.clock()
        span = self._span(seen, scope, now)
        cutoff = now - seen.rules.retention
        since = span.cutoff if span.after is None else span.after

        def score(number: int) -> Steps[float | None]:
            assert order.value is not None
            return order.value((yield from _figures(seen, number, span, order.extras)))

        def names_of(most: int | None) -> list[str]:
            if order.visible is None:
                return seen.page(prefix, most, after)
            return list(filter(order.visible, seen.page(prefix, None, after)))

        scores = seen.view.together(since, score)
        shown = seen.view.together(cutoff, lambda number: _figures(seen, number, span, extras))
        while True:
            names = names_of(None if order.value or order.descending else limit + 1)
            if order.value is not None:
                yield from scores.find_all(lambda: map(seen.ids.__getitem__, names_of(None)))
                names = names_of(None)
                values = ((name, scores[seen.ids[name]]) for name in names)
                names = first_by(values, limit, descending=order.descending)
            elif order.descending:
                names = names[::-1]
            page = names[:limit]
            numbers = [seen.ids[name] for name in page]
            if not shown.stale(numbers):
                break
            yield from shown.find_all(lambda: numbers)  # noqa: B023 - used up in this round
        infos = [_info(seen, name, cutoff, shown[number]) for name, number in zip(page, numbers, strict=True)]
        more = len(names) > limit and order.value is None and not order.descending
        return infos, page[-1] if more else None, seen.place.position


def _number(seen: LogView, series: str | None) -> int | None:
    return None if series is None else seen.ids.get(series, NEVER_SEEN)


def _figures(seen: LogView, number: int, span: Span, extras: Extras) -> Steps[Figures]:
    """The figures of a series as things stand at the end."""
    tail, found = yield from seen.view.figures(number, span, ends=extras.edges, wanted=extras.percentiles)
    return Figures(tail.summary, _end(tail.first), _end(tail.last), found)


def _answer(seen: LogView, number: int | None, tail: Tail, percentiles: Sequence[float | None] = ()) -> Answer:
    window = None if number is None else seen.view.windows.get(number)
    arrived = seen.view.taken if number is None else window.taken if window is not None else 0
    return Answer(tail.summary, _end(tail.first), _end(tail.last), percentiles, seen.place.position, arrived)


def _figures_of(point: Point) -> Figures:
    return Figures(point.summary, _end(point.first), _end(point.last), point.percentiles or ())


def _end(row: Row | None) -> End:
    return row and (row[0], row[2])


def _info(seen: LogView, name: str, cutoff: int, figures: Figures | None = None) -> SeriesInfo:
    number = seen.ids[name]
    entry, window = seen.series[number], seen.view.windows[number]
    initial = entry.created, entry.initial
    count = window.live(max(cutoff, seen.view.horizon))
    if not count:
        return SeriesInfo(name, initial, 0, None, None, figures)
    first, last = window.row(count), window.row(1)
    return SeriesInfo(name, initial, count, (first[0], first[2]), (last[0], last[2]), figures)
