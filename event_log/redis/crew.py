"""What those share who make the trips to Redis for all of a process: who waits, and whether it is time to go."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence

from event_log.errors import LogError
from event_log.redis.session import Command, Reply, Session

MOST_TOGETHER = 128
"""Tickets of one trip."""
ABREAST = 3
"""So many trips may be under way at once, where Redis is far; each is of a third of those who ask, so that few trips
serve many."""
FADING = 0.95
"""What is left with each trip of the memory of how many there were."""

Build = Callable[[Session], Sequence[Command]]
"""Makes the commands for the connection they go through."""


class Ticket:
    """What one asks, and the answer to it."""

    __slots__ = ("_done", "build", "commands", "copied", "fault", "replies", "tried")

    def __init__(self, build: Build, copied: bool) -> None:
        self.build = build
        self.copied = copied
        self.commands: Sequence[Command] = ()
        self.replies: list[Reply] = []
        self.fault: LogError | None = None
        self.tried = False
        self._done = threading.Lock()
        self._done.acquire()

    def wait(self) -> None:
        self._done.acquire()

    def done(self) -> None:
        self._done.release()


class Crew:
    """Those who make the trips of one process. What they share is guarded by the link's mutex."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.waiting: deque[Ticket] = deque()
        self.idle: list[threading.Lock] = []
        """A bell of each who has nothing to do."""
        self.threads: list[threading.Thread] = []
        self.most = 1
        """How many there may be."""
        self.asked = 0
        """How many tickets are under way."""
        self.many = 0.0
        """How many have been under way or waiting at most, of late."""
        self.closed = False

    def rouse(self) -> bool:
        """Whether there was one who had nothing to do."""
        if self.idle:
            self.idle.pop().release()
            return True
        return False

    def is_time(self) -> bool:
        """Whether to make a trip; beside another one only for enough of those who wait."""
        return len(self.waiting) >= self.many / ABREAST if self.asked else bool(self.waiting)

    def take(self) -> list[Ticket]:
        """The tickets for the next trip, if it is time for it."""
        if not self.is_time():
            return []
        self.many = max(self.asked + len(self.waiting), FADING * self.many)
        together = [self.waiting.popleft() for _ in range(min(len(self.waiting), MOST_TOGETHER))]
        self.asked += len(together)
        return together
