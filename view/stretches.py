"""Events of series in order of time, read in chunks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from event_log.batch import Times, Values
from rolling.block import EARLIEST, NOTHING, Columns, part
from rolling.steps import Steps
from rolling.timeline import joined
from rolling.window import RollingWindow, rank
from view.projection import Projection

EVENTS_A_STEP = 2**16
"""Number of events that are read in a chunk: two milliseconds."""


def stretches(
    projection: Projection, series: Sequence[str], after: int, until: int, position: int
) -> Steps[list[tuple[Times, Values]]]:
    """Return the times and values of the events of each series with `after` < time <= `until`, up to a position of the
    log, in order. Events may come between two chunks; those that stand behind the position are left out."""
    found = []
    for name in series:
        found.append((yield from _stretch(projection, name, (after + 1, EARLIEST), until, position)))
        yield
    return found


def _stretch(
    projection: Projection, name: str, key: tuple[int, int], until: int, position: int
) -> Steps[tuple[Times, Values]]:
    pieces = [(NOTHING[0], NOTHING[2])]
    while (number := projection.ids.get(name)) is not None:
        columns, is_last = _chunk(projection.view.windows[number], key, until)
        times, positions, values = columns
        if len(times):
            key = int(times[-1]), int(positions[-1]) + 1
            there = positions <= position
            pieces.append((times, values) if there.all() else (times[there], values[there]))
        if is_last:
            break
        yield
    times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return times, values


def _chunk(window: RollingWindow, key: tuple[int, int], until: int) -> tuple[Columns, bool]:
    """Return the events from a (time, position) up to a time, about EVENTS_A_STEP of them, and whether they are all."""
    pieces, size = [NOTHING], 0
    for columns in window.between(key[0], until):
        if size >= EVENTS_A_STEP:
            return joined(pieces), False
        times = columns[0]
        if not len(times):  # the block of a series that has none left
            continue
        begin = rank(columns, key) if len(pieces) == 1 else 0
        end = None if times[-1] <= until else int(times.searchsorted(until, side="right"))
        pieces.append(part(columns, begin, end))
        size += len(pieces[-1][0])
    return joined(pieces), True
