"""Events of series in order of time."""

from __future__ import annotations

import numpy as np

from event_log.batch import Times, Values
from rolling.block import NOTHING
from view.snapshots import Seen


def stretch(seen: Seen, name: str, after: int, until: int, position: int) -> tuple[Times, Values]:
    """Return the times and values of the events of a series with `after` < time <= `until`, up to a position of the
    log, in order."""
    pieces = [(NOTHING[0], NOTHING[2])]
    number = seen.ids.get(name)
    if number is not None:
        for times, positions, values in seen.view.windows[number].between(after + 1, until):
            chosen = (times > after) & (times <= until) & (positions <= position)
            pieces.append((times[chosen], values[chosen]))
            seen.view.pause()
    times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return times, values
