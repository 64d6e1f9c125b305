"""Our alerts and their rules, as Prometheus' HTTP API tells of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from alerts.board import Standing
from alerts.bodies import labels_of
from alerts.changes import may_see, may_see_rule
from alerts.rules import Rule
from alerts.states import shown
from api.answers import in_portions
from api.context import context
from api.guard import visible
from times import SECOND, format_timestamp

Entry = dict[str, Any]


def alerts() -> tuple[list[Entry], int]:
    """Return the visible alerts that are pending or firing, and the position up to which the log was read."""
    standing = context().boards.here().standing()
    return [entry for _, entry in _alerts(standing)], standing.position


def groups() -> tuple[list[Entry], int]:
    """Return the rules in force, as one group without a file, and the position up to which the log was read."""
    standing = context().boards.here().standing()
    of_rule = defaultdict(list)
    for name, entry in _alerts(standing):
        of_rule[name].append(entry)
    sees, in_force = visible(), standing.rules.values()
    rules = [_rule(rule, of_rule[rule.name]) for rule in in_force if may_see_rule(sees, rule)]
    return [{"name": "tidemark", "file": "", "interval": 1, "rules": rules}] if rules else [], standing.position


def _alerts(standing: Standing) -> Iterator[tuple[str, Entry]]:
    sees = visible()
    for key in in_portions(sorted(standing.targets)):
        alert = standing.alert(key)
        state = shown(alert.state)
        if state == "inactive" or not may_see(sees, key):
            continue
        name, series = key
        yield (
            name,
            {
                "labels": labels_of(name, series, standing.rules[name].labels),
                "annotations": {"summary": alert.summary} if alert.summary else {},
                "state": state,
                "activeAt": format_timestamp(alert.since),
                "value": "NaN" if alert.value is None else f"{alert.value:.17g}",
            },
        )


def _rule(rule: Rule, alerts: list[Entry]) -> Entry:
    states = {alert["state"] for alert in alerts}
    return {
        "type": "alerting",
        "name": rule.name,
        "query": _words(rule),
        "duration": rule.holds / SECOND,
        "keepFiringFor": rule.keeps / SECOND,
        "labels": dict(rule.labels),
        "annotations": {"summary": rule.summary} if rule.summary else {},
        "alerts": alerts,
        "state": next((state for state in ("firing", "pending") if state in states), "inactive"),
        "health": "ok",
    }


def _words(rule: Rule) -> str:
    """Say what the rule looks at, as a person would read it: it is not PromQL."""
    bounds = " ".join(f"{bound:g}" for bound in rule.bounds)
    return f"{rule.statistic} of {rule.series or 'all series'} {rule.condition} {bounds}"
