"""A projection kept level with the log by whoever needs that first.

Reading the log, which may be a disk or a network away, holds no lock that a question needs. What a read brings is taken
in in portions, with the lock held for some milliseconds at a time. Between these the projection is not whole: nobody
asks it. A question is answered only once all is taken in that the log had when it was asked.

One that begins anew takes the place of the one before at once, which is let go of first: a machine whose workers all
begin anew needs no room for both. Nobody asks it until it is level.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from event_log.applied import Begun, Told
from event_log.aside import give_way
from event_log.compaction import Threshold, Verdict
from event_log.errors import HistoryChanged
from event_log.log import Log
from event_log.single_flight import SingleFlight
from rolling.view import PERCENTILE_BYTES
from view.portions import run_for
from view.projection import Projection

Listener = Callable[[Told | Begun], None]
"""Is told of each portion that the projection has taken in, in log order; of Begun once another projection is level and
has taken the place of the one before. Where that says `same_history`, positions told before mean what they meant."""

MOST_PUT_OFF = 10
"""Number of calls in a row that find snapshots alive, of which one prunes."""

logger = logging.getLogger("tidemark.projection")


class Level:
    """`with level as projection:` gives a projection that is level with the log, and locked."""

    def __init__(self, log: Log, percentile_bytes: int = PERCENTILE_BYTES, listeners: Sequence[Listener] = ()) -> None:
        """Each of `listeners`, which may grow, is called for every portion by whoever takes it in, and must not take
        long."""
        self._log = log
        self._percentile_bytes = percentile_bytes
        self._listeners = listeners
        self.lock = threading.RLock()
        """Guards `projection` and all that it holds."""
        self.projection = Projection(percentile_bytes)
        self.is_ready = False
        """True once a projection has been level with the log."""
        self._put_off = 0  # calls of prune in a row that found snapshots alive
        # Under lock: whether the projection was never level yet; whether it may be asked, which is not so in the middle
        # of what a read has brought either; why it is another one than before.
        self._is_new, self._is_whole = True, False
        self._begun: Begun | None = None
        self._flight = SingleFlight()

    def __enter__(self) -> Projection:
        return self.acquire()

    def acquire(self) -> Projection:
        """Return a projection that is level with the log, and locked: whoever has it releases `lock`."""
        # Most often nothing newer can be known without a reading: one word is compared, and no other lock is taken.
        if self._log.is_level(self.projection.cursor) and self._lock_whole():
            return self.projection
        while True:
            self._catch_up()
            if self._lock_whole():
                return self.projection

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()

    @contextmanager
    def held(self) -> Iterator[Projection]:
        """Give the projection locked and whole, as level as it is."""
        while not self._lock_whole():
            self._catch_up()
        try:
            yield self.projection
        finally:
            self.lock.release()

    def advance(self) -> bool:
        """Take in what comes next; says whether there is more."""
        return self._flight.step(self._step)

    def prune(self) -> None:
        """Let go of what is dead, a portion at a time; put off while snapshots live, for whom it would be copied."""
        with self.held() as projection:
            projection.snapshots.settle()
            self._put_off = self._put_off + 1 if projection.snapshots.alive else 0
        if self._put_off % MOST_PUT_OFF:
            return
        self.run(lambda projection: projection.view.prune(projection.view.horizon))

    def judge(self, number: int) -> Verdict:
        """Say of each series what is dead for good, once all up to the record `number` is taken in. Raises
        HistoryChanged where that record is lost."""
        thresholds: dict[int, Threshold] = {}
        with self as projection:
            horizon = projection.view.horizon
            if projection.cursor.number < number:
                raise HistoryChanged("what was to be judged is lost")
        if not self.run(lambda projection: projection.judge(thresholds)):
            raise HistoryChanged("what judges has begun anew")
        return Verdict(horizon, thresholds)

    def run(self, begin: Callable[[Projection], Iterator[None]]) -> bool:
        """Do work on the projection that changes no answer, a portion at a time, and none while something is being
        taken in. False where another projection has taken its place before it was done."""
        with self.held() as projection:
            work = begin(projection)
        while True:
            with self.held() as now:
                if now is not projection:
                    return False
                if run_for(work):
                    return True
            give_way()

    def _catch_up(self) -> None:
        self._flight.run(self._step)

    def _lock_whole(self) -> bool:
        """Lock the projection if it is whole."""
        self.lock.acquire()
        if not self._is_whole:
            self.lock.release()
            return False
        return True

    def _step(self) -> bool:
        """Take in what comes next; says whether there is more."""
        try:
            told = self._log.read()
        except Begun as begun:
            logger.warning("reading the log anew: %s", begun)
            self._begin_anew(begun)
            return True
        if told.steps or told.cursor != self.projection.cursor:
            try:
                self._take_in(told)
            except BaseException:
                self._log.retell()  # some of it is in: to take it in once more would be to count that twice
                raise
        if not told.more:
            self._be_level()
        return told.more

    def _begin_anew(self, begun: Begun) -> None:
        with self.lock:
            self.projection, self._is_new, self._is_whole = Projection(self._percentile_bytes), True, False
        if self._begun is None or not begun.same_history:
            self._begun = begun

    def _take_in(self, told: Told) -> None:
        work, done = self.projection.take(told), False
        while not done:
            with self.lock:
                self._is_whole = False
                done = run_for(work)
                self._is_whole = done and not self._is_new
            if not done:
                give_way()
        if not self._is_new:
            self._tell(told)

    def _be_level(self) -> None:
        if self._is_new:
            begun, self._begun = self._begun, None
            with self.lock:
                self._is_new, self._is_whole = False, True
            if begun is not None:
                begun.position = self.projection.cursor.position
                self._tell(begun)
        self.is_ready = True

    def _tell(self, told: Told | Begun) -> None:
        for listener in self._listeners:
            try:
                listener(told)
            except Exception:  # the projection must go on, whatever became of those who listen
                logger.exception("telling of new events failed")
