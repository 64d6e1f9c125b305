"""The grid of a history: steps aligned to whole steps since the epoch, so that a step of a day is a UTC day."""

from __future__ import annotations

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
PREFERRED = tuple(count * unit for unit in (SECOND, MINUTE, HOUR) for count in (1, 2, 5, 10, 15, 30))
"""Steps to choose from, ascending; beyond them whole days."""
FEW = 120
"""Maximum number of points where the length of a step is not given."""


def touched(after: int, until: int, step: int) -> int:
    """Return the number of steps that have a moment with `after` < moment <= `until`; there is one."""
    return until // step - (after + 1) // step + 1


def preferred_step(after: int, until: int) -> int:
    """Return the shortest preferred step that gives at most FEW points."""
    for step in PREFERRED:
        if touched(after, until, step) <= FEW:
            return step
    days = 1
    while touched(after, until, days * DAY) > FEW:
        days += 1
    return days * DAY


def edges(after: int, step: int, count: int) -> list[int]:
    """Return the beginnings of `count` steps, and the end of the last; the first holds the moment behind `after`."""
    first = (after + 1) // step * step
    return [first + number * step for number in range(count + 1)]
