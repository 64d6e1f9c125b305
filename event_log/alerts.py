"""What the log says of alerts: the rules in force, the state of each alert, who evaluates, what receivers have.

One kind of record holds all of it, as JSON. Whoever evaluates holds a lease, a number that stands here; a record of
another lease is void, and so is one whose alerts have left the state that it says they leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from event_log.codec import Data
from event_log.errors import LogDamaged
from times import SECOND

MOST_PAUSE = 10 * SECOND
"""Microseconds between two renewals of the lease that count as time in which somebody looked."""
MOST_STARTS = 100
"""Maximum number of starts of the service whose last rules are remembered."""

Key = tuple[str, str]
"""The name of the rule, and the series; an empty one stands for all series together."""


class Alert(NamedTuple):
    """The last change of one alert."""

    state: str
    begun: int
    """When the state began, by the clock that counts only while somebody looks; see `alerts.states.step`."""
    since: int
    """Log time of the last change that readers see."""
    position: int
    """Position of that change."""
    value: float | None
    summary: str
    reason: str = ""


class Change(NamedTuple):
    """An alert as it is to be, on the condition that its state is `leaves`. One that readers see takes a position."""

    name: str
    series: str
    leaves: str
    state: str
    begun: int
    is_seen: bool
    value: float | None = None
    summary: str = ""
    reason: str = ""
    forgets: bool = False
    """Whether nothing remains of the alert: its rule or its series is gone."""


class Told(NamedTuple):
    """A change as it came to stand in the log."""

    key: Key
    alert: Alert
    before: str
    forgets: bool


class AlertsPayload(NamedTuple):
    """What an ALERTS record says; each part may be absent."""

    holder: str = ""
    """Random id of the process that evaluates."""
    lease: int = 0
    """Number of its lease."""
    term: int = 0
    """Microseconds for which it takes or renews the lease; 0: it does neither."""
    changes: tuple[Change, ...] = ()
    acknowledged: Mapping[str, int] = {}
    """By receiver, the position up to which it has every change."""
    start: str = ""
    """With `rules`: the start of the service that puts them in force."""
    rules: str | None = None

    @property
    def takes(self) -> int:
        """How many positions it takes."""
        return sum(change.is_seen for change in self.changes) + (self.rules is not None)


def pack_alerts(payload: AlertsPayload) -> bytes:
    """The payload of an ALERTS record."""
    holder, lease, term, changes, *rest = payload
    return orjson.dumps([holder, lease, term, [tuple(change) for change in changes], *rest])


def unpack_alerts(data: Data) -> AlertsPayload:
    """The same again. Raises LogDamaged."""
    try:
        holder, lease, term, changes, *rest = orjson.loads(data)
        return AlertsPayload(holder, lease, term, tuple(Change(*change) for change in changes), *rest)
    except (ValueError, TypeError) as fault:
        raise LogDamaged(f"a record of alerts cannot be read: {fault}") from fault


class AlertLedger:
    """The state of all alerts at one point of the log."""

    def __init__(self) -> None:
        self.rules = "[]"
        """The entries of the rules in force, as JSON."""
        self.since = 0
        """Log time at which they came into force."""
        self.starts: dict[str, str] = {}
        self.holder = ""
        self.lease = 0
        self.until = 0
        """Log time at which the lease ends."""
        self.looked = 0
        """Microseconds in which somebody looked, up to `looked_at`."""
        self.looked_at = 0
        self.alerts: dict[Key, Alert] = {}
        self.acknowledged: dict[str, int] = {}

    def counted(self, now: int) -> int:
        """Return what `looked` comes to at a log time: a longer pause does not count."""
        pause = now - self.looked_at
        return self.looked + (pause if 0 <= pause <= MOST_PAUSE else 0)

    def permits(self, payload: AlertsPayload, now: int) -> bool:
        """Whether a record is to be carried out at this log time."""
        if payload.rules is not None:
            return self.starts.get(payload.start) != _digest(payload.rules)
        if payload.term:
            return payload.holder == self.holder or now >= self.until
        current = payload.holder == self.holder and payload.lease == self.lease
        return current and all(self.state((change.name, change.series)) == change.leaves for change in payload.changes)

    def state(self, key: Key) -> str:
        """Return the state of an alert."""
        found = self.alerts.get(key)
        return "inactive" if found is None else found.state

    def carry_out(self, payload: AlertsPayload, now: int, position: int) -> list[Told]:
        """Do what a permitted record says; its positions come behind `position`. Returns the changes."""
        if payload.rules is not None:
            self._put(payload, now)
        if payload.term:
            self._renew(payload, now)
        for receiver, reached in payload.acknowledged.items():
            self.acknowledged[receiver] = max(reached, self.acknowledged.get(receiver, 0))
        told = []
        for change in payload.changes:
            position += change.is_seen
            told.append(self._change(change, now, position))
        return told

    def _put(self, payload: AlertsPayload, now: int) -> None:
        assert payload.rules is not None
        self.starts.pop(payload.start, None)
        self.starts[payload.start] = _digest(payload.rules)
        if len(self.starts) > MOST_STARTS:
            del self.starts[next(iter(self.starts))]
        if self.rules != payload.rules:
            self.rules, self.since = payload.rules, now

    def _renew(self, payload: AlertsPayload, now: int) -> None:
        self.looked, self.looked_at = self.counted(now), now
        if payload.holder != self.holder:
            self.holder, self.lease = payload.holder, self.lease + 1
        self.until = now + payload.term

    def _change(self, change: Change, now: int, position: int) -> Told:
        key = change.name, change.series
        before = self.alerts.get(key)
        if change.is_seen or before is None:
            alert = Alert(change.state, change.begun, now, position, change.value, change.summary, change.reason)
        else:
            alert = before._replace(state=change.state, begun=change.begun)
        if change.forgets:
            self.alerts.pop(key, None)
        else:
            self.alerts[key] = alert
        return Told(key, alert, change.leaves, change.forgets)

    def pack(self) -> list[Any]:
        """All that a checkpoint has to hold; equal ledgers give equal lists."""
        alerts = [[*key, *alert] for key, alert in self.alerts.items()]
        lease = [self.holder, self.lease, self.until, self.looked, self.looked_at]
        return [self.rules, self.since, dict(self.starts), lease, alerts, dict(self.acknowledged)]

    @classmethod
    def unpack(cls, packed: list[Any]) -> AlertLedger:
        """Go on with what a checkpoint held."""
        ledger = cls()
        if packed:
            ledger.rules, ledger.since, ledger.starts, lease, alerts, ledger.acknowledged = packed
            ledger.holder, ledger.lease, ledger.until, ledger.looked, ledger.looked_at = lease
            ledger.alerts = {(name, series): Alert(*alert) for name, series, *alert in alerts}
        return ledger


def _digest(rules: str) -> str:
    return blake2b(rules.encode(), digest_size=16).hexdigest()
