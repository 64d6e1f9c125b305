"""Evaluation of alerts, about once a second in a process with ALERTS: rules of a changed file, values, receivers."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from alerts.board import Board, Standing
from alerts.courier import Count, Send
from alerts.delivery import Delivery
from alerts.evaluation import Evaluator
from alerts.file import AlertsFile
from alerts.receivers import send
from alerts.rows import CLOCK, LEASE, MOST_STARTS, RULES, SLOW, STARTS, digest, entries_of, pack_rules, rules_of
from alerts.watch import AlertsWatch
from event_log.outcomes import Void
from event_log.tables import Change
from event_service import EventService
from view.per_process import PerProcess

SLOW_SECONDS = 0.2
"""Seconds of a look above which looks come less often."""
SHARE = 0.2
"""Share of the time that looks may then take."""
LOOKS = 3
"""Number of looks of which the shortest counts: one alone may have waited for something else."""
MISSING = "This process evaluates no alerts: its file lacks a receiver that the rules in force name."
logger = logging.getLogger("tidemark.alerts")


class AlertsFollower:
    """For one thread or greenlet of one process. A file that is broken leaves the last good one in force."""

    def __init__(
        self,
        watch: AlertsWatch,
        service: EventService,
        boards: PerProcess[Board],
        *,
        count: Count = lambda receiver, outcome, number: None,
        observe: Callable[[float], None] = lambda seconds: None,
        post: Send = send,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`count` is told of notifications, `observe` of the seconds that a look has taken."""
        self.watch = watch
        self._service = service
        self._boards = boards
        self._observe = observe
        self._monotonic = monotonic
        self._put: AlertsFile | None = None  # whose rules were put in force
        self._evaluator: Evaluator | None = None
        self._durations: deque[float] = deque(maxlen=LOOKS)
        self._next = -math.inf
        self._delivery = Delivery(service, count, post, monotonic)
        self.lacks_a_receiver = False

    def tick(self) -> None:
        """Do what is due. Raises LogError."""
        file = self.watch.content()
        if file is not self._put and self._put_in_force(file):
            self._put = file
        if self._monotonic() < self._next:
            return
        board = self._boards.here()
        if self._evaluator is None:
            self._evaluator = Evaluator(self._service, board)
        standing = board.standing()
        self._note_missing(file, standing)
        if self.lacks_a_receiver or not (standing.rules or standing.rows):
            self._delivery.stop()
            return
        self._look(self._evaluator, file)

    def _look(self, evaluator: Evaluator, file: AlertsFile) -> None:
        began = self._monotonic()
        changes = evaluator.look(notes=bool(file.receivers))
        if changes is None or (lease := evaluator.hold()) is None:
            self._delivery.stop()
            return
        took = self._monotonic() - began
        self._observe(took)
        self._space_out(took, lease)
        self._delivery.tick(file.receivers, self._boards.here().standing(), lease)

    def _space_out(self, took: float, lease: int) -> None:
        """Have looks come less often where they take too long, and say so in the log."""
        self._durations.append(took)
        least = min(self._durations) if len(self._durations) == LOOKS else 0.0
        pause = round(least / SHARE) if least > SLOW_SECONDS else 0
        self._next = self._monotonic() + max(0, pause - took)
        with self._service.level() as projection:
            row = projection.tables.rows(CLOCK).get(SLOW)
        if (row is not None) != bool(pause):
            self._change([Change.replacing(row, CLOCK, SLOW, str(pause) if pause else None)], (LEASE, lease))

    def _note_missing(self, file: AlertsFile, standing: Standing) -> None:
        named = {name for rule in standing.rules.values() for name in rule.to or ()}
        lacks = not named <= set(file.receivers)
        if lacks and not self.lacks_a_receiver:
            logger.error("%s", MISSING)
        self.lacks_a_receiver = lacks

    def _put_in_force(self, file: AlertsFile) -> bool:
        """Put the rules of the file in force, unless this start of the service has put these already: then another one
        may have put others since. False where others did so at the same time."""
        start, what = self._service.start_id, digest(file.entries)
        with self._service.level() as projection:
            starts = dict(projection.tables.rows(STARTS))
            row = projection.tables.rows(RULES).get(RULES)
        known = starts.get(start)
        if known is not None and known.value == what:
            return True
        changes = [Change.replacing(known, STARTS, start, what)]
        if known is None and len(starts) >= MOST_STARTS:
            oldest, its = min(starts.items(), key=lambda item: item[1].position)
            changes.append(Change.replacing(its, STARTS, oldest, None))
        if row is None or digest(entries_of(row.value)) != what:
            before = {} if row is None else rules_of(row.value)
            text = pack_rules(file.entries, before, self._service.store.time())
            changes.append(Change.replacing(row, RULES, RULES, text))
        return self._change(changes)

    def _change(self, changes: Sequence[Change], lease: tuple[str, int] | None = None) -> bool:
        try:
            self._service.change(changes, lease)
        except Void:  # another process has done it, or holds the lease
            return False
        return True
