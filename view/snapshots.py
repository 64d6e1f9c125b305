"""Snapshots of a projection: what a long question reads while others write.

A few may live at a time, since what is written meanwhile is held twice. Questions that begin at the same place share
one.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable

from event_log.port import Cursor
from event_log.rules import UNCLAIMED
from event_log.series import Ends, Series
from rolling.reading import Reading
from rolling.view import Snapshot as SnapshotOfView
from view.matches import Matches

MOST_ALIVE = 2
"""Maximum number of snapshots that live at a time."""


class Seen:
    """State of a projection at one moment: names, rules and windows. Not thread safe: the caller holds a lock."""

    def __init__(self, view: Reading) -> None:
        self.view = view
        self.origin = object()
        """The same for a projection and all its snapshots, and for no other one."""
        self.rules = UNCLAIMED
        self.cursor = Cursor(0)
        self.series: dict[int, Series] = {}
        """The series that live, by id. Each has its window."""
        self.ids: dict[str, int] = {}
        self.matches = Matches()
        """Matches of patterns; a projection and its snapshots share them."""
        self.jumps: list[tuple[int, int]] = []
        """Jumps of positions, as (from, to): what may once have stood between them, `to` included, was lost."""
        self.ended = Ends()
        self._names: list[str] | None = []  # sorted; None: to be sorted anew

    def names(self) -> list[str]:
        """The names of all series, sorted. Not to be changed."""
        if self._names is None:
            self._names = sorted(self.ids)
        return self._names

    def page(self, prefix: str, limit: int | None, after: str | None) -> list[str]:
        """Return at most `limit` names, or all, that begin with `prefix` and come behind `after`, sorted."""
        names = self.names()
        start = bisect_right(names, after) if after is not None and after >= prefix else 0
        start = max(start, bisect_right(names, prefix) - (prefix in self.ids))
        return [name for name in names[start : None if limit is None else start + limit] if name.startswith(prefix)]


class Snapshot(Seen):
    """A projection as it was, for as long as anybody uses it."""

    view: SnapshotOfView

    def __init__(self, seen: Seen, view: SnapshotOfView) -> None:
        super().__init__(view)
        self.users = 0
        self.since = 0.0
        """Time at which it was taken, in seconds of the clock of Snapshots."""
        self.origin, self.rules, self.cursor, self.matches = seen.origin, seen.rules, seen.cursor, seen.matches
        self.jumps, self.series, self.ids = seen.jumps[:], seen.series.copy(), seen.ids.copy()
        self.ended, self._names = seen.ended.copy(), seen._names


class Snapshots:
    """The snapshots of one projection that live. Not thread safe but for `leave`: the caller holds a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.alive: list[Snapshot] = []
        self.slow: set[str] = set()
        """The kinds of questions that took long the last time: they are put to a snapshot at once."""
        self._left: deque[Snapshot] = deque()

    def take(self, cursor: Cursor, new: Callable[[], Snapshot]) -> Snapshot | None:
        """Return a snapshot of this place, made by `new` unless there is one; None where as many live as may."""
        self.settle()
        found = next((snapshot for snapshot in self.alive if snapshot.cursor == cursor), None)
        if found is None:
            if len(self.alive) >= MOST_ALIVE:
                return None
            found = new()
            found.since = self._clock()
            self.alive.append(found)
        found.users += 1
        return found

    def leave(self, snapshot: Snapshot) -> None:
        """Use a snapshot no more: whoever next holds the lock counts that off. Waits for nobody."""
        self._left.append(snapshot)

    def standing(self) -> tuple[int, float]:
        """Return the number of those that live, and the age of the oldest in seconds."""
        self.settle()
        return len(self.alive), max((self._clock() - snapshot.since for snapshot in self.alive), default=0.0)

    def settle(self) -> None:
        """Close the snapshots that nobody uses any more."""
        while self._left:
            snapshot = self._left.popleft()
            snapshot.users -= 1
            if not snapshot.users:
                self.alive.remove(snapshot)
                snapshot.view.close()
