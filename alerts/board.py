"""State of all alerts as one process sees them: rules in force, the series they are about, the state of each alert."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from alerts.members import Members
from alerts.rows import (
    ALERTS,
    CLOCK,
    INACTIVE,
    RECEIVERS,
    RULES,
    SLOW,
    Alert,
    Key,
    alert_of,
    row_key,
    rules_of,
    told_of,
)
from alerts.rules import MOST_ALERTS, Rule
from alerts.states import shown
from event_log.aside import give_way
from event_log.tables import Row
from event_service import EventService
from view.asking import SECONDS
from view.matches import Revision, revision_of
from view.portions import giving_way
from view.projection import Projection

FEW = 256
"""Number of new series that are matched with the view locked: a millisecond."""


class Standing(NamedTuple):
    """All alerts at one position of the log."""

    rules: Mapping[str, Rule]
    """The rules in force, by name."""
    rows: Mapping[str, Row]
    targets: Sequence[Key]
    """The alerts that there are."""
    left_out: int
    """Number of alerts that the limits leave out."""
    position: int

    def alert(self, key: Key) -> Alert:
        """Return an alert."""
        row = self.rows.get(row_key(key))
        return INACTIVE if row is None else alert_of(row)


class Board:
    """Tells how alerts stand. For one process; any thread may ask."""

    def __init__(self, service: EventService) -> None:
        self._service = service
        self._lock = threading.RLock()
        # All below: under _lock.
        self._projection: weakref.ref[Projection] | None = None
        self._text = ""
        self._rules: Mapping[str, Rule] = {}
        self._members = Members(())
        self._revision = Revision()
        self._targets: tuple[Sequence[Key], int] | None = None  # None: to be listed anew

    def standing(self) -> Standing:
        """Return the state of all alerts, level with the log. Raises LogError."""
        with self._lock:
            while True:
                with self._service.level() as projection:
                    text = _rules_text(projection)
                    follows = text == self._text and self._projection is not None and self._projection() is projection
                    new = self._members.new(projection.series) if follows else []
                    if follows and len(new) <= FEW:
                        self._follow(projection, new)
                        rows, position = dict(projection.tables.rows(ALERTS)), projection.cursor.position
                        break
                if not follows:
                    self._begin_anew(projection, text)
                for number, name in giving_way(new, SECONDS):
                    self._members.match(number, name)
                give_way()
            targets, left_out = self._targets or self._list(rows)
            self._targets = None if left_out else (targets, 0)  # which are left out depends on states
            return Standing(self._rules, rows, targets, left_out, position)

    def notices(self) -> list[str]:
        """Return warnings for people about alerts that work all the same. Raises LogError."""
        standing = self.standing()
        with self._service.level() as projection:
            slow = projection.tables.rows(CLOCK).get(SLOW)
            told = {name: told_of(row) for name, row in projection.tables.rows(RECEIVERS).items()}
        found = [
            f"receiver {name} was not told of {reached.dropped} changes of alerts"
            for name, reached in told.items()
            if reached.dropped
        ]
        if standing.left_out:
            found.append(f"{standing.left_out} alerts are left out by the limits")
        if slow is not None:
            found.append(f"a look at all alerts takes long, so there is one in {slow.value} seconds")
        return found

    def _begin_anew(self, projection: Projection, text: str) -> None:
        """Follow other rules, or another projection."""
        self._rules = rules_of(text) if text else {}
        self._members = Members(giving_way(self._rules.values(), SECONDS))
        self._revision, self._targets = Revision(), None
        self._projection, self._text = weakref.ref(projection), text

    def _follow(self, projection: Projection, new: Sequence[tuple[int, str]]) -> None:
        """Follow the series that have come and ended."""
        for number, name in new:
            self._members.match(number, name)
        revision = revision_of(projection.series)
        if revision != self._revision:
            self._members.forget_ended(projection.series)
            self._revision, self._targets = revision, None

    def _list(self, rows: Mapping[str, Row]) -> tuple[Sequence[Key], int]:
        """Return the alerts that there are, and the number of those left out: first the inactive ones."""
        found, left_out = list[Key](), 0

        def is_quiet(key: Key) -> bool:
            row = rows.get(row_key(key))
            return row is None or shown(alert_of(row).state) == "inactive"

        for name, rule in giving_way(self._rules.items(), SECONDS):
            keys = [(name, series) for series in self._members.of(rule)]
            if len(keys) > rule.limit:
                keys.sort(key=is_quiet)
                left_out += len(keys) - rule.limit
            found.extend(keys[: rule.limit])
        if len(found) > MOST_ALERTS:
            found.sort(key=is_quiet)
            left_out += len(found) - MOST_ALERTS
        return found[:MOST_ALERTS], left_out


def _rules_text(projection: Projection) -> str:
    row = projection.tables.rows(RULES).get(RULES)
    return "" if row is None else row.value
