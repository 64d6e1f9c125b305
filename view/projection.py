"""A worker's projection of the log: windows, names and rules, built from what applying the log tells, in its order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from event_log.applied import Told
from event_log.codec import Columns
from event_log.compaction import Threshold
from event_log.port import Cursor
from event_log.rules import UNCLAIMED
from event_log.series import Series
from event_log.steps import Began, Horizon, Jump, KeepChange, Rows, RulesChange, SeriesEnd, Step, TableChange
from event_log.tables import Tables
from rolling.block import EARLIEST
from rolling.view import PERCENTILE_BYTES, View

TOGETHER = 32_768
"""Events that are taken in together, in many steps: to sort as many takes some milliseconds."""
SERIES_A_STEP = 256
"""Series that are looked at in a step."""
MOST_ENDS = 10_000
"""Maximum number of names of which it is remembered where they last ended."""
LEAST_POSITION = 0
ALL_LIVE = EARLIEST, LEAST_POSITION


class Projection:
    """All of it is a function of the log up to `cursor`, and of nothing else. Not thread safe: the caller holds a lock.

    It is told of series before their events and of the horizon like of any other change, and answers from what it was
    told alone. Work that may take long is done in steps: until the last one it is in no state to answer."""

    def __init__(self, percentile_bytes: int = PERCENTILE_BYTES) -> None:
        self.rules = UNCLAIMED
        self.cursor = Cursor(0)
        self.series: dict[int, Series] = {}
        """The series that live, by id. Each has its window."""
        series = self.series  # not `self`: in a cycle it would stay in memory once another one has taken its place
        self.view = View(self.rules.keep_last, lambda number: series[number].keep, percentile_bytes)
        self.ids: dict[str, int] = {}
        self.jumps: list[tuple[int, int]] = []
        """Jumps of positions, as (from, to): what may once have stood between them, `to` included, was lost."""
        self.tables = Tables()
        self._ends: dict[str, int] = {}  # of names: where a series of it ended last; the latest end comes last
        self._ends_until = 0  # of any other name a series may have ended at or before this position
        self._dead_before: dict[int, tuple[int, int]] = {}  # by series, raised at each change and never lowered
        self._names: list[str] | None = []  # sorted; None: to be sorted anew

    def names(self) -> list[str]:
        """The names of all series, sorted. Not to be changed."""
        if self._names is None:
            self._names = sorted(self.ids)
        return self._names

    def page(self, prefix: str, limit: int | None, after: str | None) -> list[str]:
        """Up to `limit` names, or all, that begin with `prefix` and come behind `after`, sorted."""
        names = self.names()
        start = bisect_right(names, after) if after is not None and after >= prefix else 0
        start = max(start, bisect_right(names, prefix) - (prefix in self.ids))
        return [name for name in names[start : None if limit is None else start + limit] if name.startswith(prefix)]

    def ended_at(self, name: str) -> int:
        """The last position at which a series of this name may have ended."""
        return self._ends.get(name, self._ends_until)

    def take(self, told: Told) -> Iterator[None]:
        """Take in what was told next, in steps."""
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
            self._ends, self._ends_until = dict(step.names), step.until

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
        self._ends.pop(step.name, None)
        self._ends[step.name] = step.position
        if len(self._ends) > MOST_ENDS:
            self._ends_until = self._ends.pop(next(iter(self._ends)))

    def _note_dead(self, series: int) -> None:
        """Note which events of a series are dead, before it may come to retain more."""
        threshold = self._threshold(series)
        if threshold > ALL_LIVE:
            self._dead_before[series] = threshold

    def _threshold(self, series: int) -> tuple[int, int]:
        """The (time, position) below which the events of a series are dead for good."""
        since = min((self.view.horizon + 1, LEAST_POSITION), self.view.kept_since(series))
        return max(since, self._dead_before.get(series, ALL_LIVE))

    def judge(self, thresholds: dict[int, Threshold]) -> Iterator[None]:
        """Fill in what a compaction asks of each series, in steps, between which more may be taken in: what is dead
        stays so."""
        for number, series in enumerate(list(self.series), 1):
            yield from self.view.snapshots.before_change(series)
            if series in self.series:
                thresholds[series] = self._judged(series)
            if number % SERIES_A_STEP == 0:
                yield

    def _judged(self, series: int) -> Threshold:
        time, position = self._threshold(series)
        window = self.view.windows.get(series)
        if window is None:
            return Threshold(time, position, 0)
        if window.live(self.view.horizon) < len(window):
            window.change_keep(self.view.horizon, window.keep)  # lets go of all that is dead, and notes it
        return Threshold(time, position, window.forgotten)
