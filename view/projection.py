"""A worker's projection of the log: windows, names and rules, built from what applying the log tells, in its order."""

from __future__ import annotations

from collections.abc import Iterator

from event_log.applied import Told
from event_log.codec import Columns
from event_log.compaction import Threshold
from event_log.rules import UNCLAIMED
from event_log.series import Series
from event_log.steps import Began, Horizon, Jump, KeepChange, Rows, RulesChange, SeriesEnd, Step, TableChange
from event_log.tables import Tables
from rolling.block import EARLIEST
from rolling.view import PERCENTILE_BYTES, View
from view.snapshots import Seen, Snapshot, Snapshots

TOGETHER = 32_768
"""Events that are taken in together, in many steps: to sort as many takes some milliseconds."""
SERIES_A_STEP = 256
"""Series that are looked at in a step."""
LEAST_POSITION = 0
ALL_LIVE = EARLIEST, LEAST_POSITION


class Projection(Seen):
    """All of it is a function of the log up to `cursor`, and of nothing else. Not thread safe: the caller holds a lock.

    It is told of series before their events and of the horizon like of any other change, and answers from what it was
    told alone. Work that may take long is done in steps: until the last one it is in no state to answer."""

    view: View

    def __init__(self, percentile_bytes: int = PERCENTILE_BYTES) -> None:
        series: dict[int, Series] = {}  # not `self`: in a cycle it would stay once another one has taken its place
        super().__init__(View(UNCLAIMED.keep_last, lambda number: series[number].keep, percentile_bytes))
        self.series = series
        self.tables = Tables()
        self.snapshots = Snapshots()
        self._dead_before: dict[int, tuple[int, int]] = {}  # by series, raised at each change and never lowered

    def snapshot(self) -> Snapshot | None:
        """Return a snapshot of all this, shared with the questions that began at the same place; None where as many
        live as may. Not while something is being taken in."""
        return self.snapshots.take(self.cursor, lambda: Snapshot(self, self.view.snapshot()))

    def take(self, told: Told) -> Iterator[None]:
        """Take in what was told next, in steps."""
        self.snapshots.settle()
        for number, step in enumerate(told.steps, 1):
            yield from self._take(step)
            if number % SERIES_A_STEP == 0:
                yield
        self.cursor = told.cursor

    def _take(self, step: Step) -> Iterator[None]:
        if isinstance(step, Rows):
            yield from self.view.add_few(step.rows)
        elif isinstance(step, Columns):
            yield from self._add(step)
        elif isinstance(step, Began):
            self._begin(step)
        elif isinstance(step, KeepChange):
            yield from self._change_keep(step)
        elif isinstance(step, RulesChange):
            yield from self._change_rules(step)
        elif isinstance(step, SeriesEnd):
            yield from self._end(step)
        elif isinstance(step, Horizon):
            self.view.raise_horizon(step.horizon)
        elif isinstance(step, Jump):
            self.jumps.append((step.start, step.to))
        elif isinstance(step, TableChange):
            self.tables.put(step.table, step.key, step.value, step.position)
        else:
            self.ended = step.copy()

    def _add(self, events: Columns) -> Iterator[None]:
        for start in range(0, len(events), TOGETHER):
            some = events.chosen(slice(start, start + TOGETHER))
            yield from self.view.add_many(some.ids, some.times, some.values, some.positions)
            yield

    def _begin(self, step: Began) -> None:
        self.series[step.series] = step.entry
        self.ids[step.entry.name] = step.series
        self._names = None
        if step.dead_before > ALL_LIVE:
            self._dead_before[step.series] = step.dead_before
        window = self.view.window(step.series)
        if step.forgotten:
            window.forget(step.forgotten, self.view.horizon)

    def _change_keep(self, step: KeepChange) -> Iterator[None]:
        self._note_dead(step.series)
        yield from self.view.change_keep(step.series, max(step.horizon, self.view.horizon), step.keep)
        self.series[step.series] = self.series[step.series]._replace(keep=step.keep)

    def _change_rules(self, step: RulesChange) -> Iterator[None]:
        for number, series in enumerate(list(self.view.windows), 1):
            if not self.view.windows[series].own_keep:
                self._note_dead(series)
            if number % SERIES_A_STEP == 0:
                yield
        yield from self.view.change_keep(None, max(step.horizon, self.view.horizon), step.rules.keep_last)
        self.rules = step.rules

    def _end(self, step: SeriesEnd) -> Iterator[None]:
        yield from self.view.end_series(step.series)
        del self.series[step.series], self.ids[step.name]
        self._dead_before.pop(step.series, None)
        self._names = None
        self.ended.note(step.name, step.position)

    def _note_dead(self, series: int) -> None:
        """Note which events of a series are dead, before it may come to retain more."""
        threshold = self._threshold(series)
        if threshold > ALL_LIVE:
            self._dead_before[series] = threshold

    def _threshold(self, series: int) -> tuple[int, int]:
        """The (time, position) below which the events of a series are dead for good."""
        since = min((self.view.horizon + 1, LEAST_POSITION), self.view.windows[series].kept_since())
        return max(since, self._dead_before.get(series, ALL_LIVE))

    def judge(self, thresholds: dict[int, Threshold]) -> Iterator[None]:
        """Fill in what a compaction asks of each series, in steps, between which more may be taken in: what is dead
        stays so."""
        for number, series in enumerate(list(self.series), 1):
            if series in self.series:
                thresholds[series] = self._judged(series)
            if number % SERIES_A_STEP == 0:
                yield

    def _judged(self, series: int) -> Threshold:
        time, position = self._threshold(series)
        window = self.view.windows[series]
        if window.live(self.view.horizon) < len(window):
            window = self.view.window(series)
            window.change_keep(self.view.horizon, window.keep)  # lets go of all that is dead, and notes it
        return Threshold(time, position, window.forgotten)
