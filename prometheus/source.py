"""The events that a question is about: those of all series that match, all of one position of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import monotonic
from typing import NamedTuple, Self

from event_service import EventService
from prometheus.answers import Refused
from prometheus.vectors import Floats, Times
from view.portions import giving_way

CHUNK_SECONDS = 0.005
"""Seconds for which names are matched, or series worked out, before the work yields to others."""
LOOK_SECONDS = 0.1
"""Seconds between two looks for whether the client is still there."""
SERIES_AT_A_TIME = 64
"""Number of series that are read and worked out together."""
Matches = Callable[[str], bool]


class Limits(NamedTuple):
    """Limits of a question: it may run for `seconds` from now on, and as long as its client is there."""

    seconds: float
    deadline: float
    has_left: Callable[[], bool] = lambda: False

    @classmethod
    def of(cls, seconds: float, has_left: Callable[[], bool] = lambda: False) -> Self:
        """Return the limits of a question that begins now."""
        return cls(seconds, monotonic() + seconds, has_left)


class Samples(NamedTuple):
    """Times and values of a series, in order of time."""

    times: Times
    values: Floats


class Source:
    """Reads what selectors match, at the position of the first reading, until a deadline."""

    def __init__(self, service: EventService, visible: Matches | None, limits: Limits) -> None:
        self._service, self._visible, self._limits = service, visible, limits
        self._names, self.position = service.names()
        self.now = service.clock()
        self.retention = service.rules.retention
        self._look_at = monotonic() + LOOK_SECONDS
        self._read: dict[tuple[str, int, int], Samples] = {}

    def check_time(self) -> None:
        """Raise Refused where the question has taken too long, or nobody waits for the answer any more."""
        now = monotonic()
        if now > self._limits.deadline:
            detail = f"the query took longer than {self._limits.seconds:g} s, which is the limit; "
            raise Refused(503, "timeout", detail + "ask for fewer steps or series")
        if now > self._look_at:
            self._look_at = now + LOOK_SECONDS
            if self._limits.has_left():
                raise Refused(503, "canceled", "the client has closed the connection")

    def names(self, matches: Matches) -> list[str]:
        """Return the visible series that match, by name."""
        seen = self._visible or (lambda name: True)
        return [name for name in giving_way(self._names, CHUNK_SECONDS) if seen(name) and matches(name)]

    def groups(self, names: list[str], after: int, until: int) -> Iterator[tuple[list[str], list[Samples]]]:
        """Return the events with `after` < time <= `until` of these series, some of them at a time."""
        for start in giving_way(range(0, len(names), SERIES_AT_A_TIME), CHUNK_SECONDS):
            some = names[start : start + SERIES_AT_A_TIME]
            missing = [name for name in some if (name, after, until) not in self._read]
            self.check_time()
            for name, found in zip(missing, self._service.stretches(missing, after, until, self.position), strict=True):
                self._read[name, after, until] = Samples(*found)
            yield some, [self._read[name, after, until] for name in some]

    def cutoff(self) -> int:
        """Return the time behind which all events are there: what is not later may have been dropped by now."""
        return max(self.now - self.retention, self._service.log.machine.horizon)
