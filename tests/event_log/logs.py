"""What the tests of the logs share: the table of all kinds of log, and requests in short."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from event_log.base import Batch, EventLog
from event_log.memory import MemoryLog
from event_log.memory_changes import RECENT_CHANGES
from times import SECOND

MIB = 1024**2
START = 1_750_948_200 * SECOND
Row = tuple[str, int, float]
"""Series, time and value of one event."""


class Kind(ABC):
    """A kind of log, for one test."""

    @abstractmethod
    def open(self, *, max_series: int = 10_000) -> EventLog:
        """An empty log."""

    @abstractmethod
    def sibling(self, log: EventLog) -> EventLog:
        """A log made by `open` as another process has it."""

    @abstractmethod
    def close(self) -> None:
        """Close all that were opened."""


class MemoryKind(Kind):
    """MemoryLog, of which a process has but one."""

    def __init__(self, folder: Path, recent_changes: int = RECENT_CHANGES) -> None:
        del folder
        self._recent_changes = recent_changes

    def open(self, *, max_series: int = 10_000) -> EventLog:
        return MemoryLog(max_series, recent_changes=self._recent_changes)

    def sibling(self, log: EventLog) -> EventLog:
        return log

    def close(self) -> None:
        return


LOGS: dict[str, Callable[[Path], Kind]] = {
    "memory": MemoryKind,
    "forgetful memory": partial(MemoryKind, recent_changes=1),
}
"""All kinds of log by name; each is given an empty folder. Every test of the contract runs on each of them."""


def batch(rows: Sequence[Row]) -> Batch:
    """These events as one request."""
    names = list(dict.fromkeys(name for name, _, _ in rows))
    indexes = np.array([names.index(name) for name, _, _ in rows], np.uint32)
    times = np.array([time for _, time, _ in rows], np.int64)
    values = np.array([value for _, _, value in rows], np.float64)
    return Batch(names, indexes if len(names) > 1 else None, times, values)


def ids(log: EventLog) -> dict[str, int]:
    """The living series by name."""
    return {series.name: number for number, series in log.series.items() if not series.ended}
