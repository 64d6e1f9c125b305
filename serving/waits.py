"""Timeouts of the greenlets of a worker that wait for their clients: one timer looks at all of them.

A timer of its own for each wait would cost as much as reading a head that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from time import monotonic
from typing import Any

import gevent
from greenlet import greenlet

LAST_SECONDS = 2.0
"""Seconds in which a connection may still bring a request to a worker that is to end, from then on or since it came."""
LOOK_SECONDS = 0.1
"""Seconds between two looks of the timer: a wait ends at most that much later than it is due."""
TURN_SECONDS = 0.005
"""Maximum seconds that bodies which have come are read before the worker looks at its sockets again."""

Waiting = dict[greenlet, float]
"""The greenlets that wait, and until when each may."""


class Overdue(TimeoutError):
    """A client has not sent in time what was waited for. Thrown into the greenlet that waits."""


class Waits:
    """The waits of a worker for its clients."""

    def __init__(self, is_ending: Callable[[], bool], clock: Callable[[], float] = monotonic) -> None:
        self.idle: Waiting = {}
        """Those of connections on which nothing is under way."""
        self.busy: Waiting = {}
        """Those for the rest of a request."""
        self._is_ending = is_ending
        self._clock = clock
        self.most_idle = inf
        """Seconds for which a worker that is to end waits for a request that has yet to begin."""
        self._watchers: Sequence[Any] = ()
        self._turn_began = 0.0
        self.turn_ends = 0.0
        """Time from which bodies wait for the next look at the sockets."""

    def start(self) -> None:
        """Look at them from now on, in the hub of this thread."""
        # Last of all that is due: a worker that had to wait for a processor finds the end of a wait and the request
        # that came before it at once, and the request ends the wait.
        loop = gevent.get_hub().loop
        timer = loop.timer(LOOK_SECONDS, LOOK_SECONDS, priority=loop.MINPRI)  # type: ignore[attr-defined]  # no stub
        check = loop.check(priority=loop.MAXPRI)  # type: ignore[attr-defined]  # no stub
        timer.start(self.look)
        check.start(self.begin_turn)
        self._watchers = [timer, check]

    def stop(self) -> None:
        """Look no longer."""
        for watcher in self._watchers:
            watcher.close()

    def begin_turn(self) -> None:
        """Note that the hub has just looked at its sockets."""
        self._turn_began = self._clock()
        self.turn_ends = self._turn_began + TURN_SECONDS

    def look(self) -> None:
        """End the waits that are overdue. To be called by the hub: all that wait are at rest then."""
        now = self._turn_began  # what has come since, nobody knows yet
        if self.most_idle > LAST_SECONDS and self._is_ending():
            self.most_idle = LAST_SECONDS
            self.idle.update({each: min(until, now + LAST_SECONDS) for each, until in self.idle.items()})
        for waiting in (self.busy, self.idle):
            for each in [each for each, until in waiting.items() if until <= now]:
                if each in waiting:  # or another one has gone on, and ended its wait
                    each.throw(Overdue)
