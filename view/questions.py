"""Questions about events: each answer is exact, of one moment, and knows all that was acknowledged before.

A question of microseconds is answered under the projection's lock at once; one that may take long is put to it by
`view.asking.ask`. Each reads the clock once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from event_log.batch import Times, Values
from event_log.rules import Rules
from rolling.block import LATEST, NOTHING
from rolling.grid import edges, preferred_step, touched
from rolling.histogram import Divide
from rolling.percentiles import Percentiles
from rolling.span import Span
from settings import Settings
from view.answers import (
    MOST_POINTS,
    NO_EXTRAS,
    Answer,
    Course,
    Distribution,
    Extras,
    Figures,
    History,
    Listed,
    Order,
    OutOfReach,
    Replayed,
    Scope,
    Several,
    TooManyPoints,
    Which,
)
from view.asking import ask
from view.level import Level
from view.listings import Over, Page, listed
from view.members import NEVER_SEEN, Members, members_of
from view.snapshots import Seen

T = TypeVar("T")


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
        series: Which = None,
        *,
        window: int | None = None,
        last: int | None = None,
        at: int | None = None,
        edges: bool = False,
        percentiles: Percentiles | None = None,
    ) -> Answer:
        """The statistics of a series, of several as one, or of all, over what a Scope of these describes; a series
        never seen is empty. Raises OutOfReach."""
        self.start()
        scope, extras = Scope(window, last, at), Extras(edges, percentiles)
        if isinstance(series, Several) or percentiles is not None or (series is None and window is None and last):
            now, kind = self.clock(), "percentiles" if percentiles else "last of all"
            return self._ask(kind, series, lambda seen: self._statistics(seen, series, scope, extras, now))
        with self._level as projection:
            return self._statistics(projection, series, scope, extras, self.clock())

    def rules_in_force(self) -> tuple[Rules, int]:
        """Return the rules in force, and the position up to which the view had read."""
        self.start()
        with self._level as projection:
            return projection.rules, projection.cursor.position

    def snapshots(self) -> tuple[int, float]:
        """Return the number of snapshots that long questions read in this process, and the age of the oldest."""
        self.start()
        with self._level as projection:
            return projection.snapshots.standing()

    def histogram(self, series: Which, scope: Scope, divide: Divide) -> Distribution:
        """Count the events of a scope of a series, of several as one, or of all, by their values. Raises OutOfReach."""
        self.start()
        now = self.clock()

        def question(seen: Seen) -> Distribution:
            among = members_of(seen, series)
            found = seen.view.histogram(among.ids, self._span(seen, scope, now), divide)
            return Distribution(found.bounds, found.counts, seen.cursor.position, among.matched)

        return self._ask("histogram", series, question)

    def matched(self, several: Several) -> int:
        """Return how many series match."""
        self.start()
        return self._ask("matches", several, lambda seen: len(seen.matches.find(seen, several)[0]))

    def history(
        self,
        series: Which = None,
        *,
        window: int | None = None,
        step: int | None = None,
        at: int | None = None,
        extras: Extras = NO_EXTRAS,
    ) -> History:
        """The events of a window of a series, of several as one, or of all, laid out in steps. Raises OutOfReach,
        TooManyPoints."""
        self.start()
        scope, now = Scope(window, None, at), self.clock()
        return self._ask("history", series, lambda seen: self._history(seen, series, scope, step, extras, now))

    def series(
        self,
        prefix: str = "",
        limit: int | None = 100,
        after: str | None = None,
        visible: Callable[[str], bool] | None = None,
    ) -> Listed:
        """List at most `limit` series by name, or all, that begin with `prefix`, come behind `after` and are visible;
        then the name to go on after, None at the end; then the position that the view had read."""
        self.start()
        page, order, now = Page(prefix, limit, after), Order(visible=visible), self.clock()
        return ask(self._level, "listing", lambda seen: listed(seen, page, order, Over(now - seen.rules.retention)))

    def ranking(self, prefix: str, limit: int, after: str | None, scope: Scope, order: Order, extras: Extras) -> Listed:
        """List as `series` does, with the figures of each series over a scope, in this order. There is no name to go on
        after but in the order of names."""
        self.start()
        page, now = Page(prefix, limit, after), self.clock()

        def question(seen: Seen) -> Listed:
            return listed(seen, page, order, Over(now - seen.rules.retention, self._span(seen, scope, now), extras))

        return ask(self._level, "ranking", question)

    def events(self, series: str, limit: int) -> tuple[Times, Values, int] | None:
        """Times and values of the last live events of a series, oldest first, and the position of the view;
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
        """Return the first events of a series behind a position, `limit` at most. A series never seen has none."""
        self.start()
        return ask(self._level, "replay", lambda seen: _replay(seen, series, after, limit))

    def names(self) -> tuple[list[str], int]:
        """Return the names of all series, sorted and not to be changed, and the position of the view."""
        self.start()
        with self._level as projection:
            return projection.names(), projection.cursor.position

    def stretches(self, series: Sequence[str], after: int, until: int, position: int) -> list[tuple[Times, Values]]:
        """Return the times and values of the events of each series with `after` < time <= `until`, in order, those up
        to a position that the view has read."""

        def question(seen: Seen) -> list[tuple[Times, Values]]:
            return [_stretch(seen, name, after, until, position) for name in series]

        return ask(self._level, "stretches", question)

    def _ask(self, kind: str, series: Which, question: Callable[[Seen], T]) -> T:
        """Put a question to what takes long. One about several series takes longer than others of its kind."""
        return ask(self._level, f"{kind} of several" if isinstance(series, Several) else kind, question)

    def _span(self, projection: Seen, scope: Scope, now: int) -> Span:
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

    def _statistics(self, seen: Seen, series: Which, scope: Scope, extras: Extras, now: int) -> Answer:
        span, among = self._span(seen, scope, now), members_of(seen, series)
        found = seen.view.figures(among.ids, span, ends=extras.edges, wanted=extras.percentiles, moves=True)
        return _answer(seen, among, found)

    def _history(self, seen: Seen, series: Which, scope: Scope, step: int | None, extras: Extras, now: int) -> History:
        span, among = self._span(seen, scope, now), members_of(seen, series)
        assert span.after is not None
        # Without a moment the window has no end: some events may be dated ahead of the clock.
        until = max(now, seen.view.newest(among.ids)) if span.until is None else span.until
        length = step or preferred_step(span.after, until)
        if (steps := touched(span.after, now if span.until is None else until, length)) > MOST_POINTS:
            raise TooManyPoints(steps)
        bounds = _bounds(span.after, until, length)
        points = seen.view.history(among.ids, span.after, until, bounds, ends=extras.edges, wanted=extras.percentiles)
        return History(
            length,
            list(zip(bounds, points, strict=False)),
            (until // length + 1) * length,
            seen.cursor.position,
            among.matched,
        )


def _replay(seen: Seen, series: str, after: int, limit: int) -> Replayed:
    number, position = seen.ids.get(series), seen.cursor.position
    window = None if number is None else seen.view.windows[number]
    times, positions, values = NOTHING if window is None else window.behind(after, limit + 1, seen.view.pause)
    lost = after > position or after < seen.ended.at(series) or any(after < end for _, end in seen.jumps)
    return Replayed(
        positions[:limit],
        times[:limit],
        values[:limit],
        lost or (window is not None and window.forgotten > after),
        more=len(positions) > limit,
        position=position,
    )


def _stretch(seen: Seen, name: str, after: int, until: int, position: int) -> tuple[Times, Values]:
    """Return the times and values of the events of a series with `after` < time <= `until`, up to a position of the
    log, in order."""
    pieces = [(NOTHING[0], NOTHING[2])]
    number = seen.ids.get(name)
    for times, positions, values in () if number is None else seen.view.windows[number].between(after + 1, until):
        chosen = (times > after) & (times <= until) & (positions <= position)
        pieces.append((times[chosen], values[chosen]))
        seen.view.pause()
    times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return times, values


def _bounds(after: int, until: int, length: int) -> list[int]:
    """Return where the steps of a history begin and the last one ends. Too many that lie ahead of the clock are one."""
    steps = touched(after, until, length)
    if steps > MOST_POINTS:
        return [*edges(after, length, MOST_POINTS - 1), LATEST]
    return edges(after, length, steps)


def _answer(projection: Seen, among: Members, found: Figures) -> Answer:
    return Answer(
        found.summary,
        found.first,
        found.last,
        found.percentiles,
        projection.cursor.position,
        among.arrived,
        known=among.ids != NEVER_SEEN,
        matched=among.matched,
    )
