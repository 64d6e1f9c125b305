"""What shapes answers in the log in memory: rules, series, and the changes of both that readers are still told."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import attrgetter

from event_log.base import Change, Rules, RulesChange, Series, SeriesEnd

RECENT_CHANGES = 1000
"""So many changes before the mark are told to readers that lag; the one before them has become part of what a
reader from START begins with."""
RECENT_STARTS = 1000
"""So many starts of the service are remembered."""

_position = attrgetter("position")


class Registry:
    """The series, those that have ended included as long as their end is told."""

    def __init__(self) -> None:
        self.series: dict[int, Series] = {}
        self.ids: dict[str, int] = {}  # of those that live
        self.keeps: dict[int, int] = {}  # what those that live keep of their own
        self.latest: dict[int, int] = {}  # the position of the last event of each that lives
        self._next = 0

    def register(self, series: Series) -> int:
        """Take up a series; its id."""
        number = self._next
        self._next += 1
        self.series[number] = series
        self.ids[series.name] = number
        if series.keep is not None:
            self.keeps[number] = series.keep
        return number

    def end(self, number: int, position: int) -> None:
        """Let a series end here."""
        series = self.series[number]
        self.series[number] = replace(series, ended=position)
        del self.ids[series.name]
        del self.latest[number]
        self.keeps.pop(number, None)

    def forget(self, number: int, position: int) -> None:
        """Note that an event of a series has left the log."""
        series = self.series[number]
        if position > series.forgotten:
            self.series[number] = replace(series, forgotten=position)

    def lives(self, number: int) -> bool:
        """Whether a series is there and has not ended."""
        return number in self.latest


class History:
    """The changes that are still told, and the rules before them."""

    def __init__(self, recent: int) -> None:
        self._recent = recent
        self.rules: Rules | None = None
        """Those in force before all changes that are still told."""
        self.in_force: Rules | None = None
        self.folded = 0
        """The position of the last change that is no longer told."""
        self._changes: list[Change] = []
        self._starts: deque[str] = deque(maxlen=RECENT_STARTS)

    @property
    def last(self) -> int:
        """The position of the last change there was."""
        return self._changes[-1].position if self._changes else self.folded

    def begins(self, start: str) -> bool:
        """Whether this start of the service is a new one, which it is no more from here on."""
        if start in self._starts:
            return False
        self._starts.append(start)
        return True

    def add(self, change: Change) -> None:
        """One more, at a position above all others."""
        self._changes.append(change)
        if isinstance(change, RulesChange):
            self.in_force = change.rules

    def between(self, after: int, end: int) -> Sequence[Change]:
        """Those behind a position, up to another one."""
        start, stop = (bisect_right(self._changes, position, key=_position) for position in (after, end))
        return self._changes[start:stop]

    def first(self, after: int, end: int) -> int:
        """The position of the first change behind a position, if it comes by `end`; else that."""
        index = bisect_right(self._changes, after, key=_position)
        return min(self._changes[index].position, end) if index < len(self._changes) else end

    def old(self, mark: int) -> Iterator[Change]:
        """Those that need be told no more, each taken out as it is given."""
        while len(self._changes) > self._recent and self._changes[-self._recent - 1].position <= mark:
            change = self._changes.pop(0)
            self.folded = change.position
            yield change

    def fold(self, change: Change, registry: Registry) -> None:
        """Make a change part of what a reader from START begins with."""
        if isinstance(change, RulesChange):
            self.rules = change.rules
        elif isinstance(change, SeriesEnd):
            registry.series.pop(change.series, None)
        elif (series := registry.series.get(change.series)) is not None:
            registry.series[change.series] = replace(series, keep=change.keep)

    def keep_before(self, series: Series) -> int:
        """How many events a series kept before the first change that is told."""
        if series.keep is not None:
            return series.keep
        return 0 if self.rules is None else self.rules.keep_last
