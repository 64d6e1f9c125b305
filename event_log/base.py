"""What a log of accepted events promises, whatever it is kept in.

A *position* is a place in the log. Each accepted event takes one, a batch of n events n in a row; so does each
*change*: what shapes answers (rules for all, what one series keeps, the end of a series) changes at a position that
every view passes. No position is ever given twice and none moves; after something was lost, positions *jump*.
So what a view answers at an instant depends on the position it stands at, and on nothing else.

The *horizon* is a time the log only ever raises. An event dated at or before it counts as live only while it is
among the last ones its series keeps; what is dead by that rule never comes back to life, whatever changes later.
Cleaning removes nothing but dead events. A *mark* walks behind the expired events: whatever stands behind it is
still there densely, of what stands before it only the *kept* events are, by series.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from event_log.errors import (
    DoneBefore,
    HistoryChanged,
    LogDamaged,
    LogError,
    LogFull,
    LogUnavailable,
    LogUncertain,
    OverBudget,
    TooManyKeepers,
    TooManySeries,
)
from event_log.terms import PLAIN, Budget, Memo, Once, Terms

__all__ = [
    "PLAIN",
    "START",
    "Batch",
    "Budget",
    "Change",
    "DoneBefore",
    "EventLog",
    "Events",
    "HistoryChanged",
    "Ids",
    "KeepChange",
    "KeptSince",
    "LogDamaged",
    "LogError",
    "LogFull",
    "LogUnavailable",
    "LogUncertain",
    "Memo",
    "Once",
    "OverBudget",
    "Place",
    "Rules",
    "RulesChange",
    "Series",
    "SeriesEnd",
    "Terms",
    "Times",
    "TooManyKeepers",
    "TooManySeries",
    "Usage",
    "Values",
]

Times = NDArray[np.int64]
Values = NDArray[np.float64]
Ids = NDArray[np.uint32]
KeptSince = Callable[[int], tuple[int, int]]
"""For a series, by id: the (time, position) from which on an expired event of it may still be live."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one request in order of arrival, to be stored all or not at all."""

    names: Sequence[str]
    """The distinct series of the batch."""
    name_indexes: Ids | None
    """For each event the index of its series in `names`; None when all belong to names[0]."""
    times: Times | int
    """Microseconds since the epoch; one int when all events share it."""
    values: Values

    def __len__(self) -> int:
        return len(self.values)

    def first(self, name_index: int) -> tuple[int, float]:
        """Time and value of the first event of the series names[name_index], by arrival."""
        row = 0 if self.name_indexes is None else int(np.argmax(self.name_indexes == name_index))
        time = self.times if isinstance(self.times, int) else int(self.times[row])
        return time, float(self.values[row])

    def firsts(self) -> list[tuple[int, float]]:
        """The same of all its series, in the order of `names`, in far less time than one by one."""
        rows = np.zeros(len(self.names), np.intp)
        if self.name_indexes is not None:
            used, places = np.unique(self.name_indexes, return_index=True)
            rows[used] = places
        times = [self.times] * len(rows) if isinstance(self.times, int) else self.times[rows].tolist()
        return list(zip(times, self.values[rows].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Series:
    """A registered series. Ids rise and are never given twice; a name that begins anew gets a new one."""

    name: str
    created: int = 0
    initial: float = 0.0
    """Time and value of the event with which the series began, which may have left the log since."""
    keep: int | None = None
    """What it kept of its own before the changes that a reader from START is still told; None: as the rules say."""
    forgotten: int = 0
    """The highest position of an event of it that has left the log."""
    ended: int = 0
    """The position at which it ended; 0 while it lives. An ended series stays known as long as an event of it, or its
    end, may still be read."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that shape answers; those in force are the log's own."""

    retention: int
    """Microseconds."""
    keep_last: int


@dataclass(frozen=True, slots=True)
class RulesChange:
    """From this position on other rules are in force. What is dead under `horizon` by the old ones is gone for good."""

    position: int
    horizon: int
    rules: Rules


@dataclass(frozen=True, slots=True)
class KeepChange:
    """From this position on one series keeps so many. What is dead under `horizon` by the old keep is gone for good."""

    position: int
    horizon: int
    series: int
    keep: int


@dataclass(frozen=True, slots=True)
class SeriesEnd:
    """At this position a series has ended: all its events are gone."""

    position: int
    series: int


Change = RulesChange | KeepChange | SeriesEnd


class Place(NamedTuple):
    """Where a reader stands: it has taken in everything up to `position`."""

    position: int = 0
    detail: object = None
    """The log's own notes, to be given back unread."""


START = Place()


@dataclass(frozen=True, slots=True)
class Events:
    """What a read has brought: events as columns, changes, and where they leave the reader."""

    positions: Times
    """Rising in log order, but where `kept`: there only within each series."""
    ids: Ids
    times: Times
    values: Values
    place: Place
    """Where a reader that has taken all of this stands."""
    horizon: int
    """The log's horizon in the same snapshot."""
    changes: Sequence[Change] = ()
    """In order of position; each comes after the events at lower positions and before those at higher ones."""
    rules: Rules | None = None
    """Given to a reader from START with its first read: those in force before all that it will be told."""
    kept: bool = False
    """These are kept events from before the mark, all dated at or before `horizon`; what else had stood between them
    was dead."""
    more: bool = False
    """Whether the log had more in this snapshot than what the limit let through."""

    @classmethod
    def none(cls, place: Place, horizon: int) -> Self:
        """Nothing, for a reader that is there already."""
        empty = np.empty(0, np.int64)
        return cls(empty, empty.astype(np.uint32), empty, np.empty(0), place, horizon)

    def __len__(self) -> int:
        return len(self.values)

    def fills(self, position: int) -> bool:
        """Whether nothing has left the log of what stood between a position, where the reader was, and the place."""
        return len(self) + len(self.changes) == self.place.position - position

    def part(self, start: int, end: int | None) -> Self:
        """The columns of these rows, with nothing else changed."""
        rows = slice(start, end)
        return replace(
            self, positions=self.positions[rows], ids=self.ids[rows], times=self.times[rows], values=self.values[rows]
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What the log takes, for health and metrics."""

    bytes_used: int
    bytes_allowed: int
    settled: float | None
    """Seconds since all of what was acknowledged until then was safe from a power cut; None where nothing ever is."""


class EventLog(ABC):
    """The ordered record of accepted events; the single truth, shared by all views.

    Every method may raise LogUnavailable; after one of a write nothing was stored (but see LogUncertain). Safe to be
    used by any number of threads or greenlets. What may take long (a disk's sync, a network's answer) holds no lock
    that another call needs, and under gevent never the hub.
    """

    @abstractmethod
    def append(self, batch: Batch, terms: Terms = PLAIN) -> int:
        """Store a batch in one record, atomically; returns the position of its last event.

        Raises LogFull, TooManySeries, TooManyKeepers, OverBudget or DoneBefore, having stored nothing.
        """

    @abstractmethod
    def append_one(self, series: str, time: int, value: float) -> int:
        """`append` for one event without terms, without the cost of columns."""

    @abstractmethod
    def recall(self, key: bytes, now: int) -> Memo | None:
        """What is remembered under the key of a write that was done once."""

    @abstractmethod
    def read(self, place: Place, limit: int = 1_000_000) -> Events:
        """What comes after a place, oldest first: at least one record or change if there is any, about `limit` events
        at most. One consistent snapshot; never behind a write acknowledged before the call. Raises HistoryChanged."""

    @property
    def far(self) -> bool:
        """Whether a read mostly waits, so that several at a time are worth while."""
        return False

    @abstractmethod
    def position(self) -> int:
        """The highest position given so far; 0 for an empty log. Costs about a microsecond where the log is local."""

    @property
    @abstractmethod
    def series(self) -> Mapping[int, Series]:
        """All series known up to the last `read` or write of this process, by id. Not to be changed."""

    @property
    @abstractmethod
    def jumps(self) -> Sequence[tuple[int, int]]:
        """The last jumps of positions, as (from, to): what may once have stood between them, `to` included, was lost.
        As of the last `read`."""

    @abstractmethod
    def claim(self, rules: Rules, start: str) -> None:
        """Put these rules in force, at a position of their own, unless this start of the service (a random id that all
        its processes share) has claimed before, or they are in force already. A new log begins with them."""

    @abstractmethod
    def end_series(self, series: int, quiet_since: int | None = None) -> int | None:
        """End a series; returns the position of its end. None, having done nothing, when it has ended before, or when
        it was given an event behind the position `quiet_since`, or that cannot be told cheaply."""

    @abstractmethod
    def clean(self, horizon: int, kept_since: KeptSince, position: int) -> bool:
        """Raise the horizon and forget a bounded number of events that are dead under it, and of other things no
        reader needs; says whether there may be more. The caller's view, for which `kept_since` speaks, stands at
        `position`: where a change came after that nothing is done (False), for it may have altered what is dead."""

    @abstractmethod
    def check(self) -> None:
        """Raises LogUnavailable, with the reason, when the log cannot be read or written. Cheap."""

    @abstractmethod
    def notice(self) -> str | None:
        """What a person should know of the log though it works: restored from damage, what a power cut cost, late."""

    @abstractmethod
    def usage(self) -> Usage:
        """What it takes and may take, and since when it is safe. Cheap."""

    @abstractmethod
    def sync(self) -> None:
        """Bring what was appended to the disk, as far as there is one. To be called about once a second, where it may
        take its time."""

    @abstractmethod
    def close(self) -> None:
        """Sync and let go of everything held. May be called twice."""
