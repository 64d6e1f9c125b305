"""What a log of accepted events promises, whatever it is kept in.

A *position* counts accepted events since the log began: the first event stands at 1, and a batch of n
events takes n positions in a row, all in one record. No position is used twice, and order never changes;
only the events that cleaning leaves of a record count as its last ones afterwards.

The *horizon* is a time the log only ever raises. An event dated at or before it counts as live only
while it is among the last ones its series keeps. Cleaning removes nothing but events that are dead by
that rule, so a view built from scratch and one that has followed along for a week agree.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Ids = NDArray[np.uint32]
KeptSince = Callable[[int], tuple[int, int]]
"""For a series, by id: the (time, position) from which on an expired event of it may still be live."""


class LogError(Exception):
    """The log cannot do what was asked; nothing was stored."""


class LogUnavailable(LogError):
    """The log cannot be read or written just now; it may come back by itself."""


class LogFull(LogUnavailable):
    """No room is left for a write, even after cleaning."""


class LogDamaged(LogUnavailable):
    """What is stored cannot be trusted; a person has to look at it."""


class TooManySeries(LogError):
    """A write would register more series than MAX_SERIES."""


class TooManySymbols(LogError):
    """A write would register more symbols than MAX_SYMBOLS."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one request in order of arrival, to be stored all or not at all."""

    names: Sequence[str]
    """The distinct series of the batch."""
    which: Ids | None
    """For each event the index of its series in `names`; None when all belong to names[0]."""
    times: Times | int
    """Microseconds since the epoch; one int when all events share it."""
    values: Values

    def __len__(self) -> int:
        return len(self.values)

    def first(self, name: int) -> tuple[int, float]:
        """Time and value of the first event of the series names[name], by arrival."""
        row = 0 if self.which is None else int(np.argmax(self.which == name))
        time = self.times if isinstance(self.times, int) else int(self.times[row])
        return time, float(self.values[row])


@dataclass(frozen=True, slots=True)
class Series:
    """A registered series. Its id is its index in `EventLog.series`."""

    name: str
    symbol_since: int | None = None
    """The position at which the batches dialect raised what the series keeps; None if it never did."""
    symbol_horizon: int = 0
    """The log's horizon at that moment."""
    created: int = 0
    initial: float = 0.0
    """Time and value of the event with which the series began, which may have left the log since."""


@dataclass(frozen=True, slots=True)
class Events:
    """Consecutive events of the log in log order, as columns, and where they leave a reader."""

    positions: Times
    ids: Ids
    times: Times
    values: Values
    position: int
    """How far a reader that has taken these has read."""
    horizon: int
    """The log's horizon in the same snapshot."""

    @classmethod
    def none(cls, position: int, horizon: int) -> Self:
        """No events, for a reader that is there already."""
        empty = np.empty(0, np.int64)
        return cls(empty, empty.astype(np.uint32), empty, np.empty(0), position, horizon)

    def __len__(self) -> int:
        return len(self.values)

    def behind(self, after: int) -> Self:
        """Those behind a position, of these, of which there must be one."""
        if self.positions[0] > after:
            return self
        kept = slice(int(self.positions.searchsorted(after, side="right")), None)
        return replace(
            self,
            positions=self.positions[kept],
            ids=self.ids[kept],
            times=self.times[kept],
            values=self.values[kept],
        )


class EventLog(ABC):
    """The ordered record of accepted events; the single truth, shared by all views."""

    @abstractmethod
    def append(self, batch: Batch, *, symbol: bool = False) -> int:
        """Store a batch in one record, atomically; returns the position of its last event.

        `symbol` registers the batch's series as symbols of the batches dialect, in the same step.
        Raises LogUnavailable, LogFull, TooManySeries or TooManySymbols, having stored nothing.
        """

    @abstractmethod
    def append_one(self, series: str, time: int, value: float) -> int:
        """`append` for one event, without the cost of columns."""

    @abstractmethod
    def read(self, after: int, limit: int = 1_000_000) -> Events:
        """The events behind position `after`, oldest first: at least one record if there is any, about
        `limit` events at most. One consistent snapshot. Raises LogUnavailable."""

    @abstractmethod
    def position(self) -> int:
        """The position of the newest event; 0 for an empty log. Costs about a microsecond."""

    @property
    @abstractmethod
    def series(self) -> Sequence[Series]:
        """All series registered up to the last `read`, by id."""

    @property
    @abstractmethod
    def symbols(self) -> Mapping[int, Series]:
        """Of those, the symbols of the batches dialect."""

    @abstractmethod
    def clean(self, horizon: int, kept_since: KeptSince) -> bool:
        """Raise the horizon and forget a bounded number of events that are dead under it; says whether
        there may be more. `kept_since` is asked about series up to the newest in `series`, which may have
        grown since the caller's view caught up."""

    @abstractmethod
    def check(self) -> None:
        """Raises LogUnavailable, with the reason, when the log cannot be read or written. Cheap."""

    @abstractmethod
    def sync(self) -> None:
        """Bring what was appended to the disk, as far as there is one."""

    @abstractmethod
    def close(self) -> None:
        """Sync and let go of everything held. May be called twice."""
