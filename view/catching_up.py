"""Single-flight: whoever needs what is newest reads it, or waits for a reading that began after the need."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from view.portions import give_way

T = TypeVar("T")


class _Call:
    """One who waits."""

    __slots__ = ("before", "fault", "reads", "woken")

    def __init__(self, before: int) -> None:
        self.before = before
        """Number of readings that had begun."""
        self.reads = False
        """True if it is to read itself."""
        self.fault: Exception | None = None
        self.woken = threading.Lock()
        self.woken.acquire()


class CatchingUp(Generic[T]):
    """Shares the readings of a source among all who want to be level with it.

    A call waits while others read. A reading that began after a call did serves that call too, or fails it; of all
    who have gathered meanwhile the first reads again, before those who were served go on: a source that is far away
    has the next question while they use this answer. Nobody who waits holds anything, nor is overtaken.
    """

    def __init__(self, read: Callable[[], T], take: Callable[[T], bool]) -> None:
        """`read` reads a portion, and `take` takes it in and says whether there is more; neither twice at a time."""
        self._read = read
        self._take = take
        self._mutex = threading.Lock()
        # All below: under _mutex.
        self._waiting: deque[_Call] = deque()
        self._is_reading = False
        self._begun = 0
        self._level = 0  # the last reading that found nothing more
        self._failed = 0  # the last one that failed, and how
        self._fault: Exception | None = None

    def __call__(self) -> None:
        """Return once a reading that began after this call has brought everything. Raises what a reading raises."""
        before = self._enter()
        if before < 0:
            return
        try:
            while self._level <= before and self._advance():
                give_way()
        finally:
            self._leave()

    def advance(self) -> bool:
        """Take in one reading, unless others bring everything meanwhile; whether there is more."""
        if self._enter() < 0:
            return False
        try:
            return self._advance()
        finally:
            self._leave()

    def _enter(self) -> int:
        """Wait until it is time to read; return the number of readings that had begun before, -1 where one has brought
        everything meanwhile."""
        with self._mutex:
            if not self._is_reading:
                self._is_reading = True
                return self._begun
            call = _Call(self._begun)
            self._waiting.append(call)
        try:
            call.woken.acquire()
        except BaseException:  # a greenlet that is killed
            self._give_up(call)
            raise
        if call.fault is not None:
            raise call.fault
        return call.before if call.reads else -1

    def _give_up(self, call: _Call) -> None:
        if call.reads:
            self._leave()
            return
        with self._mutex:
            if call in self._waiting:
                self._waiting.remove(call)

    def _advance(self) -> bool:
        with self._mutex:
            self._begun += 1
            number = self._begun
        try:
            more = self._take(self._read())
        except Exception as fault:
            with self._mutex:
                self._failed, self._fault = max(self._failed, number), fault
            raise
        if not more:
            self._level = number
        return more

    def _leave(self) -> None:
        """Read no more: let the first read whom no reading has served, and those go whom one has."""
        with self._mutex:
            self._is_reading = False
            woken = self._served()
            if self._waiting:
                self._is_reading = True
                woken.insert(0, self._waiting.popleft())
                woken[0].reads = True
        for call in woken:
            call.woken.release()

    def _served(self) -> list[_Call]:
        """Those who have waited long enough, who wait no more."""
        served: list[_Call] = []
        while self._waiting and self._waiting[0].before < max(self._level, self._failed):
            call = self._waiting.popleft()
            if call.before >= self._level:
                call.fault = self._fault
            served.append(call)
        return served
