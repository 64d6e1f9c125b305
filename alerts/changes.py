"""Hands changes of alerts to streams: those since a position, or every alert that is not inactive, then each change."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from alerts.board import Board, Standing
from alerts.rows import ALERTS, Alert, Key, alert_of, key_of
from alerts.rules import Rule
from alerts.states import shown
from event_log.applied import Begun, Told
from event_log.errors import LogUnavailable
from event_log.steps import TableChange
from event_log.tables import Row
from event_service import EventService
from streaming import Subscriber
from streaming.endings import NO_LOG
from times import format_timestamp
from view.portions import giving_way

MOST_CHANGES = 10_000
"""Maximum number of changes that are remembered for clients that come back."""
TOGETHER = 100
"""Alerts that are written in one piece."""
Sees = Callable[[str], bool] | None
"""Returns True for a series that the client may see; None: it sees all, and rules over all series together."""


class Seen(NamedTuple):
    """A change of an alert that readers see."""

    key: Key
    alert: Alert


class _Reader(NamedTuple):
    sees: Sees
    had: int
    """Position up to which it has had everything when it began."""


def entry(key: Key, alert: Alert, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return an alert as answers tell it. Before its first change there is none to tell of."""
    return {
        "name": key[0],
        "series": key[1] or None,
        "state": shown(alert.state),
        "since": format_timestamp(alert.since) if alert.since else None,
        "value": alert.value,
        "labels": labels,
        "summary": alert.summary if alert.since else None,
    }


def may_see(sees: Sees, key: Key) -> bool:
    """Return whether a client may see an alert."""
    return sees is None or bool(key[1] and sees(key[1]))


def may_see_rule(sees: Sees, rule: Rule) -> bool:
    """Return whether a client may see a rule: of a pattern it sees the alerts that it may."""
    return rule.is_pattern or may_see(sees, (rule.name, rule.exact))


class Changes:
    """The changes that one process has been told of, and their subscribers."""

    def __init__(self, service: EventService, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()
        # All below: under _lock, which is never held over a reading of the log.
        self._recent: deque[Seen] = deque(maxlen=MOST_CHANGES)
        self._readers: dict[Subscriber, _Reader] = {}
        self._told = 0
        self._complete_since: int | None = None
        service.listen(self.hear)

    def hear(self, told: Told | Begun) -> None:
        """Hear what the projection has taken in, or that another one has taken its place."""
        with self._lock:
            if isinstance(told, Begun):
                self._begin_anew()
                return
            self._told = told.cursor.position
            for step in told.steps:
                if isinstance(step, TableChange) and step.table == ALERTS and step.value is not None:
                    alert = alert_of(Row(step.value, step.position))
                    if alert.position == step.position:
                        self._hand_out(Seen(key_of(step.key), alert))

    def events(self, subscriber: Subscriber, sees: Sees, after: int | None) -> Generator[bytes]:
        """Yield the present state, at the pace of whoever iterates; then each change until the subscriber ends."""
        try:
            standing = self._join(subscriber, sees)
            yield from self._first(standing, sees, after)
            yield from subscriber
        except LogUnavailable:
            subscriber.end(NO_LOG)
        finally:
            with self._lock:
                self._readers.pop(subscriber, None)

    def _join(self, subscriber: Subscriber, sees: Sees) -> Standing:
        """Have a subscriber handed each change behind what is returned."""
        while True:
            standing = self._board.standing()
            with self._lock:
                if self._told <= standing.position:
                    self._readers[subscriber] = _Reader(sees, standing.position)
                    if self._complete_since is None:
                        self._complete_since = standing.position
                    return standing

    def _first(self, standing: Standing, sees: Sees, after: int | None) -> Generator[bytes]:
        with self._lock:
            recent, since = list(self._recent), self._complete_since or 0
        if len(recent) == MOST_CHANGES:
            since = max(since, recent[0].alert.position)
        found: Iterable[Seen]
        if after is not None and since <= after <= standing.position:
            found = [seen for seen in recent if after < seen.alert.position <= standing.position]
        else:
            if after is not None:
                yield _gap(standing.position + 1)
            found = sorted(_active(standing), key=lambda seen: seen.alert.position)
        pieces = list[bytes]()
        for seen in giving_way(found):
            if may_see(sees, seen.key):
                pieces.append(_event(seen))
            if len(pieces) == TOGETHER:
                yield b"".join(pieces)
                pieces = []
        yield b"".join(pieces) + b"id: %d\n\n" % standing.position

    def _hand_out(self, seen: Seen) -> None:
        self._recent.append(seen)
        chunk = _event(seen) if self._readers else b""
        for subscriber, reader in self._readers.items():
            is_new = seen.alert.position > reader.had and may_see(reader.sees, seen.key)
            if is_new:
                subscriber.put(chunk)

    def _begin_anew(self) -> None:
        """Have all come back: some changes may not have been told of."""
        self._recent.clear()
        self._complete_since = None
        for subscriber in self._readers:
            subscriber.end(NO_LOG)


def _active(standing: Standing) -> list[Seen]:
    found = [Seen(key, standing.alert(key)) for key in standing.targets]
    return [seen for seen in found if seen.alert.state != "inactive"]


def _event(seen: Seen) -> bytes:
    body = entry(*seen, seen.alert.labels) | {"position": seen.alert.position}
    if seen.alert.reason:
        body["reason"] = seen.alert.reason
    return b"id: %d\nevent: alert\ndata: %b\n\n" % (seen.alert.position, orjson.dumps(body))


def _gap(position: int) -> bytes:
    """Return word that changes were missed: every alert that is not inactive follows."""
    body = orjson.dumps({"type": "gap", "position": position})
    return b"id: %d\nevent: gap\ndata: %b\n\n" % (position - 1, body)
