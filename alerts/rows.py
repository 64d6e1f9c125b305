"""Rows of the log's tables (`event_log.tables`) about alerts, packed as JSON.

alerts            an alert that has changed: its state, and what readers see of its last change
alert rules       the rules in force, each since when
alert starts      by start of the service, a digest of the rules that it put in force last
alert clock       how long somebody has looked, so that a pause does not count; how slow looks are
alert outbox      changes that a receiver has yet to be told, in the order of their positions
alert receivers   by receiver, up to where it has been told, and how many changes it was not told
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from alerts.rules import MOST_ALERTS, Rule, parse_rule
from event_log.tables import Row
from view.portions import giving_way

ALERTS, RULES, STARTS = "alerts", "alert rules", "alert starts"
CLOCK, OUTBOX, RECEIVERS = "alert clock", "alert outbox", "alert receivers"
SLOW = "seconds between looks"
"""Key of the row of the clock that is there while looks come less often than once a second."""
LEASE = "alerts"
"""Name of the lease that whoever looks at alerts holds."""
MOST_STARTS = 100
"""Maximum number of starts of the service whose last rules are remembered."""

Key = tuple[str, str]
"""The name of the rule, and the series; an empty one stands for all series together."""


class Alert(NamedTuple):
    """One alert as it stands."""

    state: str
    begun: int
    """Start of the state, by the clock that counts only while somebody looks; see `alerts.states.step`."""
    since: int
    """Log time of the last change that readers see."""
    position: int
    """Position of that change; 0: that of the row."""
    value: float | None
    summary: str
    reason: str = ""
    labels: Mapping[str, str] = {}
    """Labels of the rule when the state began, so that an alert ends under the labels under which it fired."""
    to: Sequence[str] | None = None
    """Receivers that are told of its end; None: all."""


INACTIVE = Alert("inactive", 0, 0, 0, None, "")


class Note(NamedTuple):
    """A change that receivers are told."""

    name: str
    series: str
    status: str
    """`firing` or `resolved`."""
    look: int
    """Log time of the look that found it."""
    began: int
    """Log time since when the alert fires."""
    value: float | None
    summary: str
    reason: str
    labels: Mapping[str, str]
    to: Sequence[str] | None


class Waiting(NamedTuple):
    """A change that waits to be told, and its position."""

    position: int
    note: Note


class Told(NamedTuple):
    """Progress of one receiver."""

    position: int = 0
    """It has been told every change up to this one."""
    dropped: int = 0
    """Number of changes that it was not told since it last took something."""


class Counted(NamedTuple):
    """A clock that counts only while somebody looks."""

    looked: int = 0
    at: int = 0
    """Log time of the last look."""


def row_key(key: Key) -> str:
    """Return the key of the row of an alert: names hold no control character."""
    return f"{key[0]}\n{key[1]}"


def key_of(text: str) -> Key:
    """Return the alert of a row."""
    name, _, series = text.partition("\n")
    return name, series


def pack(row: Alert | Note | Told | Counted) -> str:
    """Return a row as text."""
    return orjson.dumps(tuple(row)).decode()


@lru_cache(4 * MOST_ALERTS)
def alert_of(row: Row) -> Alert:
    """Return the alert of a row, with the position of its last change that readers see."""
    alert = Alert(*orjson.loads(row.value))
    return alert if alert.position else alert._replace(position=row.position)


@lru_cache(4 * MOST_ALERTS)
def waiting_of(row: Row) -> Waiting:
    """Return a change that waits to be told. Its position is that of the alert's row, which came right before."""
    return Waiting(row.position - 1, Note(*orjson.loads(row.value)))


def told_of(row: Row | None) -> Told:
    """Return the progress of a receiver from its row."""
    return Told() if row is None else Told(*orjson.loads(row.value))


def counted_of(row: Row | None) -> Counted:
    """Return the clock of alerts from its row."""
    return Counted() if row is None else Counted(*orjson.loads(row.value))


def pack_rules(entries: Sequence[Mapping[str, Any]], before: Mapping[str, Rule], now: int) -> str:
    """Return rules as text, each with the time since when it is in force. `before`: those that were, by name."""
    pairs = [(entry, rule.since if (rule := before.get(entry["name"])) else now) for entry in entries]
    return json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))


@lru_cache(4)
def rules_of(text: str) -> Mapping[str, Rule]:
    """Return the rules that a row holds, by name. A thousand take a while, in which others are let go first."""
    pairs = giving_way(json.loads(text))
    return {entry["name"]: replace(parse_rule(entry), since=since) for entry, since in pairs}


def entries_of(text: str) -> list[Mapping[str, Any]]:
    """Return the rules of a row as the file has them."""
    return [entry for entry, _ in json.loads(text)]


def digest(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return a digest of rules; other rules have another one."""
    return blake2b(json.dumps(list(entries)).encode(), digest_size=16).hexdigest()
