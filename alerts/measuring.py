"""Values that rules look at. Each is remembered for as long as nothing can have changed it.

A window's value stays what it is until its series is given an event, or the oldest event in it leaves it. So a look at
ten thousand alerts costs what has changed since the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from alerts.board import Standing
from alerts.rows import Key, row_key
from alerts.rules import ZERO_WHEN_EMPTY, Rule
from event_service import EventService
from rolling.block import EARLIEST
from rolling.span import Span
from rolling.timeline import Row
from rolling.window import RollingWindow
from times import SECOND
from view.asking import ask
from view.snapshots import Seen

Asked = dict[tuple[str, int | None, int | None, str], tuple[float | None, Row | None]]
"""By series, window, number of last events and statistic: the value, and the oldest event of them."""


@dataclass(slots=True, eq=False)
class Measured:
    """One alert, its value, and when that ceases to hold."""

    key: Key
    rule: Rule
    value: float | None = None
    is_there: bool = False
    """True if its series lives."""
    number: int | None = None
    """Id of the series; None for all series together, and where it does not live."""
    taken: int = -1
    """Number of events that the series had been given."""
    oldest: float = inf
    """Time of the oldest event that counts: once that is dead, the value is another one."""
    until: float = -inf
    """Moment from which on the value may be another one though no event has come."""


class Measures:
    """The values of all alerts. For one thread or greenlet."""

    def __init__(self, service: EventService) -> None:
        self._service = service
        self._of: tuple[object, ...] = ()  # what all that is remembered depends on
        self._targets: object = None
        self.alerts: dict[str, Measured] = {}
        """The alerts that there are, by the keys of their rows."""

    def look(self, standing: Standing) -> Mapping[str, Measured]:
        """Return the alerts whose value may be another one than at the look before, all values being of one moment."""
        now = self._service.clock()
        found: dict[str, Measured] = {}
        ask(self._service.level(), "alerts", lambda seen: self._look(seen, standing, now, found))
        return found

    def _look(self, seen: Seen, standing: Standing, now: int, found: dict[str, Measured]) -> None:
        """Measure what is stale. May be begun anew: what has been measured by then is not stale."""
        self._follow(seen, standing)
        asked: Asked = {}
        windows, horizon = seen.view.windows, seen.view.horizon
        for text, alert in self.alerts.items():
            window = None if alert.number is None else windows.get(alert.number)
            if window is None or window.taken != alert.taken or alert.until <= now or alert.oldest <= horizon:
                _measure(alert, seen, now, asked)
                found[text] = alert
                seen.view.pause()

    def _follow(self, seen: Seen, standing: Standing) -> None:
        """Know which alerts there are; forget all values where these may be others whatever the series say."""
        of = (seen.origin, seen.rules, standing.rules)
        if of != self._of:
            self._of, self._targets, self.alerts = of, None, {}
        if standing.targets is not self._targets:
            alerts = dict[str, Measured]()
            for key in standing.targets:
                text = row_key(key)
                alerts[text] = self.alerts.get(text) or Measured(key, standing.rules[key[0]])
                seen.view.pause()
            self.alerts, self._targets = alerts, standing.targets


def _measure(alert: Measured, seen: Seen, now: int, asked: Asked) -> None:
    """Work out the value of an alert. `asked`: what has been worked out at this moment."""
    series, rule = alert.key[1], alert.rule
    alert.number = number = seen.ids.get(series) if series else None
    alert.is_there = not series or number is not None
    window = None if number is None else seen.view.windows[number]
    alert.taken = -1 if window is None else window.taken
    alert.oldest, alert.until = inf, -inf
    if rule.condition == "absent":
        _measure_silence(alert, seen, window, now)
    elif not alert.is_there:
        alert.value = 0.0 if rule.statistic in ZERO_WHEN_EMPTY else None
    else:
        retention = seen.rules.retention
        reach = retention if rule.window is None else min(rule.window, retention)
        question = (series, rule.window, rule.last, rule.statistic)
        if question not in asked:
            span = Span(now - retention, None if rule.window is None else now - reach, None, rule.last)
            asked[question] = _ask(rule, seen, number, span)
        alert.value, first = asked[question]
        if first is not None:
            alert.oldest, alert.until = first[0], first[0] + reach
        elif rule.window is not None:
            alert.until = inf


def _measure_silence(alert: Measured, seen: Seen, window: RollingWindow | None, now: int) -> None:
    """Work out the microseconds without an event. They are the same at no other moment: it is remembered until when
    they are too few."""
    latest = EARLIEST if not alert.is_there else _latest(seen) if window is None else window.latest
    newest = latest if latest > EARLIEST else alert.rule.since
    alert.value = float(min(now - min(newest, now), seen.rules.retention))
    if not alert.rule.is_met(alert.value):
        alert.until = newest + alert.rule.bounds[0]


def _latest(seen: Seen) -> int:
    """Return the time of the newest event of all series; where all have expired, a time not before that."""
    newest = seen.view.newest(None)
    return newest if newest > EARLIEST else max((each.latest for each in seen.view.windows.values()), default=EARLIEST)


def _ask(rule: Rule, seen: Seen, number: int | None, span: Span) -> tuple[float | None, Row | None]:
    """Return the statistic of a rule over the events of a span, and the first of these; None where there is none."""
    ranges = seen.view.ranges(number, span)
    first = min((timeline.row(begin) for timeline, begin, _ in ranges), default=None)
    if rule.wanted is not None:
        return seen.view.percentiles(number, span, rule.wanted)[0], first
    if rule.statistic in ("count", "rate"):
        count = sum(begin - end for _, begin, end in ranges)
        return count * SECOND / rule.window if rule.statistic == "rate" and rule.window else float(count), first
    found = seen.view.figures_of(ranges, ends=rule.statistic in ("first", "last"))
    if rule.statistic in ("first", "last"):
        event = found.first if rule.statistic == "first" else found.last
        return None if event is None else event[1], first
    value: float | None = getattr(found.summary, rule.statistic)
    return value, first
