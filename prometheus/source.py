"""The events that a question is about: those of all series that match, all of one position of the log."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import numpy as np

from event_service import EventService
from prometheus.answers import Refused
from prometheus.vectors import Floats, Times

_EVERYTHING = 2**62
Matches = Callable[[str], bool]


class Samples(NamedTuple):
    """Times and values of a series, in order of time."""

    times: Times
    values: Floats


class Source:
    """Reads what selectors match, at the position of the first reading, until a deadline."""

    def __init__(self, service: EventService, visible: Matches | None, seconds: float) -> None:
        self.now = service.clock()
        self.retention = service.rules.retention
        self._service, self._visible = service, visible
        self._seconds, self._deadline = seconds, monotonic() + seconds
        listed = service.series("", None, None, visible)
        self._names, self.position = [info.name for info in listed[0]], listed[2]
        self._read: dict[str, Samples] = {}

    def check_time(self) -> None:
        """Raise Refused where the question has taken too long."""
        if monotonic() > self._deadline:
            detail = (
                f"the query took longer than {self._seconds:g} s, which is the limit; ask for fewer steps or series"
            )
            raise Refused(503, "timeout", detail)

    def names(self, matches: Matches) -> list[str]:
        """Return the series that match, by name."""
        return [name for name in self._names if matches(name)]

    def samples(self, series: str) -> Samples:
        """Return the events of a series."""
        if series not in self._read:
            self.check_time()
            found = self._service.replay(series, 0, _EVERYTHING)
            until = int(np.searchsorted(found.positions, self.position, side="right"))
            order = np.argsort(found.times[:until], kind="stable")
            self._read[series] = Samples(found.times[:until][order], found.values[:until][order])
        return self._read[series]

    def cutoff(self) -> int:
        """Return the time behind which all events are there: what is not later may have been dropped by now."""
        return max(self.now - self.retention, self._service.log.machine.horizon)
