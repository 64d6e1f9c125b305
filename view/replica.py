"""A worker's copy of what the log says, kept level with it by whoever needs that first.

Reading the log, which may be a disk or a network away, holds no lock that a question needs. What a read brings is taken
in in portions, with the lock held for some milliseconds at a time. Between these the view is not whole: nobody asks it,
and nobody prunes it, before all that the read has brought is in. A question is answered only once all is taken in that
the log had when it was asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple

from event_log.base import START, EventLog, Events, HistoryChanged, Place, Rules
from rolling.view import PERCENTILE_BYTES
from view.catching_up import CatchingUp
from view.log_view import LogView
from view.portions import Pace, give_way, run_for

Listener = Callable[[Events | None], None]
"""Is told of each portion that the view has taken in, in log order; of None when the history is another one, from
which the view has been built anew: positions told before mean nothing any more."""

logger = logging.getLogger("tidemark.replica")


class Replica:
    """`with replica as seen:` gives a view that is level with the log, and locked."""

    def __init__(self, log: EventLog, rules: Rules, percentile_bytes: int = PERCENTILE_BYTES) -> None:
        self._log = log
        self._rules = rules  # until the log has told those in force
        self._percentile_bytes = percentile_bytes
        self._pace = Pace()
        self._listeners: list[Listener] = []
        self._next: LogView | None = None  # built aside, where the history has changed; by whose turn it is
        self.renew_locks()
        self.seen = self._new()
        self.generation = 0
        """How often the history has changed."""
        self.ready = False
        """Whether it has been level with the log since it was made."""
        self._still = False  # the last reading has brought nothing; else several at a time would bring the same
        self._whole = True  # under lock: not in the middle of what a read has brought, nor among the kept events

    def __enter__(self) -> LogView:
        while True:
            self._catch_up()
            if self._lock_whole():
                return self.seen

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()

    def renew_locks(self) -> None:
        """Make them in the process that uses them: those made before a fork, under --preload, are of the kind that
        gevent has replaced since, which halts all greenlets for one. Only before the first use there."""
        self._catch_up = CatchingUp(self._read, self._use, lambda: self._still and self._log.far)
        self.lock = threading.RLock()
        """Guards `seen` and all that it holds."""

    @contextmanager
    def held(self) -> Iterator[LogView]:
        """Give the view locked and whole, as level as it is: for the next portion of a question, which was level when
        it began."""
        while not self._lock_whole():
            self._catch_up()
        try:
            yield self.seen
        finally:
            self.lock.release()

    def advance(self) -> bool:
        """Take in the next portion; says whether there is more."""
        return self._catch_up.advance()

    def glance(self) -> None:
        """Learn the horizon, without reading all that may come before the view is level."""
        if not self.ready:
            horizon = self._log.read(START, 1).horizon
            with self.lock:
                if self._whole:  # else somebody is taking in what began with it
                    self.seen.view.raise_horizon(horizon)

    def prune(self) -> None:
        """Let go of what is dead, a portion at a time."""
        self._run(lambda seen: seen.view.prune(seen.level_horizon))

    def maintain(self, moment: int, idle: int) -> None:
        """Keep what percentiles need in order, a portion at a time; see `rolling.memory.Memory.maintain`."""
        self._run(lambda seen: seen.view.maintain(moment, idle))

    def listen(self, listener: Listener) -> None:
        """Have `listener` called for every portion from now on, by whoever takes it in; it must not take long."""
        self._listeners.append(listener)

    def _new(self) -> LogView:
        return LogView(self._log, self._rules, self._percentile_bytes)

    def _lock_whole(self) -> bool:
        """Lock the view if it is whole."""
        self.lock.acquire()
        if not self._whole:
            self.lock.release()
            return False
        return True

    def _read(self) -> _Read:
        target = self._next or self.seen
        place, start = target.place, time.thread_time()
        try:
            return _Read(target, place, self._log.read(place, self._pace.size), start)
        except HistoryChanged as reason:
            return _Read(target, place, reason, start)

    def _use(self, read: _Read) -> bool:
        target, place, events, start = read
        if target is not (self._next or self.seen) or target.place is not place:
            return True  # another reading was first
        try:
            if isinstance(events, HistoryChanged):
                raise events
            self._still = not _brings(events, target)
            if not self._still:
                self._take(target, events)
                self._pace.learn(len(events), time.thread_time() - start)
            elif target.place != events.place:
                target.place = events.place
        except HistoryChanged as reason:
            logger.warning("reading the log anew: %s", reason)
            self._next = self._new()
            return True
        if not events.more:
            self._be_level(target)
        return events.more

    def _take(self, target: LogView, events: Events) -> None:
        try:
            self._take_in(target, events)
        except HistoryChanged:
            raise
        except BaseException:
            self._next = self._new()  # some of it is in: to take it in once more would be to count that twice
            raise

    def _take_in(self, target: LogView, events: Events) -> None:
        work = target.take(events)
        if target is not self.seen:  # nobody else sees it yet
            while not run_for(work):
                give_way()
            return
        done = False
        while not done:
            with self.lock:
                self._whole = False
                done = run_for(work)
                self._whole = done and not (events.kept and events.more)
            if not done:
                give_way()
        self._tell(events)

    def _be_level(self, target: LogView) -> None:
        if target is not self.seen:
            with self.lock:
                self.seen, self._next = target, None
                self._whole = True
                self.generation += 1
            self._tell(None)
        self.ready = True

    def _run(self, begin: Callable[[LogView], Iterator[None]]) -> None:
        """Do work on the view that changes no answer, a portion at a time, and none while something is being taken
        in; no further where another view has taken its place."""
        with self.held() as seen:
            work = begin(seen)
        done = False
        while not done:
            with self.held() as now:
                done = now is not seen or run_for(work)
            if not done:
                give_way()

    def _tell(self, events: Events | None) -> None:
        for listener in self._listeners:
            try:
                listener(events)
            except Exception:  # the view must go on, whatever became of those who listen
                logger.exception("telling of new events failed")


class _Read(NamedTuple):
    """What a reading has brought."""

    target: LogView
    place: Place
    """Where it began."""
    events: Events | HistoryChanged
    start: float
    """The thread's time."""


def _brings(events: Events, target: LogView) -> bool:
    """Whether a read has brought anything but a place."""
    return bool(
        len(events.values)
        or events.changes
        or events.rules is not None
        or events.place.position != target.place.position
        or events.horizon > target.view.horizon
    )
