"""The last so many events of several series: of those that a question names, or of all where they reach behind the
cutoff, into what each series keeps of its own, as the timeline of all series ends at the horizon.

The time that divides them from those before is looked for by bisection, until the events that are still in question
are few enough to be sorted; a series whose events all lie on one side of those is looked at no more.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from rolling.cut import blocks_of
from rolling.span import Range
from rolling.steps import Pause
from rolling.window import RollingWindow

SORTED_AT_ONCE = 2**18
"""Maximum number of events that are sorted by time at once, to find the last of them: that takes some 3 ms."""
Live = dict[Any, tuple[int, int]]
"""Events of each series that may be among the last of all, as (begin, end): its last `begin` without its last `end`."""
Open = dict[RollingWindow, tuple[int, int]]
"""Number of those of a series that are later than the earliest time in question, and than the latest."""


def last_of_several(ranges: Sequence[Range], count: int, pause: Pause) -> Sequence[Range]:
    """Return where the last `count` events of these ranges are, one of each series and none empty.
    O(series * log(events of a series))."""
    if sum(begin - end for _, begin, end in ranges) <= count:
        return ranges
    pause()
    live: Live = {part.timeline: (part.begin, part.end) for part in ranges}
    pause()
    chosen = _chosen(live, count, pause)
    return [Range(window, live[window][1] + more, live[window][1]) for window, more in chosen.items() if more]


def _chosen(live: Live, count: int, pause: Pause) -> dict[Any, int]:
    """Return how many of the last `count` events each series has."""
    low = min(window.first.oldest for window in live) - 1
    high = max(window.last.newest for window in live)
    pause()
    undecided: Open = {window: (begin - end, 0) for window, (begin, end) in live.items()}
    chosen: dict[Any, int] = {}
    found = 0
    while high - low > 1 and sum(most - least for most, least in undecided.values()) > SORTED_AT_ONCE:
        middle = (low + high) // 2
        later = {}
        for window in undecided:
            begin, end = live[window]
            later[window] = max(min(window.count_after(middle), begin) - end, 0)
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
        pause()
    chosen |= {window: least for window, (_, least) in undecided.items()}
    for window, more in _of_open(undecided, live, count - sum(chosen.values()), pause).items():
        chosen[window] += more
    return chosen


def _of_open(undecided: Open, live: Live, count: int, pause: Pause) -> dict[Any, int]:
    """Return how many of the last `count` events that are still in question each series has."""
    if not count:
        return {}
    gathered, sizes = array("q"), []
    for window, (most, least) in undecided.items():
        end = live[window][1]
        for block, first, last in blocks_of(Range(window, end + most, end + least)):
            gathered += block.times(first, last)
        sizes.append(most - least)
        pause()
    pause()
    times = np.frombuffer(gathered, np.int64)
    limit = int(np.partition(times, len(times) - count)[len(times) - count])
    pause()
    owners = np.repeat(np.arange(len(sizes)), sizes)
    later = np.bincount(owners[times > limit], minlength=len(sizes)).tolist()
    pause()
    same = np.bincount(owners[times == limit], minlength=len(sizes)).tolist()
    found = dict(zip(undecided, later, strict=True))
    ties = {window: equal for window, equal in zip(undecided, same, strict=True) if equal}
    for window in _of_moment(ties, limit, count - sum(later), pause):
        found[window] += 1
    return found


def _of_moment(ties: dict[RollingWindow, int], time: int, count: int, pause: Pause) -> list[RollingWindow]:
    """Return the series of each of the last `count` events of this very time, of which each series has some in
    question."""
    windows = list(ties)
    positions = [np.empty(0, np.int64)]
    for window, some in ties.items():
        columns = window.within((time, 0), (time + 1, 0))
        assert columns is not None
        positions.append(columns[1][-some:])
        pause()
    owners = np.repeat(np.arange(len(windows)), list(ties.values()))
    order = np.argsort(np.concatenate(positions))
    return [windows[owner] for owner in owners[order[len(order) - count :]].tolist()]
