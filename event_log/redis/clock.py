"""The log's time as Redis tells it, and whether the clock of this host can be trusted."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from event_log.log_time import CLOSE, Moment
from event_log.redis.connection import pack
from event_log.redis.keys import Keys
from event_log.redis.pool import Pool
from times import SECOND, wall_clock

FRESH = 5.0
"""Seconds for which the distance between the clocks is taken as it was."""


class RedisClock:
    """Asks Redis once in a while, and goes on by the clock of this process that nobody sets."""

    def __init__(self, pool: Pool, keys: Keys, clock: Callable[[], Moment] | None) -> None:
        """`clock`: for tests, in place of the time that Redis tells."""
        self._pool = pool
        self._packed = pack(("TIME",), ("HMGET", keys.head, "time", "trial", "skew"))
        self._clock = clock
        self._asked = -inf
        self._ahead = 0  # of the log's time before the clock that nobody sets
        self._last = 0
        self.off = 0
        """Microseconds by which the clock of this host is ahead of Redis'."""

    def given(self) -> int | str:
        """Return the time that scripts are to take for that of Redis; "" for that of Redis."""
        return "" if self._clock is None else self._clock().wall

    def time(self) -> int:
        """Return the log's time. Costs a trip every few seconds."""
        if time.monotonic() > self._asked + FRESH:
            self.ask()
        self._last = max(self._last, self._steady() + self._ahead)
        return self._last

    def ask(self) -> None:
        """Look at the clocks. Raises LogUnavailable."""
        before, wall = self._steady(), wall_clock()
        told, (last, trial, skew) = self._pool.look(self._packed)
        steady = (before + self._steady()) // 2
        now = int(told[0]) * SECOND + int(told[1]) if self._clock is None else steady
        self.off = 0 if self._clock is not None else wall + (steady - before) - now
        log = max(int(last or 0), now - (int(skew or 0) if now < int(trial or 0) else 0))
        self._ahead, self._asked = log - steady, time.monotonic()

    def corrected(self, wall: int) -> int:
        """Return Redis' time where the clock of this host, which tells this one, was off when it was last looked at."""
        return wall - self.off if abs(self.off) > CLOSE else wall

    def notice(self) -> str | None:
        """Say that the clock of this host is off."""
        if abs(self.off) <= CLOSE:
            return None
        where = "ahead of" if self.off > 0 else "behind"
        return (
            f"the clock of this host is {abs(self.off) / SECOND:,.1f} s {where} that of {self._pool.url}, which counts "
            "for the log; set it right"
        )

    def _steady(self) -> int:
        return time.monotonic_ns() // 1000 if self._clock is None else self._clock().wall
