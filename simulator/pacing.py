"""Pacing: when the next events are due, so that the asked rate is held without drift."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

CATCH_UP = 1.0
"""Seconds of missed events that are made up for after a stall; what is older is given up."""
GRACE = 0.1
"""Seconds beyond its duration in which a run that is a little late still posts what was due before."""
MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Recurring:
    """A stretch of `length` out of `every`, both in whole microseconds so that no edge is ever missed by rounding."""

    every: int
    length: int


@dataclass(frozen=True, slots=True)
class Phases:
    """Changes of the rate with time: bursts that end each of their periods, silences that follow each of theirs.

    Given the same period, a silence so comes right after a burst instead of hiding it.
    """

    burst: Recurring | None = None
    burst_factor: float = 1.0
    idle: Recurring | None = None

    def at(self, time: int) -> tuple[float, float]:
        """The factor on the rate at `time` (microseconds since the start), and until when it holds."""
        factor, until = 1.0, math.inf
        if self.burst is not None:
            offset = time % self.burst.every
            calm = self.burst.every - self.burst.length
            factor = 1.0 if offset < calm else self.burst_factor
            until = time - offset + (calm if offset < calm else self.burst.every)
        if self.idle is not None:
            offset = time % self.idle.every
            silent = offset < self.idle.length and time >= self.idle.every
            factor = 0.0 if silent else factor
            until = min(until, time - offset + (self.idle.length if silent else self.idle.every))
        return factor, until


class Schedule(Protocol):
    """Says when events are due. `gap`: the seconds between two events at present."""

    gap: float

    def due(self, events: int, now: float) -> float:
        """The second, counted from the start, at which the next `events` events are due."""
        ...


class Timetable:
    """Holds a rate: due times follow from the number of events since the phase began, so nothing adds up to a drift.

    `head_start`: number of events by which the first ones are due before the rate's, to set several threads apart.
    """

    def __init__(self, rate: float, phases: Phases, head_start: float = 0.0) -> None:
        self._rate = rate
        self._phases = phases
        self._from = 0
        self._done = -head_start
        self.gap = 1 / rate

    def due(self, events: int, now: float) -> float:
        """Return what Schedule says; more than CATCH_UP behind, what was missed before is given up."""
        due = self._advance(events)
        if now - due > CATCH_UP:
            due = now - CATCH_UP
            self._from, self._done = math.ceil(due * MICRO), 0.0
        return due

    def _advance(self, events: int) -> float:
        self._done += events
        while True:
            factor, until = self._phases.at(self._from)
            rate = self._rate * factor
            room = rate * (until - self._from) / MICRO
            if self._done <= room:
                self.gap = 1 / rate
                return self._from / MICRO + self._done / rate
            self._done -= room
            self._from = int(until)


class Unpaced:
    """A pace as fast as possible, but for the silences."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases
        self.gap = 0.0

    def due(self, events: int, now: float) -> float:
        """Now, or the end of the silence that now falls in."""
        factor, until = self._phases.at(int(now * MICRO))
        return until / MICRO if factor == 0 else now


class Pacer:
    """Makes one thread wait until its next events are due.

    `clock` gives seconds since the start; `sleep` waits that many seconds and is true when the run was
    stopped meanwhile. `jitter` (0 to 1) delays each request by a random part of the time to the next, never adding up.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], bool],
        duration: float = math.inf,
        jitter: float = 0.0,
        random: Random | None = None,
    ) -> None:
        self._schedule = schedule
        self._clock = clock
        self._sleep = sleep
        self._duration = duration
        self._jitter = jitter
        self._random = random or Random(0)

    @property
    def gap(self) -> float:
        """Seconds between two events at present; 0 when as fast as possible."""
        return self._schedule.gap

    def wait(self, events: int) -> bool:
        """Wait until the next `events` events are due: True to post them, False when the run is over."""
        now = self._clock()
        due = self._schedule.due(events, now)
        if self._jitter:
            due += self._random.uniform(0, self._jitter) * self._schedule.gap * events
        in_time = due <= self._duration and now <= self._duration + GRACE
        pause = min(due, self._duration) - now
        # Asked even without a pause: a run that is late must still notice that it was stopped.
        return not self._sleep(max(pause, 0.0)) and in_time
