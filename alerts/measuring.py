"""Values that rules look at. Each is remembered for as long as nothing can have changed it.

A window's value stays what it is until its series is given an event, or the oldest event in it leaves it. So a look at
ten thousand alerts costs what has changed since the one before.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from alerts.rows import Key
from alerts.rules import ZERO_WHEN_EMPTY, Rule
from event_service import EventService
from rolling.block import EARLIEST
from rolling.percentiles import Percentiles, percent
from rolling.summary import Summary
from times import SECOND
from view.answers import End
from view.listings import end_of
from view.portions import give_way, run_for
from view.projection import Projection

SECONDS = 0.003
"""Maximum seconds for which values are worked out without unlocking the view."""
Question = tuple[str, int | None, int | None, str | None]
"""Series, window, number of last events, percentile."""


class Found(NamedTuple):
    """The figures of some events, and when they cease to hold."""

    summary: Summary
    first: End
    last: End
    percentile: float | None
    series: int | None
    """Id of the series; None for all series together."""
    taken: int
    """Number of events that the series had been given."""
    reach: int
    """Microseconds that the window reaches back."""


class Measured(NamedTuple):
    """The value of one alert."""

    value: float | None
    is_there: bool
    """True if its series lives."""


class Measures:
    """Works out the values of alerts, at one moment. For one thread or greenlet."""

    def __init__(self, service: EventService) -> None:
        self._service = service
        self._projection: weakref.ref[Projection] | None = None
        self._known: dict[Question, Found] = {}
        self._asked: dict[Question, Found] = {}  # at this look

    def look(self, alerts: Sequence[tuple[Key, Rule, int]], now: int) -> dict[Key, Measured]:
        """Return the value of each alert, given with its rule and since when that is in force."""
        found: dict[Key, Measured] = {}
        costly: list[tuple[Key, Rule]] = []
        work = self._look(alerts, now, found, costly)
        while True:
            with self._service.level() as projection:
                self._know(projection)
                is_done = run_for(work, SECONDS)
            if is_done:
                break
            give_way()
        for key, rule in costly:
            found[key] = self._ask(rule, key[1])
        self._known, self._asked = self._asked, {}
        return found

    def _know(self, projection: Projection) -> None:
        if self._projection is None or self._projection() is not projection:
            self._projection = weakref.ref(projection)
            self._known, self._asked = {}, {}

    def _look(
        self,
        alerts: Sequence[tuple[Key, Rule, int]],
        now: int,
        found: dict[Key, Measured],
        costly: list[tuple[Key, Rule]],
    ) -> Iterator[None]:
        for key, rule, since in alerts:
            assert self._projection is not None
            projection = self._projection()
            assert projection is not None
            number = projection.ids.get(key[1]) if key[1] else None
            is_there = not key[1] or number is not None
            if rule.condition == "absent":
                found[key] = Measured(_silence(projection, number, is_there, since, now), is_there)
            elif not is_there:
                found[key] = Measured(0.0 if rule.statistic in ZERO_WHEN_EMPTY else None, False)
            elif (figures := self._recall(projection, rule, key[1], number, now)) is not None:
                found[key] = Measured(_figure(rule, figures), True)
            elif rule.percentile is not None or (number is None and rule.window is None):
                costly.append((key, rule))
            else:
                found[key] = Measured(_figure(rule, self._sum_up(projection, rule, key[1], number, now)), True)
            yield

    def _recall(self, projection: Projection, rule: Rule, series: str, number: int | None, now: int) -> Found | None:
        question = (series, rule.window, rule.last, rule.percentile)
        if (asked := self._asked.get(question)) is not None:
            return asked
        known = self._known.get(question)
        if known is None or known.series != number or number is None:
            return None
        if projection.view.windows[number].taken != known.taken:
            return None
        if known.first is None:
            if rule.window is None:
                return None
        elif known.first[0] <= max(now - known.reach, projection.view.horizon):
            return None
        self._asked[question] = known
        return known

    def _sum_up(self, projection: Projection, rule: Rule, series: str, number: int | None, now: int) -> Found:
        retention = projection.rules.retention
        reach = retention if rule.window is None else min(rule.window, retention)
        after = None if rule.window is None else now - reach
        tail = projection.view.tail(number, after, now - retention, rule.last, True)
        taken = 0 if number is None else projection.view.windows[number].taken
        found = Found(tail.summary, end_of(tail.first), end_of(tail.last), None, number, taken, reach)
        self._asked[series, rule.window, rule.last, rule.percentile] = found
        return found

    def _ask(self, rule: Rule, series: str) -> Measured:
        """Ask as `GET /statistics` does."""
        question = (series, rule.window, rule.last, rule.percentile)
        found = self._asked.get(question)
        if found is None:
            wanted = None if rule.percentile is None else Percentiles((percent(rule.percentile),), False)
            with self._service.level() as projection:
                number = projection.ids.get(series) if series else None
                retention = projection.rules.retention
            answer = self._service.statistics(
                series or None, window=rule.window, last=rule.last, edges=True, percentiles=wanted
            )
            percentile = answer.percentiles[0] if answer.percentiles else None
            reach = retention if rule.window is None else min(rule.window, retention)
            found = Found(answer.summary, answer.first, answer.last, percentile, number, answer.arrived, reach)
            self._asked[question] = found
        return Measured(_figure(rule, found), True)


def _silence(projection: Projection, number: int | None, is_there: bool, since: int, now: int) -> float:
    """Return the microseconds without an event."""
    newest = since
    if is_there and (number is not None or projection.view.taken):
        latest = projection.view.newest(None) if number is None else projection.view.windows[number].latest
        newest = latest if latest > EARLIEST else since
    return float(min(now - min(newest, now), projection.rules.retention))


def _figure(rule: Rule, found: Found) -> float | None:
    """Return the statistic of a rule; None where there is no value."""
    if rule.percentile is not None:
        return found.percentile
    if rule.statistic == "rate":
        assert rule.window is not None
        return found.summary.count * SECOND / rule.window
    if rule.statistic in ("first", "last"):
        event = found.first if rule.statistic == "first" else found.last
        return None if event is None else event[1]
    value: float | None = getattr(found.summary, rule.statistic)
    return value
