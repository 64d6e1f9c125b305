"""A look at all alerts: what their conditions have come to, and which changes follow.

One process of all that share the log does it, about once a second: whoever holds the lease.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache

from alerts.rules import MOST_ALERTS, ZERO_WHEN_EMPTY, Rule, parse_rule
from alerts.states import Found, shown, step
from event_log.alerts import Alert, AlertsPayload, Change, Key
from event_service import Alerting, EventService
from rolling.percentiles import Percentiles, percent
from times import SECOND
from view.answers import Figures

INACTIVE = Alert("inactive", 0, 0, 0, None, "")
TERM = 15 * SECOND
"""Microseconds for which the lease is taken."""
RENEWAL = 5 * SECOND
"""Microseconds after which it is renewed."""
CHANGES_A_RECORD = 500


@lru_cache(4)
def rules_of(text: str) -> Mapping[str, Rule]:
    """Return the rules that the log has as `text`, by name."""
    return {rule.name: rule for rule in map(parse_rule, json.loads(text))}


def targets(rules: Mapping[str, Rule], standing: Alerting) -> tuple[list[Key], int]:
    """Return the alerts that there are, and how many more are left out. Of a rule, those pending or firing come
    first."""
    found, left_out = list[Key](), 0
    for rule in rules.values():
        series = [name for name in standing.names if rule.pattern.match(name)] if rule.is_pattern else [rule.exact]
        if len(series) > rule.limit:
            series.sort(key=lambda name: standing.alerts.get((rule.name, name), INACTIVE).state == "inactive")
        room = min(rule.limit, MOST_ALERTS - len(found))
        left_out += max(0, len(series) - room)
        found.extend((rule.name, name) for name in series[:room])
    return found, left_out


def figure(rule: Rule, figures: Figures) -> float | None:
    """Return the statistic of a rule; None where there is no value."""
    if rule.statistic == "rate":
        assert rule.window is not None
        return figures.summary.count * SECOND / rule.window
    if rule.statistic in ("first", "last"):
        event = figures.first if rule.statistic == "first" else figures.last
        return None if event is None else event[1]
    if figures.percentiles:
        return figures.percentiles[0]
    value: float | None = getattr(figures.summary, rule.statistic)
    return value


def measure(service: EventService, rule: Rule, series: str, since: int) -> float | None:
    """Return what a rule looks at: its statistic, or for `absent` the microseconds without an event. `since`: when the
    rules came into force."""
    name = series or None
    if rule.condition == "absent":
        last = service.statistics(name, last=1, edges=True).last
        now = service.clock()
        return float(now - min(since if last is None else last[0], now))
    share = "50" if rule.statistic == "median" else rule.statistic[1:] if rule.statistic[0] == "p" else None
    percentiles = None if share is None else Percentiles((percent(share),), False)
    edges = rule.statistic in ("first", "last")
    answer = service.statistics(name, window=rule.window, last=rule.last, edges=edges, percentiles=percentiles)
    return figure(rule, answer)


class Evaluator:
    """Evaluates the rules in force while it holds the lease. For one thread or greenlet of one process."""

    def __init__(self, service: EventService, holder: str) -> None:
        self._service = service
        self._holder = holder
        self._renewed_at = 0
        self.left_out = 0
        """How many alerts the limits left out at the last look."""

    def look(self) -> int | None:
        """Evaluate every alert once; returns the number of changes. None where another process holds the lease."""
        now = self._service.store.time()
        if not self._holds(now):
            return None
        standing = self._service.alerting()
        rules = rules_of(standing.rules)
        keys, self.left_out = targets(rules, standing)
        changes = [*self._gone(rules, keys, standing), *self._changes(rules, keys, standing, standing.counted(now))]
        for start in range(0, len(changes), CHANGES_A_RECORD):
            some = tuple(changes[start : start + CHANGES_A_RECORD])
            if self._service.alert(AlertsPayload(self._holder, standing.lease, changes=some)) is None:
                self._renewed_at = 0  # the lease is lost, or the log knew more: the next look sees it
                break
        return len(changes)

    def _holds(self, now: int) -> bool:
        if now - self._renewed_at >= RENEWAL:
            held = self._service.alert(AlertsPayload(self._holder, term=TERM)) is not None
            self._renewed_at = now if held else 0
        return self._renewed_at > 0

    def _gone(self, rules: Mapping[str, Rule], keys: list[Key], standing: Alerting) -> Iterator[Change]:
        """Yield the ends of alerts whose rule or series is no longer there."""
        there = set(keys)
        for key, alert in standing.alerts.items():
            if key not in there:
                reason = "ended" if key[0] in rules else "removed"
                is_seen = alert.state != "inactive"
                yield Change(
                    *key, alert.state, "inactive", 0, is_seen, alert.value, alert.summary, reason, forgets=True
                )

    def _changes(
        self, rules: Mapping[str, Rule], keys: list[Key], standing: Alerting, counted: int
    ) -> Iterator[Change]:
        living = set(standing.names)
        for key in keys:
            rule, alert = rules[key[0]], standing.alerts.get(key, INACTIVE)
            value = measure(self._service, rule, key[1], standing.since)
            found = _found(rule, value, is_living=not key[1] or key[1] in living)
            state, begun = step(alert.state, alert.begun, found, counted, rule.holds, rule.keeps)
            if (state, begun) == (alert.state, alert.begun):
                continue
            is_seen = shown(state) != shown(alert.state)
            if rule.condition == "absent" and value is not None:
                value /= SECOND
            reason = "ended" if found == "gone" else ""
            yield Change(*key, alert.state, state, begun, is_seen, value, rule.told(key[1], value), reason)


def _found(rule: Rule, value: float | None, *, is_living: bool) -> Found:
    if rule.condition != "absent" and not is_living:
        return "met" if rule.statistic in ZERO_WHEN_EMPTY and rule.is_met(0.0) else "gone"
    if value is None:
        return "no value"
    return "met" if rule.is_met(value) else "unmet"
