"""A look at all alerts: what their conditions have come to, and which changes follow.

One process of all that share the log does it, about once a second: whoever holds the lease. Each change is conditional
on the row that it leaves and on the lease, so that whoever stalled, and wakes without it, changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Sequence

from alerts.board import Board, Standing
from alerts.measuring import Measured, Measures
from alerts.rows import (
    ALERTS,
    CLOCK,
    LEASE,
    OUTBOX,
    Alert,
    Counted,
    Key,
    Note,
    alert_of,
    counted_of,
    key_of,
    pack,
    row_key,
)
from alerts.states import RUNS_OUT, Found, shown, step
from event_log.aside import give_way
from event_log.outcomes import Void
from event_log.tables import Change
from event_service import EventService
from times import SECOND
from view.asking import SECONDS
from view.portions import giving_way

TERM = 6.0
"""Seconds for which the lease is taken; it is prolonged when half of them are over."""
MOST_PAUSE = 10 * SECOND
"""Microseconds between two looks that count as time in which somebody looked."""
NOTED = 5 * SECOND
"""Microseconds after which the time counted is noted in the log again, while it matters to an alert."""
CHANGES_A_RECORD = 400
CHARACTERS_A_RECORD = 200_000
logger = logging.getLogger("tidemark.alerts")


class Evaluator:
    """Evaluates the rules in force while it holds the lease. For one thread or greenlet of one process."""

    def __init__(self, service: EventService, board: Board) -> None:
        self._service = service
        self._board = board
        self._measures: Measures | None = None  # until a look has written all that follows from them
        self._lease: int | None = None
        self._counted = Counted()
        self._noted = 0

    def hold(self) -> int | None:
        """Take or prolong the lease; returns its number. None while another process has it."""
        lease = self._service.lease(LEASE, TERM)
        if lease is not None and lease != self._lease:
            with self._service.level() as projection:
                self._counted = counted_of(projection.tables.rows(CLOCK).get(CLOCK))
            self._noted = self._counted.at
            logger.info("this process looks at alerts from now on")
        if lease is None or lease != self._lease:
            self._measures = None  # another process may have changed what these values led to
        self._lease = lease
        return lease

    def look(self, *, notes: bool = False) -> int | None:
        """Evaluate every alert once; returns the number of changes. None where another process holds the lease.
        `notes`: whether there are receivers, who are to be told."""
        if self.hold() is None:
            return None
        measures, self._measures = self._measures or Measures(self._service), None  # whatever fails, measure all anew
        standing = self._board.standing()
        give_way()
        now = self._service.store.time()
        pause = now - self._counted.at
        moment = Counted(self._counted.looked + (pause if 0 <= pause <= MOST_PAUSE else 0), now)
        self._counted = moment
        found = measures.look(standing)
        give_way()
        rows = giving_way(standing.rows.items(), SECONDS)
        running = {text for text, row in rows if alert_of(row).state in RUNS_OUT}
        to_judge = {**found, **{text: measures.alerts[text] for text in running if text in measures.alerts}}
        changes = [*_gone(standing, measures.alerts, moment), *_changes(standing, to_judge.values(), moment)]
        if self._write(standing, changes, runs=bool(running), notes=notes):
            self._measures = measures
        return len(changes)

    def _write(
        self, standing: Standing, changes: Sequence[tuple[Key, Alert | None]], *, runs: bool, notes: bool
    ) -> bool:
        """Put changes into the log, those that fire first: so what one look tells of one status stands together. False
        where the lease is lost, or the log knew more. `runs`: whether the time of some alert runs out."""
        assert self._lease is not None
        begins = any(alert is not None and alert.state in RUNS_OUT for _, alert in changes)
        noted = begins or (runs and self._counted.at - self._noted >= NOTED)
        rows = _rows(standing, changes, self._counted.at, notes=notes)
        if noted:
            rows.insert(0, [self._clock_row()])
        try:
            for some in giving_way(_records(rows), SECONDS):
                self._service.change(some, (LEASE, self._lease))
        except Void:
            self._lease = None
            return False
        if noted:
            self._noted = self._counted.at
        return True

    def _clock_row(self) -> Change:
        with self._service.level() as projection:
            row = projection.tables.rows(CLOCK).get(CLOCK)
        return Change.replacing(row, CLOCK, CLOCK, pack(self._counted))


def _gone(standing: Standing, there: Container[str], moment: Counted) -> Iterator[tuple[Key, Alert | None]]:
    """Yield the ends of alerts whose rule or series is no longer there; at the next look nothing remains of them."""
    for text, row in standing.rows.items():
        if text not in there:
            key, before = key_of(text), alert_of(row)
            reason = "ended" if key[0] in standing.rules else "removed"
            ended = before._replace(state="inactive", begun=0, since=moment.at, position=0, reason=reason)
            yield key, None if before.state == "inactive" else ended


def _changes(standing: Standing, measured: Iterable[Measured], moment: Counted) -> Iterator[tuple[Key, Alert]]:
    """Yield the alerts whose state is another one now."""
    for now in giving_way(measured, SECONDS):
        before, rule = standing.alert(now.key), now.rule
        found = _judge(now, before)
        state, begun = step(before.state, before.begun, found, moment.looked, rule.holds, rule.keeps)
        if (state, begun) != (before.state, before.begun):
            yield now.key, _changed(before, state, begun, moment.at, now, found)


def _judge(measured: Measured, before: Alert) -> Found:
    rule, value = measured.rule, measured.value
    if rule.condition == "absent":
        stays = not measured.is_there and shown(before.state) == "firing"  # an exact name stays absent
        return "met" if stays or (value is not None and rule.is_met(value)) else "unmet"
    if not measured.is_there:
        return "met" if value is not None and rule.is_met(value) else "gone"
    if value is None:
        return "no value"
    return "met" if rule.is_met(value) else "unmet"


def _changed(before: Alert, state: str, begun: int, now: int, measured: Measured, found: Found) -> Alert:
    if shown(state) == shown(before.state):
        return before._replace(state=state, begun=begun)
    rule, value = measured.rule, measured.value
    if rule.condition == "absent" and value is not None:
        value /= SECOND
    labels, to = (rule.labels, rule.to) if shown(state) == "firing" else (before.labels, before.to)
    reason = "ended" if found == "gone" else ""
    return Alert(state, begun, now, 0, value, rule.told(measured.key[1], value), reason, labels, to)


def _rows(
    standing: Standing, changes: Sequence[tuple[Key, Alert | None]], now: int, *, notes: bool
) -> list[list[Change]]:
    """Return the rows of each alert, and of what is to be told of it."""
    rows = list[tuple[int, list[Change]]]()
    for number, (key, alert) in enumerate(giving_way(changes, SECONDS)):
        text = row_key(key)
        pair = [Change.replacing(standing.rows.get(text), ALERTS, text, None if alert is None else pack(alert))]
        note = None if alert is None else _note(standing.alert(key), key, alert, now)
        if note is not None and notes:
            pair.append(Change(OUTBOX, f"{now}.{number}", pack(note)))
        rows.append((2 if note is None else note.status != "firing", pair))
    return [pair for _, pair in sorted(rows, key=lambda row: row[0])]


def _records(rows: Sequence[Sequence[Change]]) -> Iterator[list[Change]]:
    """Yield what one record each changes; what belongs together stays so."""
    some, size = list[Change](), 0
    for pair in rows:
        some.extend(pair)
        size += sum(len(change.value or "") for change in pair)
        if len(some) >= CHANGES_A_RECORD or size >= CHARACTERS_A_RECORD:
            yield some
            some, size = [], 0
    if some:
        yield some


def _note(before: Alert, key: Key, alert: Alert, now: int) -> Note | None:
    """Return the note to receivers about a change; None where they are told nothing."""
    fires = shown(alert.state) == "firing"
    if fires == (shown(before.state) == "firing"):
        return None
    status = "firing" if fires else "resolved"
    began = now if fires else before.since
    return Note(*key, status, now, began, alert.value, alert.summary, alert.reason, alert.labels, alert.to)
