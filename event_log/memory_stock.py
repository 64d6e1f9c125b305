"""What a log in memory holds of events, and how it forgets those that are dead."""

from __future__ import annotations

from itertools import islice

import numpy as np

from event_log.base import KeepChange, KeptSince, RulesChange, SeriesEnd
from event_log.memory_changes import History, Registry
from event_log.memory_table import Columns, Kept, Record, Records, alive_since, columns_of, rows, size_of

RECORDS_A_STEP = 1024
EVENTS_A_STEP = 10_000
"""A step of cleaning ends with the record that reaches this."""
SERIES_A_STEP = 256
"""How many series whose keep has changed are looked through in a step."""


class Stock:
    """Records in a row behind the mark, and of the events before it those that are kept, by series. Not thread-safe."""

    def __init__(self, registry: Registry, history: History) -> None:
        self._registry = registry
        self._history = history
        self.horizon = 0
        self.mark = 0
        self.records = Records()
        self.kept = Kept()
        self.doubtful: dict[int, None] = {}
        """Series whose kept events may have died by a change."""

    def __len__(self) -> int:
        return self.records.events + self.kept.events

    def clean(self, horizon: int, kept_since: KeptSince, position: int) -> bool:
        """A step of `EventLog.clean` of a log at this position; whether there may be more."""
        self.horizon = max(self.horizon, horizon)
        expired = self._expired()
        if expired:
            self._pass(expired, kept_since, position)
        elif not self.records:
            self.mark = position
        for series in list(islice(self.doubtful, SERIES_A_STEP)):
            self._look(series, kept_since)
        self._forget_changes()
        return bool(expired or self.doubtful)

    def _expired(self) -> list[Record]:
        """The next records, oldest first, none of whose events is later than the horizon."""
        found: list[Record] = []
        events = 0
        for record in islice(self.records.behind(self.mark), RECORDS_A_STEP):
            if events >= EVENTS_A_STEP or int(np.max(record[2])) > self.horizon:
                break
            found.append(record)
            events += size_of(record)
        return found

    def _pass(self, expired: list[Record], kept_since: KeptSince, position: int) -> None:
        """Move the mark behind these records, or to the log's position if none are left."""
        columns = columns_of(expired)
        names, index = np.unique(columns[1], return_inverse=True)
        since = [kept_since(series) if self._registry.lives(series) else None for series in names.tolist()]
        order = np.argsort(index, kind="stable")
        bounds = np.searchsorted(index[order], np.arange(1, len(names)))
        for series, first, own in zip(names.tolist(), since, np.split(order, bounds), strict=True):
            if first is not None:
                self._keep(series, first, rows(columns, own))
        self.records.drop(expired)
        self.mark = expired[-1][0] if self.records else position

    def _keep(self, series: int, since: tuple[int, int], columns: Columns) -> None:
        """Keep what is alive of these events, and forget what has died for them."""
        alive = alive_since(columns, np.array([since]))
        if not alive.all():
            self._registry.forget(series, int(columns[0][~alive][-1]))
        if alive.any():
            self.kept.add(series, rows(columns, alive))
        forgotten, _ = self.kept.drop_dead(series, since)
        self._registry.forget(series, forgotten)

    def _look(self, series: int, kept_since: KeptSince) -> None:
        """Forget of a series what has died by a change."""
        more = False
        if self._registry.lives(series):
            forgotten, more = self.kept.drop_dead(series, kept_since(series))
            self._registry.forget(series, forgotten)
        if not more:
            del self.doubtful[series]

    def _forget_changes(self) -> None:
        """Make old changes part of what a reader from START begins with."""
        for change in self._history.old(self.mark):
            if not isinstance(change, SeriesEnd):
                self._apply(change)
            self._history.fold(change, self._registry)

    def _apply(self, change: KeepChange | RulesChange) -> None:
        """Forget what died by a change: nobody will be told of it who could know."""
        for number in [change.series] if isinstance(change, KeepChange) else self.kept.series():
            series = self._registry.series.get(number)
            if series is not None and (isinstance(change, KeepChange) or series.keep is None):
                keep = self._history.keep_before(series)
                forgotten = self.kept.apply(number, change.position, change.horizon, keep)
                self._registry.forget(number, forgotten)
