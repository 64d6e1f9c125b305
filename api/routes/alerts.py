"""`GET /alerts` and `/alerts/rules`: the alerts that there are, and the rules in force, as the log has them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, ClassVar

from flask import Blueprint, Response, request
from marshmallow import ValidationError

from access.keys import READ
from alerts.board import Standing
from alerts.changes import entry, may_see, may_see_rule
from alerts.rows import LEASE
from alerts.rules import CONDITIONS, Rule
from alerts.states import shown
from api.answers import answer, in_portions
from api.context import context, service, settings
from api.guard import needs, permit, visible
from api.openapi.components import (
    COUNT,
    NAME_OR_NULL,
    NUMBER_OR_NULL,
    POSITIONED,
    TEXT,
    TIME,
    array,
    object_of,
    ref,
    share,
)
from api.openapi.operation import Operation, Reply
from api.reading.queries import Query, load_query
from api.reading.query_fields import Whole
from api.reading.schemas import RequestField, SeriesName
from event_log.series import LONGEST_NAME
from times import SECOND, format_duration

STATES = ("inactive", "pending", "firing")
NOBODY = "No process evaluates alerts now: the states are the last ones. Set TIDEMARK_ALERTS where one is to."
bp = Blueprint("alerts", __name__)


class State(RequestField):
    """A state as answers tell it."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "string", "enum": list(STATES)}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if value not in STATES:
            raise ValidationError(f"There is no state {value[:40]!r}; known are {', '.join(STATES)}.")
        return str(value)


class After(RequestField):
    """End of the page before: `next` of its answer."""

    json_schema: ClassVar[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": 2 * LONGEST_NAME + 1}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, str]:
        name, _, series = value.partition("\n")
        return name, series


class AlertsQuery(Query):
    """Parameters of the list of alerts: those to show."""

    state = State(load_default=None)
    series = SeriesName(load_default=None)
    limit = Whole(1, 1000, load_default=1000)
    after = After(load_default=("", ""))


class RulesQuery(Query):
    """The rules to show: all, or those that a series has alerts of."""

    series = SeriesName(load_default=None)


_QUERY = AlertsQuery()
_RULES_QUERY = RulesQuery()


@bp.get("/alerts")
@needs(READ)
@Operation(query=AlertsQuery, replies={200: Reply("A page of them.", "AlertsPage", headers=POSITIONED)})
def get_alerts() -> Response:
    """The alerts, sorted by name and series.

    The state of each alert of the rules in force, as it stands in the log: every worker tells the same at the same
    position. `value`, `since` and `summary` are those of the last change, null before the first. `left_out`: the number
    of alerts beyond the limits. `next`, unless null, is what to ask for with `after`.
    """
    query = load_query(_QUERY, request.args)
    if query["series"] is not None:
        permit(query["series"])
    standing = context().boards.here().standing()
    found = list(islice(_entries(standing, query), query["limit"] + 1))
    page = found[: query["limit"]]
    following = f"{page[-1]['name']}\n{page[-1]['series'] or ''}" if len(found) > len(page) else None
    body = {"alerts": page, "next": following, "left_out": standing.left_out}
    if not service().has_holder(LEASE) and (standing.rules or standing.rows or not settings().alerts):
        body["notice"] = NOBODY
    return answer(body, position=standing.position)


def _entries(standing: Standing, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sees = visible()
    for key in in_portions(sorted(standing.targets)):
        if key <= query["after"] or query["series"] not in (None, key[1]) or not may_see(sees, key):
            continue
        alert = standing.alert(key)
        if query["state"] in (None, shown(alert.state)):
            yield entry(key, alert, standing.rules[key[0]].labels)


@bp.get("/alerts/rules")
@needs(READ)
@Operation(query=RulesQuery, replies={200: Reply("All of them.", "AlertRules", headers=POSITIONED)})
def get_rules() -> Response:
    """The rules in force, in the order of their file.

    What each rule looks at, and when its condition holds: `bounds` is one number, or two for `outside`; for `absent` it
    is seconds. `series` is a name, a pattern, or null for all series together. With `?series=` only the rules that this
    series has an alert of.
    """
    series = load_query(_RULES_QUERY, request.args)["series"]
    if series is not None:
        permit(series)
    standing, sees = context().boards.here().standing(), visible()
    about = None if series is None else {name for name, of in in_portions(standing.targets) if of == series}
    rules = [
        _rule(rule)
        for rule in in_portions(standing.rules.values())
        if may_see_rule(sees, rule) and (about is None or rule.name in about)
    ]
    return answer({"rules": rules}, position=standing.position)


def _rule(rule: Rule) -> dict[str, Any]:
    """Return a rule as its file has it, but for its receivers and its limit; `bounds` of `absent` are seconds."""
    is_absent = rule.condition == "absent"
    return {
        "name": rule.name,
        "series": rule.series,
        "statistic": None if is_absent else rule.statistic,
        "window": None if rule.window is None else format_duration(rule.window),
        "last": rule.last,
        "condition": rule.condition,
        "bounds": [bound / SECOND if is_absent else bound for bound in rule.bounds],
        "for": format_duration(rule.holds) if rule.holds else None,
        "keep_firing_for": format_duration(rule.keeps) if rule.keeps else None,
        "labels": rule.labels,
        "summary": rule.summary or None,
    }


_LABELS = {"type": "object", "additionalProperties": TEXT}
share(
    AlertRule=object_of(
        {
            "name": TEXT,
            "series": NAME_OR_NULL,
            "statistic": NAME_OR_NULL,
            "window": NAME_OR_NULL,
            "last": {"type": ["integer", "null"]},
            "condition": {"type": "string", "enum": list(CONDITIONS)},
            "bounds": array({"type": "number"}),
            "for": NAME_OR_NULL,
            "keep_firing_for": NAME_OR_NULL,
            "labels": _LABELS,
            "summary": NAME_OR_NULL,
        }
    ),
    AlertRules=object_of({"rules": array(ref("AlertRule"))}),
    Alert=object_of(
        {
            "name": TEXT,
            "series": NAME_OR_NULL,
            "state": State.json_schema,
            "since": {"anyOf": [TIME, {"type": "null"}]},
            "value": NUMBER_OR_NULL,
            "labels": _LABELS,
            "summary": NAME_OR_NULL,
        }
    ),
    AlertsPage=object_of({"alerts": array(ref("Alert")), "next": NAME_OR_NULL, "left_out": COUNT}, {"notice": TEXT}),
)
