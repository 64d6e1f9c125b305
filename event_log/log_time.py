"""The log's time: it follows the clock of the machine as long as that is to be trusted.

A horizon that rises too far kills events for good, so no clock that leaps may move the log's time along. Beside the
wall clock there is the boot clock, which nobody sets. The log's time follows the wall clock while the two agree, and
runs at the rate of the boot clock where they do not. It is never set back and never stands still.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from times import MINUTE, SECOND

CLOSE = SECOND
"""Microseconds by which the wall clock may be off and is followed."""
DOUBTFUL = 60 * SECOND
"""A wall clock that is further off at a start is followed only after TRIAL."""
TRIAL = 10 * MINUTE
"""Microseconds for which the wall clock must have run evenly."""


class Moment(NamedTuple):
    """One reading of both clocks, in microseconds."""

    wall: int
    boot: int

    @classmethod
    def now(cls) -> Moment:
        """Read the clocks of this machine. CLOCK_BOOTTIME goes on while it sleeps; macOS has only the monotonic one."""
        boot = time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
        return cls(time.time_ns() // 1000, boot // 1000)


class LogTime(NamedTuple):
    """The log's time as it was noted last, with what is known of the clocks."""

    time: int
    boot: int
    """The boot clock at that moment."""
    trial: int = 0
    """The boot clock when a trial of the wall clock began; 0: none is under way."""
    offset: int = 0
    """Microseconds by which the wall clock was ahead of the boot clock then."""

    @classmethod
    def begin(cls, now: Moment) -> LogTime:
        """That of a new log."""
        return cls(now.wall, now.boot)

    def reopened(self, now: Moment) -> LogTime:
        """The log's time after another boot of the machine, or where another machine goes on: how long it was down only
        the wall clock knows."""
        if abs(now.wall - self.time) <= DOUBTFUL:
            return LogTime(max(self.time + 1, now.wall), now.boot)
        return LogTime(self.time, now.boot, now.boot, now.wall - now.boot)

    def at(self, now: Moment) -> LogTime:
        """The log's time now."""
        elapsed = max(0, now.boot - self.boot)
        steady = self.time + elapsed
        gap = now.wall - steady
        if abs(gap) <= CLOSE:
            return LogTime(max(now.wall, self.time + elapsed // 2), max(now.boot, self.boot))
        return self._apart(now, elapsed)

    def is_off(self, now: Moment) -> bool:
        """Return whether the wall clock is off by more than a second, which a person should know."""
        return abs(now.wall - self.at(now).time) > CLOSE

    def _apart(self, now: Moment, elapsed: int) -> LogTime:
        """Go on without the wall clock, unless it has run evenly for a whole trial. Time that is ahead of it then runs
        at half the rate until the two meet."""
        boot, offset = max(now.boot, self.boot), now.wall - now.boot
        steady = LogTime(self.time + elapsed, boot, self.trial, self.offset)
        if not self.trial:
            return steady
        if abs(offset - self.offset) > CLOSE:
            return steady._replace(trial=now.boot, offset=offset)
        if now.boot - self.trial < TRIAL:
            return steady
        if now.wall > steady.time:
            return LogTime(now.wall, boot)
        return steady._replace(time=self.time + elapsed // 2)
