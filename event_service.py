"""EventService: the one door to events.

On the way in an event is weighed against the clock and appended to the log, nothing else. A question first
takes in what is new in the log, prunes what has expired, and answers from the view, all under one lock and
with one reading of the clock; so it sees every event acknowledged before it began, by whichever worker.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from event_log.base import Batch, EventLog, Events, Ids, LogFull, Times, Values
from follower import Follower
from rolling.block import EARLIEST
from rolling.summary import Summary
from rolling.view import View
from settings import Settings
from times import SECOND, wall_clock

KEPT_BY_SYMBOLS = 10**8
"""How many events a symbol of the batches dialect keeps."""
PORTION = 200_000
"""About how many events are taken in at a time: some 50 ms of work."""
CLEANING_STEPS = 64
"""Most steps of cleaning for one write that finds the log full."""


class TooFarAhead(Exception):
    """Events are dated further ahead of the clock than allowed; nothing was stored."""

    def __init__(self, indexes: list[int], limit: int) -> None:
        super().__init__(indexes, limit)
        self.indexes = indexes
        """Which events of the request, at most the first 100."""
        self.limit = limit
        """How far ahead is allowed, in microseconds."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request's events, and where the log stood behind them."""

    stored: int
    expired: int
    position: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The summary of the events asked for, its ends as (time, value) if wanted, and how far the view had read."""

    summary: Summary
    first: tuple[int, float] | None
    last: tuple[int, float] | None
    position: int
    arrived: int
    """How many events of the series, or of all, this process has taken in so far."""


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """One series in a listing: how many live events it has, the first and the last of them as (time, value), and
    the event with which the series began, live or not."""

    name: str
    initial: tuple[int, float]
    count: int
    first: tuple[int, float] | None
    last: tuple[int, float] | None


class EventService:
    """Events in, answers out, over a log that others may share."""

    def __init__(
        self, log: EventLog, settings: Settings, clock: Callable[[], int] = wall_clock, *, follow: bool = False
    ) -> None:
        self.log = log
        self.settings = settings
        self.clock = clock
        self._follower = Follower(self.tick, log.sync) if follow else None
        self._lock = RLock()
        # All below: under _lock, and only ever as the log says.
        self._view = View()
        self._ids: dict[str, int] = {}
        self._names: list[str] = []  # sorted
        self._symbols: set[int] = set()
        self._position = 0
        self._ready = False
        self._cleaning = False  # there was more to clean

    def add(self, series: str, time: int | None, value: float, *, max_age: int | None = None) -> Accepted:
        """Log one event; a time of None means now. One older than `max_age`, if given, counts as expired.
        Raises TooFarAhead or a LogError, having stored nothing."""
        now = self.clock()
        if time is None:
            time = now
        elif time > now + self.settings.max_future:
            raise TooFarAhead([0], self.settings.max_future)
        elif time <= self._cutoff(now) or (max_age is not None and time < now - max_age):
            return Accepted(0, 1, self.log.position())
        return Accepted(1, 0, self._append(lambda: self.log.append_one(series, time, value)))

    def add_many(
        self, names: Sequence[str], which: Ids | None, times: Times | None, values: Values, *, symbol: bool = False
    ) -> Accepted:
        """Log a batch, all or nothing. `which` is for each event the index of its series in `names`, None for
        names[0]; times of None mean now; `symbol` makes the series symbols of the batches dialect.
        Raises TooFarAhead or a LogError, having stored nothing."""
        now = self.clock()
        batch = Batch(names, which, now if times is None else times, values)
        if times is not None:
            ahead = np.flatnonzero(times > now + self.settings.max_future)
            if len(ahead):
                raise TooFarAhead(ahead[:100].tolist(), self.settings.max_future)
            fresh = times > self._cutoff(now)
            if not fresh.all():
                batch = _chosen(names, which, times, values, fresh)
        if not len(batch):
            return Accepted(0, len(values), self.log.position())
        position = self._append(lambda: self.log.append(batch, symbol=symbol))
        return Accepted(len(batch), len(values) - len(batch), position)

    def statistics(
        self, series: str | None = None, *, window: int | None = None, last: int | None = None, edges: bool = False
    ) -> Answer:
        """The statistics of a series, or of all: over `window` microseconds, over the `last` events, over the
        last ones of those in the window, or over the configured window. A series never seen is empty."""
        if window is None and last is None:
            window = self.settings.window
        with self._lock:
            now = self._now()
            number = None if series is None else self._ids.get(series, -1)
            if number == -1:
                return Answer(Summary(), None, None, self._position, 0)
            after = None if window is None else now - window
            tail = self._view.tail(number, after, now - self.settings.retention, last, edges)
            first = tail.first and (tail.first[0], tail.first[2])
            newest = tail.last and (tail.last[0], tail.last[2])
            arrived = self._position if number is None else self._view.windows[number].taken
            return Answer(tail.summary, first, newest, self._position, arrived)

    def series(
        self, prefix: str = "", limit: int = 100, after: str | None = None
    ) -> tuple[list[SeriesInfo], str | None, int]:
        """Up to `limit` series by name, those that begin with `prefix` and come behind `after`; then the name to
        go on after, None at the end; then how far the view had read."""
        with self._lock:
            cutoff = self._now() - self.settings.retention
            start = bisect_right(self._names, after) if after is not None and after >= prefix else 0
            start = max(start, bisect_right(self._names, prefix) - (prefix in self._ids))
            page = [name for name in self._names[start : start + limit + 1] if name.startswith(prefix)]
            infos = [self._info(name, cutoff) for name in page[:limit]]
            return infos, page[limit - 1] if len(page) > limit else None, self._position

    def events(self, series: str, limit: int) -> tuple[Times, Values, int] | None:
        """Times and values of the last live events of a series, oldest first, and how far the view had read;
        None for a series never seen."""
        with self._lock:
            cutoff = self._now() - self.settings.retention
            number = self._ids.get(series)
            if number is None:
                return None
            window = self._view.windows[number]
            times, _, values = window.rows(min(limit, window.live(max(cutoff, self._view.horizon))))
            return times, values, self._position

    def ready(self) -> bool:
        """Whether the view has caught up with the log since this process started."""
        if self._follower is None or not self._follower.start():
            with self._lock:
                self._now()
        return self._ready

    def start(self) -> None:
        """Follow the log in the background from now on, in this process."""
        if self._follower is not None:
            self._follower.start()

    def tick(self) -> bool:
        """Do a bounded piece of what is due: catch up, then clean. Says whether more is waiting."""
        with self._lock:
            if self._catch_up():
                return True
            horizon = self.clock() - self.settings.retention
            if horizon < self._view.horizon + SECOND and not self._cleaning:
                return False
            self._cleaning = self.log.clean(horizon, self._kept_since)
            return self._cleaning

    def close(self) -> None:
        """Stop following and let go of the log."""
        if self._follower is not None:
            self._follower.stop()
        self.log.close()

    def _cutoff(self, now: int) -> int:
        """An event at or before it is expired."""
        return max(now - self.settings.retention, self._view.horizon)

    def _append(self, append: Callable[[], int]) -> int:
        self.start()
        try:
            return append()
        except LogFull:
            self._make_room()
            return append()

    def _make_room(self) -> None:
        with self._lock:
            horizon = self._now() - self.settings.retention
            for _ in range(CLEANING_STEPS):
                if not self.log.clean(horizon, self._kept_since):
                    break

    def _kept_since(self, series: int) -> tuple[int, int]:
        """The (time, position) from which on an expired event of a series may still be live: any, where others have
        made the series, or a symbol of it, since this view caught up."""
        if series >= len(self._view.windows) or (series in self.log.symbols and series not in self._symbols):
            return EARLIEST, 0
        return self._view.kept_since(series)

    def _now(self) -> int:
        """Catch up, then read the clock: the moment the answer is for."""
        self.start()
        while self._catch_up():
            pass
        return self.clock()

    def _catch_up(self) -> bool:
        """Take in the next portion of the log; says whether there may be more."""
        events = self.log.read(self._position, PORTION)
        for number in range(len(self._view.windows), len(self.log.series)):
            self._register(self.log.series[number].name)
        if len(events):
            self._take(events)
        self._position = events.position
        more = len(events) >= PORTION
        if not more:  # else the horizon is that of a later moment: events may yet be raised to be kept
            self._view.prune(events.horizon)
        self._ready = self._ready or not more
        return more

    def _register(self, name: str) -> None:
        self._ids[name] = len(self._view.windows)
        self._view.register(self.settings.keep_last)
        insort(self._names, name)

    def _take(self, events: Events) -> None:
        """Give events to the view, raising what new symbols keep just where the log raised it."""
        start = 0
        for since, number, horizon in self._raised():
            if since < events.position:
                end = int(np.searchsorted(events.positions, since, side="right"))
                self._give(events, start, end)
                self._view.raise_keep(number, horizon, max(KEPT_BY_SYMBOLS, self.settings.keep_last))
                self._symbols.add(number)
                start = end
        self._give(events, start, len(events))

    def _raised(self) -> list[tuple[int, int, int]]:
        """Symbols not yet taken in, in the order in which they were made."""
        return sorted(
            (entry.symbol_since, number, entry.symbol_horizon)
            for number, entry in self.log.symbols.items()
            if number not in self._symbols and entry.symbol_since is not None
        )

    def _give(self, events: Events, start: int, end: int) -> None:
        part = slice(start, end)
        self._view.add_many(events.ids[part], events.times[part], events.values[part], events.positions[part])

    def _info(self, name: str, cutoff: int) -> SeriesInfo:
        number = self._ids[name]
        entry, window = self.log.series[number], self._view.windows[number]
        initial = entry.created, entry.initial
        count = window.live(max(cutoff, self._view.horizon))
        if not count:
            return SeriesInfo(name, initial, 0, None, None)
        first, last = window.row(count), window.row(1)
        return SeriesInfo(name, initial, count, (first[0], first[2]), (last[0], last[2]))


def _chosen(names: Sequence[str], which: Ids | None, times: Times, values: Values, chosen: NDArray[np.bool_]) -> Batch:
    """The batch of the chosen events, with the names they need."""
    if which is None:
        return Batch(names, None, times[chosen], values[chosen])
    used, renumbered = np.unique(which[chosen], return_inverse=True)
    return Batch([names[i] for i in used.tolist()], renumbered.astype(np.uint32), times[chosen], values[chosen])
