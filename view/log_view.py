"""A view with what the log says of its series: names, rules, and the place up to which it has read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from event_log.base import START, Change, EventLog, Events, HistoryChanged, Rules, RulesChange, Series, SeriesEnd
from rolling.block import EARLIEST
from rolling.view import PERCENTILE_BYTES, View

TOGETHER = 32_768
"""How many events are taken in together, in many steps: to sort as many takes some milliseconds."""
SERIES_A_STEP = 1024
"""How many series are looked at in a step."""
MOST_ENDS = 10_000
"""Of so many names it is remembered where they last ended."""


class LogView:
    """What one reader of the log knows. Not thread safe: the caller holds a lock.

    All of it is a function of the log up to `place` and of its horizon; series are known from their first event to
    their end."""

    def __init__(self, log: EventLog, rules: Rules, percentile_bytes: int = PERCENTILE_BYTES) -> None:
        """`rules` hold until the log says which do."""
        self._log = log
        self.rules = rules
        self.place = START
        self.view = View(rules.keep_last, self._register, percentile_bytes)
        self.ids: dict[str, int] = {}
        self.level_horizon = 0
        """The horizon when this view was last level with the log."""
        self.ended: dict[int, str] = {}
        """The series that ended in what was taken in last, and their names."""
        self._ends: dict[str, int] = {}  # of names: where a series of it ended last; the latest ends last
        self._series: dict[int, Series] = {}
        self._names: list[str] | None = []  # sorted but for the last ones; None: not known since a series has ended
        self._sorted = True
        self._jumped_from: int | None = None  # where the reading of what is left of a longer history began

    @property
    def series(self) -> Mapping[int, Series]:
        """All series that are known, as they were when they became so."""
        return self._series

    def names(self) -> list[str]:
        """The names of all series, sorted. Not to be changed."""
        if self._names is None or not self._sorted:
            self._names = self._names or list(self.ids)
            self._names.sort()
            self._sorted = True
        return self._names

    def page(self, prefix: str, limit: int | None, after: str | None) -> list[str]:
        """Up to `limit` names, or all, that begin with `prefix` and come behind `after`, sorted."""
        names = self.names()
        start = bisect_right(names, after) if after is not None and after >= prefix else 0
        start = max(start, bisect_right(names, prefix) - (prefix in self.ids))
        return [name for name in names[start : None if limit is None else start + limit] if name.startswith(prefix)]

    def take(self, events: Events) -> Iterator[None]:
        """Take in what a read has brought, in steps. In between, and if one raises HistoryChanged, it is in no state
        to answer."""
        self.ended = {}
        if events.rules is not None:
            self.rules = events.rules
            self.view.keep_last = events.rules.keep_last
        if self._jumped_from is None and not events.fills(self.place.position):
            self._jumped_from = self.place.position
        self.view.raise_horizon(events.horizon)
        if events.kept and events.changes:
            events = _in_order(events)
        start = 0
        for change in events.changes:
            end = int(events.positions.searchsorted(change.position))
            yield from self._add(events, start, end)
            yield from self._change(change)
            start = end
        yield from self._add(events, start, len(events))
        if self._jumped_from is not None and not (events.kept and events.more):
            yield from self._look_for_what_is_gone(self._jumped_from, events.place.position)
            self._jumped_from = None
        self.place = events.place
        if not events.more:
            self.level_horizon = events.horizon

    def ended_at(self, name: str) -> int:
        """Where a series of this name ended last; 0 if none is remembered."""
        return self._ends.get(name, 0)

    def kept_since(self, series: int) -> tuple[int, int]:
        """As `EventLog.clean` asks. Of a series that others have made meanwhile any event may be live."""
        return self.view.kept_since(series) if series in self._series else (EARLIEST, 0)

    def _add(self, events: Events, start: int, end: int) -> Iterator[None]:
        add = self.view.add_kept if events.kept else self.view.add_many
        for low in range(start, end, TOGETHER):
            part = slice(low, min(low + TOGETHER, end))
            yield from add(events.ids[part], events.times[part], events.values[part], events.positions[part])
            yield

    def _change(self, change: Change) -> Iterator[None]:
        if isinstance(change, RulesChange):
            yield from self.view.change_keep(None, change.horizon, change.rules.keep_last)
            self.rules = change.rules
        elif isinstance(change, SeriesEnd):
            yield from self.view.end_series(change.series)
            self._forget(change)
        else:
            yield from self.view.change_keep(change.series, change.horizon, change.keep)

    def _register(self, number: int) -> int | None:
        """Take up a series, whose first event or change has come; what it keeps of its own."""
        entry = self._log.series.get(number)
        if entry is None:  # its end has been forgotten meanwhile
            raise HistoryChanged(f"the log knows no series {number} any more")
        self._series[number] = entry
        self.ids[entry.name] = number
        if self._names is not None:
            self._names.append(entry.name)
            self._sorted = False
        return entry.keep

    def _forget(self, end: SeriesEnd) -> None:
        entry = self._series.pop(end.series, None)
        if entry is not None:
            self.ended[end.series] = entry.name
            self._note_end(entry.name, end.position)
            if self.ids.get(entry.name) == end.series:
                del self.ids[entry.name]
                self._names = None

    def _note_end(self, name: str, position: int) -> None:
        self._ends.pop(name, None)
        self._ends[name] = position
        if len(self._ends) > MOST_ENDS:
            del self._ends[next(iter(self._ends))]

    def _look_for_what_is_gone(self, start: int, end: int) -> Iterator[None]:
        """Of what stood between two positions the log has told only what was left: note for each series what was not.
        One that has lost all its events is taken up here."""
        for index, (number, entry) in enumerate(list(self._log.series.items()), 1):
            lives = not entry.ended or entry.ended > end
            if lives and entry.forgotten > start and (entry.forgotten <= end or number in self._series):
                window = self.view.window(number)
                window.forget(min(entry.forgotten, end), self.view.horizon)
            if index % SERIES_A_STEP == 0:
                yield


def _in_order(events: Events) -> Events:
    """Kept events by position."""
    order = np.argsort(events.positions, kind="stable")
    return replace(
        events,
        positions=events.positions[order],
        ids=events.ids[order],
        times=events.times[order],
        values=events.values[order],
    )
