"""The duties of a worker about once a second for its projection and its log, beside taking in what is new."""

from __future__ import annotations

from event_log.log import Log
from event_log.upkeep import Upkeep
from times import MINUTE, SECOND
from view.level import Level

SERIES_A_ROUND = 1000
"""Maximum number of series that are looked at for idleness at a time."""
ENDS_A_ROUND = 10
"""Maximum number of idle series that are ended at a time."""
IDLE_ROWS = 5 * MINUTE
"""Microseconds after which data that only percentiles need is let go of if nobody has asked for them."""


class Housekeeping:
    """For one projection of one process, by one thread or greenlet."""

    def __init__(self, log: Log, level: Level, idle: int) -> None:
        """`idle`: after how many microseconds without an event a series is ended; 0: never."""
        self._log = log
        self._level = level
        self._idle = idle
        self.upkeep = Upkeep(log, level.judge)
        self._done_at = 0  # when what is due was last done
        self._looked_at: list[int] = []  # series yet to be looked at for idleness

    def tick(self, now: int) -> bool:
        """Let go of what is dead, compact, end idle series, if that is due; says whether it was."""
        if self._done_at <= now < self._done_at + SECOND:  # not where the clock was set back
            return False
        self._done_at = now
        with self._level.held() as projection:
            projection.view.maintain(now, IDLE_ROWS)
        self._level.prune()
        self.upkeep.tick(now)
        if self._idle:
            self.end_idle(now)
        return True

    def end_idle(self, now: int) -> None:
        """End some of the series that have had no event for long."""
        with self._level.held() as projection:
            position, windows = projection.cursor.position, projection.view.windows
            self._looked_at = self._looked_at or list(projection.series)
            some = [self._looked_at.pop() for _ in range(min(SERIES_A_ROUND, len(self._looked_at)))]
            idle = [number for number in some if number in windows and windows[number].latest < now - self._idle]
        for number in idle[:ENDS_A_ROUND]:
            self._log.end_series(number, quiet_since=position)
        self._looked_at.extend(idle[ENDS_A_ROUND:])
