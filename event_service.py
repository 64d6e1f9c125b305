"""EventService: the one door to events.

On the way in an event is weighed against the clock and appended to the log, nothing else. A question first
takes in what is new in the log, and answers from the view, under its lock and with one reading of the clock;
so it sees every event acknowledged before it began, by whichever worker.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from struct import Struct
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from event_log.base import PLAIN, Batch, EventLog, Ids, LogFull, LogUncertain, Memo, Rules, Terms, Times, Usage, Values
from follower import Follower
from settings import Settings
from times import MINUTE, SECOND, wall_clock
from view.portions import give_way
from view.questions import Questions
from view.replica import Listener

T = TypeVar("T")

CLEANING_STEPS = 64
"""Most steps of cleaning for one write that finds the log full."""
SERIES_A_ROUND = 1000
"""How many series are looked at for idleness at a time."""
ENDS_A_ROUND = 10
"""How many idle series are ended at a time, at most."""
IDLE_ROWS = 5 * MINUTE
"""What percentiles need is let go of when nobody has asked for them for so long."""
_BECAME = Struct("<II")
"""How a memo says what became of its events: how many were stored, how many had expired."""


class TooFarAhead(Exception):
    """Events are dated further ahead of the clock than allowed; nothing was stored."""

    def __init__(self, indexes: list[int], limit: int) -> None:
        super().__init__(indexes, limit)
        self.indexes = indexes
        """Which events of the request, at most the first 100."""
        self.limit = limit
        """How far ahead is allowed, in microseconds."""


class Accepted(NamedTuple):
    """What became of a request's events, and where the log stood behind them."""

    stored: int
    expired: int
    position: int

    @classmethod
    def again(cls, memo: Memo) -> Self:
        """What became of a request that was done before."""
        stored, expired = _BECAME.unpack(memo.answer)
        return cls(stored, expired, memo.position)


class Ended(NamedTuple):
    """Whether there was a series to end, and where the log stood then."""

    was_there: bool
    position: int


