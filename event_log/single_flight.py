"""Single-flight: whoever needs some work done does it, or waits for a piece of it that began after the need.

So those who read the log share one reading, and those who wait for a sync share one sync (group commit).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from event_log.aside import give_way


class _Call:
    """One who waits."""

    __slots__ = ("before", "fault", "leads", "woken")

    def __init__(self, before: int) -> None:
        self.before = before
        """Number of pieces that had begun."""
        self.leads = False
        """True if it is to do the next piece itself."""
        self.fault: Exception | None = None
        self.woken = threading.Lock()
        self.woken.acquire()


class SingleFlight:
    """Shares pieces of some work among all who need it done. A piece says whether there is more; none is done twice at
    a time.

    A call waits while others work. A piece that began after a call did serves that call too, or fails it; of all who
    have gathered meanwhile the first works again, before those who were served go on: a source that is far away has the
    next question while they use this answer. Nobody who waits holds anything, nor is overtaken.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        # All below: under _mutex.
        self.waiting: deque[_Call] = deque()
        self.is_busy = False
        self._begun = 0
        self._level = 0  # the last piece behind which nothing more was to be done
        self._failed = 0  # the last one that failed, and how
        self._fault: Exception | None = None

    def run(self, work: Callable[[], bool]) -> None:
        """Return once a piece that began after this call has left nothing to be done. Raises what a piece raises."""
        before = self._enter()
        if before < 0:
            return
        try:
            while self._level <= before and self._work(work):
                give_way()
        finally:
            self._leave()

    def step(self, work: Callable[[], bool], is_done: Callable[[], bool] = lambda: False) -> bool:
        """Do one piece, unless others leave nothing to be done meanwhile, or it `is_done` when it is this one's turn;
        says whether there is more."""
        if self._enter() < 0:
            return False
        try:
            return is_done() or self._work(work)
        finally:
            self._leave()

    def _enter(self) -> int:
        """Wait until it is time to work, and say how many pieces had begun before; -1 where one has left nothing to be
        done meanwhile."""
        with self._mutex:
            if not self.is_busy:
                self.is_busy = True
                return self._begun
            call = _Call(self._begun)
            self.waiting.append(call)
        try:
            call.woken.acquire()
        except BaseException:  # a greenlet that is killed
            self._give_up(call)
            raise
        if call.fault is not None:
            raise call.fault
        return call.before if call.leads else -1

    def _give_up(self, call: _Call) -> None:
        if call.leads:
            self._leave()
            return
        with self._mutex:
            if call in self.waiting:
                self.waiting.remove(call)

    def _work(self, work: Callable[[], bool]) -> bool:
        with self._mutex:
            self._begun += 1
            number = self._begun
        try:
            more = work()
        except Exception as fault:
            with self._mutex:
                self._failed, self._fault = max(self._failed, number), fault
            raise
        if not more:
            self._level = number
        return more

    def _leave(self) -> None:
        """Work no more: let the first work whom no piece has served, and those go whom one has."""
        with self._mutex:
            self.is_busy = False
            woken = self._served()
            if self.waiting:
                self.is_busy = True
                woken.insert(0, self.waiting.popleft())
                woken[0].leads = True
        for call in woken:
            call.woken.release()

    def _served(self) -> list[_Call]:
        """Take those who have waited long enough from the queue; returns them."""
        served: list[_Call] = []
        while self.waiting and self.waiting[0].before < max(self._level, self._failed):
            call = self.waiting.popleft()
            if call.before >= self._level:
                call.fault = self._fault
            served.append(call)
        return served
