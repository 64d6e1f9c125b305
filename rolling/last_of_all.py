"""The last events of all series, where they reach behind the cutoff, into what each series keeps of its own.

The timeline of all series ends at the horizon. So the time is looked for that divides them from those before, by
bisection; a series whose events all lie on one side of what is still in question is looked at no more.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rolling.span import Range
from rolling.steps import Pause
from rolling.window import RollingWindow

Live = dict[RollingWindow, tuple[int, int]]
"""Events of each series that may be among the last of all, as (begin, end): its last `begin` without its last `end`."""
Open = dict[RollingWindow, tuple[int, int]]
"""Number of those of a series that are later than the earliest time in question, and than the latest."""


def last_of_all(
    windows: Iterable[RollingWindow], count: int, cutoff: int, until: int | None, pause: Pause
) -> list[Range]:
    """Return the ranges of the last `count` events, of those later than a cutoff or kept, and not later than `until`.
    O(series * log(events of a series))."""
    live: Live = {}
    for window in windows:
        begin, end = window.live(cutoff), 0 if until is None else window.count_after(until)
        if end < begin:
            live[window] = begin, end
        pause()
    if sum(begin - end for begin, end in live.values()) <= count:
        return [Range(window, begin, end) for window, (begin, end) in live.items()]
    chosen = _chosen(live, count, pause)
    return [Range(window, live[window][1] + more, live[window][1]) for window, more in chosen.items() if more]


def _chosen(live: Live, count: int, pause: Pause) -> dict[RollingWindow, int]:
    """Return the number of each series' events among the last `count` of all."""
    low = min(window.first.oldest for window in live) - 1
    high = max(window.last.newest for window in live)
    undecided: Open = {window: (begin - end, 0) for window, (begin, end) in live.items()}
    chosen: dict[RollingWindow, int] = {}
    found = 0
    while undecided and high - low > 1:
        middle = (low + high) // 2
        later = {}
        for window in undecided:
            later[window] = _later(window, middle, live[window])
            pause()
        many = found + sum(later.values()) > count
        low, high = (middle, high) if many else (low, middle)
        rest: Open = {}
        for window, (most, least) in undecided.items():
            most, least = (later[window], least) if many else (most, later[window])
            if most > least:
                rest[window] = most, least
            else:
                chosen[window] = least
                found += least
        undecided = rest
    spare = count - found - sum(least for _, least in undecided.values())
    chosen |= {window: least for window, (_, least) in undecided.items()}
    for window in _of_moment(undecided, high, spare, pause):
        chosen[window] += 1
    return chosen


def _of_moment(undecided: Open, time: int, count: int, pause: Pause) -> list[RollingWindow]:
    """Return the series of each of the last `count` events of this very time."""
    windows = list(undecided)
    positions = [np.empty(0, np.int64)]
    for window, (most, least) in undecided.items():
        columns = window.within((time, 0), (time + 1, 0))
        assert columns is not None
        positions.append(columns[1][least - most :])
        pause()
    owners = np.repeat(np.arange(len(windows)), [len(some) for some in positions[1:]])
    order = np.argsort(np.concatenate(positions))
    return [windows[owner] for owner in owners[order[len(order) - count :]].tolist()]


def _later(window: RollingWindow, time: int, ends: tuple[int, int]) -> int:
    """Return the number of events in this range of a series that are later than `time`."""
    begin, end = ends
    return max(min(window.count_after(time), begin) - end, 0)
