"""EventService: the one door to events.

On the way in an event is weighed against the clock and appended to the log, nothing else. A question first takes in
what is new in the log, and answers from the projection, under its lock and with one reading of the clock; so it sees
every event acknowledged before it began, by whichever worker.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from event_log.batch import ON_ARRIVAL, Batch, Ids, Times, Values
from event_log.errors import LogError, LogUnavailable, LogUncertain
from event_log.idempotency import Done
from event_log.log import Log
from event_log.outcomes import Stored
from event_log.port import RecordStore, Usage
from event_log.rules import Rules
from event_log.tables import Change
from event_log.writes import PLAIN, Conditions, unexpired
from settings import Settings
from times import wall_clock
from view.background import Background
from view.housekeeping import Housekeeping
from view.level import Level, Listener
from view.questions import Questions

LATE_SECONDS = 5.0
"""Seconds after which health warns of data that is not synced."""


class TooFarAhead(Exception):
    """Events are dated further ahead of the clock than allowed; nothing was stored."""

    def __init__(self, indexes: list[int], limit: int) -> None:
        super().__init__(indexes, limit)
        self.indexes = indexes
        """Indexes of the events in the request, at most the first 100."""
        self.limit = limit
        """Maximum microseconds that an event may be ahead of the clock."""


class Ended(NamedTuple):
    """Result of ending a series: whether there was one to end, and where the log stood then."""

    was_there: bool
    position: int


class EventService(Questions):
    """Events in, answers out, over a log that others may share."""

    log: Log
    """Opened by `start`, in the process that uses it."""
    housekeeping: Housekeeping
    """Likewise."""

    def __init__(
        self,
        store: RecordStore,
        settings: Settings,
        clock: Callable[[], int] = wall_clock,
        *,
        follow: bool = False,
        start: str | None = None,
    ) -> None:
        """`start` is an id that all processes of one start of the service share, and no other start has."""
        super().__init__(settings, lambda: store.corrected(clock()))
        self.store = store
        self._own_rules = Rules._make(getattr(settings, name) for name in Rules._fields)
        self.start_id = start or secrets.token_hex(16)
        """The id that all processes of this start of the service share."""
        self.watch_alerts: Callable[[], None] = lambda: None
        """Looks at alerts, where this process evaluates them: called about once a second, once the log is caught up."""
        self._listeners: list[Listener] = []
        self._pid = 0  # of the process that has opened the log
        self._opening: dict[int, threading.Lock] = {}  # by process: locks must be made after the fork
        self._attempts = 0
        self._fault = LogUnavailable()
        """Fault of the last attempt to open the log."""
        self._background = Background(self.tick, store.sync, blocks=store.blocks) if follow else None

    @property
    def rules(self) -> Rules:
        """The rules in force, as far as this process has applied the log; before that its own."""
        return self.log.machine.rules if self._pid == os.getpid() else self._own_rules

    def add(
        self,
        series: str,
        time: int | None,
        value: float,
        *,
        max_age: int | None = None,
        conditions: Conditions = PLAIN,
    ) -> Stored:
        """Log one event; a time of None means now. One older than `max_age`, if given, counts as expired. Raises
        TooFarAhead or a LogError, having stored nothing."""
        self.start()
        now, machine = self.clock(), self.log.machine
        if time is None:
            time = self._arrival(now)
        elif time > now + machine.rules.max_future:
            raise TooFarAhead([0], machine.rules.max_future)
        elif time <= self._cutoff(now) or (max_age is not None and time < now - max_age):
            return self._refuse(1, conditions)
        if conditions is PLAIN:
            return self.log.append_one(series, time, value)
        return self._store(Batch([series], None, time, np.array([value])), 0, conditions)

    def add_many(
        self,
        names: Sequence[str],
        name_indexes: Ids | None,
        times: Times | None,
        values: Values,
        conditions: Conditions = PLAIN,
    ) -> Stored:
        """Log a batch, all or nothing. `name_indexes` has for each event the index of its series in `names`, None
        for names[0]; times of None, or of ON_ARRIVAL, mean now. Raises TooFarAhead or a LogError, having stored
        nothing."""
        self.start()
        now, machine = self.clock(), self.log.machine
        if times is None:
            return self._store(Batch(names, name_indexes, self._arrival(now), values), 0, conditions)
        ahead = np.flatnonzero(times > now + machine.rules.max_future)
        if len(ahead) and (times[ahead] == ON_ARRIVAL).any():
            times = np.where(times == ON_ARRIVAL, self._arrival(now), times)
            ahead = np.flatnonzero(times > max(now + machine.rules.max_future, self._arrival(now)))
        if len(ahead):
            raise TooFarAhead(ahead[:100].tolist(), machine.rules.max_future)
        batch, expired = unexpired(Batch(names, name_indexes, times, values), self._cutoff(now))
        return self._store(batch, expired, conditions) if len(batch) else self._refuse(expired, conditions)

    def recall(self, key: bytes) -> Done | None:
        """Return the outcome of a write that was done once under this key, as far as this process knows."""
        self.start()
        return self.log.recall(key)

    def listen(self, listener: Listener) -> None:
        """Have `listener` called with each portion of the log, as the projection takes it in, and when another one has
        taken its place."""
        self._listeners.append(listener)

    def series_id(self, name: str) -> int | None:
        """The id under which the log tells of a series; None for one not seen, or ended."""
        return self._level.projection.ids.get(name)

    def series_count(self) -> int:
        """Return the number of living series."""
        return len(self._level.projection.ids)

    def level(self) -> Level:
        """Return the level: `with service.level() as projection` gives the projection, up to date and locked."""
        self.start()
        return self._level

    def lease(self, name: str, seconds: float) -> int | None:
        """Take or prolong a lease; see `event_log.log.Log.lease`."""
        self.start()
        return self.log.lease(name, seconds)

    def has_holder(self, lease: str) -> bool:
        """Return whether a process has this lease, as far as this one has applied the log."""
        self.start()
        return self.log.machine.leases.current(lease, self.store.time()) is not None

    def change(self, changes: Sequence[Change], lease: tuple[str, int] | None = None) -> int:
        """Change rows of shared tables; see `event_log.log.Log.change`. Raises Void."""
        self.start()
        return self.log.change(changes, lease)

    def end_series(self, name: str) -> Ended:
        """End a series: its events are gone from every answer from that position on. The name may begin anew."""
        self.start()
        while True:
            with self._level as projection:
                number, position = projection.ids.get(name), projection.cursor.position
            if number is None:
                return Ended(False, position)
            if (ended := self.log.end_series(number)) is not None:
                return Ended(True, ended)

    def ready(self) -> bool:
        """Return whether the projection has been level with the log since this process started. Raises
        LogUnavailable."""
        if self._background is None or not self._background.start():
            self.start()
            with self._level:
                pass
        elif self._pid != os.getpid():  # a background thread is opening the log, which may take long
            if self._attempts:
                raise LogUnavailable(str(self._fault)) from self._fault
            return False
        return self._level.is_ready

    def follow(self) -> None:
        """Begin to follow the log in the background, which opens it; a service that does not follow opens it when
        it is used."""
        if self._background is not None:
            self._background.start()

    def start(self) -> None:
        """Use the log from now on in this process: claim the rules, follow it in the background. Raises
        LogUnavailable."""
        pid = os.getpid()
        if self._pid == pid:
            return
        if self._background is not None:
            self._background.start()  # first: it comes back here until the log is there
        attempts = self._attempts
        with self._opening.setdefault(pid, threading.Lock()):
            if self._pid == pid:
                return
            if self._attempts != attempts:  # one attempt serves all who wait for it
                raise LogUnavailable(str(self._fault)) from self._fault
            try:
                self._open()
            except LogError as fault:
                self._attempts, self._fault = self._attempts + 1, LogUnavailable(str(fault))
                raise
            self._pid = pid

    def _open(self) -> None:
        log = Log(self.store)
        level = Level(log, self.settings.percentile_bytes, self._listeners)
        log.relieve = level.advance
        log.claim(self._own_rules, self.start_id)
        self.log, self._level, self.housekeeping = log, level, Housekeeping(log, level, self.settings.idle)

    def advance(self) -> bool:
        """Take in the next portion of the log; says whether there is more."""
        self.start()
        return self._level.advance()

    def tick(self) -> bool:
        """Do a bounded piece of what is due: catch up, maintain, prune, compact, end idle series. Says whether more is
        waiting."""
        self.start()
        if self._level.advance():
            return True
        if self.housekeeping.tick(self.clock()):
            self.watch_alerts()
        return False

    def position(self) -> int:
        """The highest position given so far."""
        self.start()
        return self.store.end().position

    def check(self) -> None:
        """Raises LogUnavailable, with the reason, when the log cannot be read or written."""
        self.store.check()
        if self._pid == os.getpid():
            self.log.check()

    def notice(self) -> str | None:
        """Return what a person should know of the log though it works."""
        age = self.store.usage().synced or 0.0
        late = f"what came in the last {age:.0f} seconds is not yet safe from a power cut" if age > LATE_SECONDS else ""
        return "; ".join(filter(None, (self.store.notice(), late))) or None

    def usage(self) -> Usage:
        """Return the bytes that the log takes and may take."""
        return self.store.usage()

    def close(self) -> None:
        """Stop following and let go of the log."""
        if self._background is not None:
            self._background.stop()
        self.store.close()

    def _arrival(self, now: int) -> int:
        """Return the time of what arrives now; a clock behind the horizon would have it dead at birth."""
        return max(now, self.log.machine.horizon + 1)

    def _cutoff(self, now: int) -> int:
        """An event at or before it is expired."""
        return max(now - self.log.machine.rules.retention, self.log.machine.horizon)

    def _refuse(self, count: int, conditions: Conditions) -> Stored:
        """Store nothing of a request whose events have all expired, but remember that it was done, and have it paid."""
        if conditions.once is None and conditions.budget is None:
            return Stored(0, count, self.store.end().position)
        nothing = Batch((), None, 0, np.empty(0))
        return self._store(nothing, count, Conditions(once=conditions.once, budget=conditions.budget))

    def _store(self, batch: Batch, expired: int, conditions: Conditions) -> Stored:
        """Store what has not expired of a request."""
        try:
            return self.log.append(batch, conditions, expired)
        except LogUncertain as fault:
            fault.events = len(batch) + expired
            raise
