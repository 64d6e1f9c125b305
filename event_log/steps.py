"""Steps that the log hands to a projection, in log order: events, and all else that shapes answers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from event_log.batch import EARLIEST
from event_log.codec import Columns
from event_log.rules import Rules
from event_log.series import Ends, Series

Row = tuple[int, int, int, float]
"""Position, series id, time, value."""


class Rows(NamedTuple):
    """A few events that came one by one; to make columns of them would cost more than to take them in."""

    rows: list[Row]

    def columns(self) -> Columns:
        """The same as columns."""
        positions, ids, times, values = zip(*self.rows, strict=True)
        return Columns(
            np.array(positions, np.int64), np.array(ids, np.uint32), np.array(times, np.int64), np.array(values)
        )


class Began(NamedTuple):
    """A new series, or one that a checkpoint holds. Its events follow."""

    series: int
    entry: Series
    dead_before: tuple[int, int] = (EARLIEST, 0)
    """Its events below this (time, position) are dead for good."""
    forgotten: int = 0
    """The highest position of an event of it that may have left the log."""


class KeepChange(NamedTuple):
    """From this position on one series retains `keep` events. What is dead under `horizon` by the old keep is gone for
    good."""

    position: int
    horizon: int
    series: int
    keep: int


class RulesChange(NamedTuple):
    """From this position on these rules are in force. What is dead under `horizon` by the old ones is gone for good."""

    position: int
    horizon: int
    rules: Rules


class SeriesEnd(NamedTuple):
    """At this position a series has ended: all its events are gone."""

    position: int
    series: int
    name: str


class Horizon(NamedTuple):
    """The horizon has risen."""

    horizon: int


class Jump(NamedTuple):
    """Positions jumped: what may once have stood between these, `to` included, was lost."""

    start: int
    to: int


class TableChange(NamedTuple):
    """At this position a row of a table was changed, or removed (None)."""

    position: int
    table: str
    key: str
    value: str | None


Step = Columns | Rows | Began | KeepChange | RulesChange | SeriesEnd | Horizon | Jump | TableChange | Ends
"""`Ends` tells where series have ended before all else that is told."""