class EventService(Questions):
    """Events in, answers out, over a log that others may share."""

    def __init__(
        self,
        log: EventLog,
        settings: Settings,
        clock: Callable[[], int] = wall_clock,
        *,
        follow: bool = False,
        start: str | None = None,
    ) -> None:
        """`start` is an id that all processes of one start of the service share, and no other start has."""
        super().__init__(log, settings, clock)
        self._start = start or secrets.token_hex(16)
        self._pid = 0  # of the process that has begun to use the log
        self._made_in = os.getpid()  # the process in which the locks were made
        self._follower = Follower(self.tick, log.sync) if follow else None
        self._cleaning = False  # there was more to clean
        self._looked_at: list[int] = []  # series yet to be looked at for idleness
        self._maintained = 0  # when what percentiles need was last put in order

    @property
    def rules(self) -> Rules:
        """The rules in force, as far as the view has read."""
        return self._replica.seen.rules

    @property
    def generation(self) -> int:
        """How often the log has told of another history."""
        return self._replica.generation

    def add(
        self, series: str, time: int | None, value: float, *, max_age: int | None = None, terms: Terms = PLAIN
    ) -> Accepted:
        """Log one event; a time of None means now. One older than `max_age`, if given, counts as expired.
        What a memo of `terms` answers is filled in here. Raises TooFarAhead or a LogError, having stored nothing."""
        self.start()
        now = self.clock()
        if time is None:
            time = now
        elif time > now + self.settings.max_future:
            raise TooFarAhead([0], self.settings.max_future)
        elif time <= self._cutoff(now) or (max_age is not None and time < now - max_age):
            return self._refuse(1, terms)
        if terms is PLAIN:
            return Accepted(1, 0, self._append(lambda: self.log.append_one(series, time, value)))
        batch = Batch([series], None, time, np.array([value]))
        return self._store(batch, 0, terms)

    def add_many(
        self,
        names: Sequence[str],
        name_indexes: Ids | None,
        times: Times | None,
        values: Values,
        terms: Terms = PLAIN,
    ) -> Accepted:
        """Log a batch, all or nothing. `name_indexes` has for each event the index of its series in `names`, None
        for names[0]; times of None mean now. What a memo of `terms` answers is filled in here. Raises TooFarAhead or
        a LogError, having stored nothing."""
        self.start()
        now = self.clock()
        batch = Batch(names, name_indexes, now if times is None else times, values)
        if times is not None:
            ahead = np.flatnonzero(times > now + self.settings.max_future)
            if len(ahead):
                raise TooFarAhead(ahead[:100].tolist(), self.settings.max_future)
            fresh = times > self._cutoff(now)
            if not fresh.all():
                batch = _chosen(names, name_indexes, times, values, fresh)
        if not len(batch):
            return self._refuse(len(values), terms)
        return self._store(batch, len(values) - len(batch), terms)

    def recall(self, key: bytes) -> Memo | None:
        """What is remembered of a write that was done once under this key."""
        self.start()
        return self.log.recall(key, self.clock())

    def listen(self, listener: Listener) -> None:
        """Have `listener` called with each portion of the log, as the view takes it in, and with None when the
        history is another one."""
        self._replica.listen(listener)

    def series_id(self, name: str) -> int | None:
        """The id under which the log tells of a series; None for one not seen, or ended."""
        return self._replica.seen.ids.get(name)

    def ended_series(self) -> Mapping[int, str]:
        """The series that ended in the portion of which listeners were told last, by that id."""
        return self._replica.seen.ended

    def end_series(self, name: str) -> Ended:
        """End a series: its events are gone from every answer from that position on. The name may begin anew."""
        self.start()
        while True:
            with self._replica as seen:
                number, position = seen.ids.get(name), seen.place.position
            if number is None:
                return Ended(False, position)
            if (ended := self._append(lambda: self.log.end_series(number))) is not None:  # noqa: B023  called at once
                return Ended(True, ended)

    def ready(self) -> bool:
        """Whether the view has caught up with the log since this process started."""
        self.start()
        if self._follower is None or not self._follower.start():
            with self._replica:
                pass
        return self._replica.ready

    def start(self) -> None:
        """Use the log from now on in this process: claim the rules, follow it in the background. Raises
        LogUnavailable."""
        pid = os.getpid()
        if self._pid != pid:
            if self._made_in != pid:
                self._made_in = pid
                self._replica.renew_locks()
            if self._follower is not None:
                self._follower.start()  # first: it comes back here until the log is there
            self.log.claim(self._own_rules, self._start)
            self._replica.glance()
            self._pid = pid

    def advance(self) -> bool:
        """Take in the next portion of the log; says whether there is more."""
        self.start()
        return self._replica.advance()

    def tick(self) -> bool:
        """Do a bounded piece of what is due: catch up, maintain, prune, clean, end idle series. Says whether more is
        waiting."""
        self.start()
        if self._replica.advance():
            return True
        now = self.clock()
        if now >= self._maintained + SECOND:
            self._maintained = now
            self._replica.maintain(now, IDLE_ROWS)
        horizon = now - self.rules.retention
        if horizon < self._replica.seen.view.horizon + SECOND and not self._cleaning:
            return False
        self._replica.prune()
        self._cleaning = self._clean(horizon)
        if not self._cleaning:
            self._end_idle()
        return self._cleaning

    def position(self) -> int:
        """The highest position given so far."""
        self.start()
        return self.log.position()

    def check(self) -> None:
        """Raises LogUnavailable, with the reason, when the log cannot be read or written."""
        self.log.check()

    def notice(self) -> str | None:
        """What a person should know of the log though it works."""
        return self.log.notice()

    def usage(self) -> Usage:
        """What the log takes and may take."""
        return self.log.usage()

    def close(self) -> None:
        """Stop following and let go of the log."""
        if self._follower is not None:
            self._follower.stop()
        self.log.close()

    def _cutoff(self, now: int) -> int:
        """An event at or before it is expired."""
        seen = self._replica.seen
        return max(now - seen.rules.retention, seen.view.horizon)

    def _refuse(self, count: int, terms: Terms) -> Accepted:
        """Store nothing of a request whose events have all expired, but remember that it was done, and have it paid."""
        if terms.once is None and terms.budget is None:
            return Accepted(0, count, self.log.position())
        return self._store(Batch((), None, 0, np.empty(0)), count, Terms(once=terms.once, budget=terms.budget))

    def _store(self, batch: Batch, expired: int, terms: Terms) -> Accepted:
        """Store what has not expired of a request; where it is done once, with what became of it."""
        if terms.once is not None:
            terms = replace(terms, once=replace(terms.once, answer=_BECAME.pack(len(batch), expired)))
        try:
            position = self._append(lambda: self.log.append(batch, terms))
        except LogUncertain as fault:
            fault.events = len(batch) + expired
            raise
        return Accepted(len(batch), expired, position)

    def _append(self, append: Callable[[], T]) -> T:
        try:
            return append()
        except LogFull:
            self._make_room()
            return append()

    def _make_room(self) -> None:
        with self._replica as seen:
            horizon = self.clock() - seen.rules.retention
        for _ in range(CLEANING_STEPS):
            if not self._clean(horizon):
                break
            give_way()

    def _clean(self, horizon: int) -> bool:
        """One step of cleaning; says whether there may be more."""
        with self._replica.lock:
            seen, position = self._replica.seen, self._replica.seen.place.position

        def kept_since(series: int) -> tuple[int, int]:
            with self._replica.lock:
                return seen.kept_since(series)

        return self.log.clean(horizon, kept_since, position)

    def _end_idle(self) -> None:
        """End some of the series that have had no event for IDLE."""
        if not self.settings.idle:
            return
        with self._replica.lock:
            seen, position = self._replica.seen, self._replica.seen.place.position
            self._looked_at = self._looked_at or list(seen.series)
            some = [self._looked_at.pop() for _ in range(min(SERIES_A_ROUND, len(self._looked_at)))]
            latest = self.clock() - self.settings.idle
            windows = seen.view.windows
            idle = [number for number in some if number in windows and windows[number].latest < latest]
        for number in idle[:ENDS_A_ROUND]:
            self.log.end_series(number, quiet_since=position)
        self._looked_at.extend(idle[ENDS_A_ROUND:])


def _chosen(
    names: Sequence[str], name_indexes: Ids | None, times: Times, values: Values, chosen: NDArray[np.bool_]
) -> Batch:
    """The batch of the chosen events, with the names they need."""
    if name_indexes is None:
        return Batch(names, None, times[chosen], values[chosen])
    used, renumbered = np.unique(name_indexes[chosen], return_inverse=True)
    return Batch([names[i] for i in used.tolist()], renumbered.astype(np.uint32), times[chosen], values[chosen])
