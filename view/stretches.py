"""Events of series in order of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from event_log.batch import Times, Values
from rolling.block import NOTHING
from view.snapshots import Seen


def stretches(seen: Seen, series: Sequence[str], after: int, until: int, position: int) -> list[tuple[Times, Values]]:
    """Return the times and values of the events of each series with `after` < time <= `until`, up to a position of the
    log, in order."""
    return [_stretch(seen, name, after, until, position) for name in series]


def _stretch(seen: Seen, name: str, after: int, until: int, position: int) -> tuple[Times, Values]:
    pieces = [(NOTHING[0], NOTHING[2])]
    number = seen.ids.get(name)
    if number is not None:
        for times, positions, values in seen.view.windows[number].between(after + 1, until):
            chosen = (times > after) & (times <= until) & (positions <= position)
            pieces.append((times[chosen], values[chosen]))
            seen.view.pause()
    times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return times, values
