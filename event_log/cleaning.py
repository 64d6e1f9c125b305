"""Cleaning: how dead events leave the settled log, planned beside the view and carried out when next is settled.

A mark walks behind the expired records in log order and never turns back. What it passes leaves the queue: events
that are still among the last of their series go to the kept ones, the rest is gone. A sweep goes round over all kept
ones for those that have died since. The mark halts before each change: there what the change has killed is among the
kept ones and nothing younger is, so it can be told and dropped, and the change folded into what a reader from the
start begins with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import lmdb
import numpy as np

from event_log.base import Times
from event_log.entries import pack_kept, unpack_kept, unpack_position
from event_log.kept import Since
from event_log.records import count_events, unpack_all
from event_log.settled import Settled

EVENTS_A_STEP = 10_000
"""A step looks at about so many events of the queue,"""
KEPT_A_STEP = 64
"""and at so many records of kept ones, and at twice as many more as it passes of the queue,"""
KEPT_FOR_A_CHANGE = 1024
"""or so many where what series keep has changed since the last sweep."""
EVENTS_A_PLAN = 1_000_000
"""Most that is planned before some of it is carried out."""

NO_KEY = (0, 0)


@dataclass(slots=True)
class Plan:
    """What to clean, for whoever settles next in this process; void where another one was faster."""

    start: int
    """Where the mark must stand."""
    sweep_start: tuple[int, int]
    """Where the sweep must stand: series and position of a record of kept events."""
    mark: int
    """Where the mark is to go."""
    sweep: tuple[int, int]
    """Where the sweep is to go."""
    sweep_began: int
    """Where the view stood with which the sweep began."""
    view: int = 0
    """Where the view stood: all that it knew must be settled first. What is dead because of an event that a power cut
    then loses would not be dead."""
    horizon: int = 0
    since: dict[int, Since] = field(default_factory=dict)
    events: int = 0
    swept: bool = False
    """Whether the sweep has come round."""
    forgets: bool = False
    """Whether there are memos whose time has passed; where nothing else was stored no mark moves for them."""

    @property
    def is_empty(self) -> bool:
        moved = self.mark != self.start or self.sweep != self.sweep_start
        return not (moved or self.swept or self.forgets)


class Planner:
    """Extends a plan by one step, in one snapshot of what is settled."""

    def __init__(self, settled: Settled, txn: lmdb.Transaction, since: Callable[[int], Since]) -> None:
        self._settled = settled
        self._txn = txn
        self._head = settled.head(txn)
        self._since = since
        changes = settled.changes_behind(txn, self._head.folded)
        self._barrier = changes[0].position - 1 if changes else 2**63 - 1

    def extend(self, plan: Plan | None, horizon: int, position: int) -> tuple[Plan, bool]:
        """The plan with a step more, for a view that stands at `position`; then whether there may be more to do."""
        head = self._head
        sweep = head.sweep_series, head.sweep_position
        if plan is None or (plan.start, plan.sweep_start) != (head.mark, sweep):
            plan = Plan(head.mark, sweep, head.mark, sweep, head.sweep_began)
        if plan.events >= EVENTS_A_PLAN:
            return plan, False
        plan.horizon = max(plan.horizon, horizon)
        plan.view = max(plan.view, position)
        plan.forgets = self._settled.has_memo_until(self._txn, plan.horizon)
        passed, more = self._pass(plan, horizon, min(position, self._barrier))
        changed = plan.sweep_began < head.changed
        if not plan.swept and (passed or changed or plan.sweep != NO_KEY):
            if plan.sweep == NO_KEY:
                plan.sweep_began = position
            more |= self._sweep(plan, KEPT_FOR_A_CHANGE if changed else KEPT_A_STEP + 2 * passed) and changed
        return plan, more

    def _pass(self, plan: Plan, horizon: int, limit: int) -> tuple[int, bool]:
        """Let the mark pass expired records up to a position: how many, and whether there may be more of them."""
        items, events = [], 0
        for key, data in self._settled.items(self._txn, plan.mark):
            items.append((key, data))
            events += count_events(data)
            if events >= EVENTS_A_STEP:
                break
        if not items:
            plan.mark = max(plan.mark, min(limit, self._head.position))
            return 0, False
        lasts = np.array([unpack_position(key) for key, _ in items])
        columns = unpack_all([data for _, data in items], lasts)
        counts = np.array([count_events(data) for _, data in items])
        starts = np.cumsum(counts) - counts
        alive = (np.maximum.reduceat(columns[2], starts) > horizon) | (lasts > limit)
        passed = int(alive.argmax()) if alive.any() else len(items)
        rows = int(counts[:passed].sum())
        self._weigh(plan, np.unique(columns[1][:rows]))
        plan.events += rows
        plan.mark = max(plan.mark, _reached(lasts, counts, passed, limit))
        return passed, passed == len(items)

    def _sweep(self, plan: Plan, most: int) -> bool:
        """Let the sweep go on over so many records of kept events; whether it has not come round."""
        cursor = self._txn.cursor(self._settled.kept)
        keys = []
        if cursor.set_range(pack_kept(*plan.sweep)):
            keys = [unpack_kept(key) for key in islice(cursor.iternext(values=False), most)]
        self._weigh(plan, np.array(sorted({series for series, _ in keys}), np.int64))
        plan.swept = len(keys) < most
        plan.sweep = NO_KEY if plan.swept else (keys[-1][0], keys[-1][1] + 1)
        return not plan.swept

    def _weigh(self, plan: Plan, numbers: Times) -> None:
        for series in numbers.tolist():
            if series not in plan.since:
                plan.since[series] = self._since(series)


def _reached(lasts: Times, counts: Times, passed: int, limit: int) -> int:
    """Where the mark stands behind so many of these records: just before the next one, for only changes and lost
    positions may lie between."""
    if passed == len(lasts):
        return int(lasts[-1])
    return min(int(lasts[passed] - counts[passed]), limit)
