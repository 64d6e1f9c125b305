"""Members: the series that a question is about, by id."""

from __future__ import annotations

from typing import NamedTuple

from rolling.reading import Ids
from view.answers import Matched, Several, Which
from view.snapshots import Seen

NEVER_SEEN = -1
"""Stands for the id of a series that is not there."""


class Members(NamedTuple):
    """The series of one question."""

    ids: Ids
    arrived: int
    """Number of events that they were given so far."""
    matched: Matched | None = None


def members_of(seen: Seen, series: Which) -> Members:
    """Return the series that a question is about."""
    if not isinstance(series, Several):
        if series is None:
            return Members(None, seen.view.taken)
        number = seen.ids.get(series, NEVER_SEEN)
        return Members(number, 0 if number == NEVER_SEEN else seen.view.windows[number].taken)
    found, lineage = seen.matches.find(seen, series)
    # One series alone, and all of them, have indexes that several do not have.
    ids = None if len(found) == len(seen.series) else found[0] if len(found) == 1 else found
    return Members(ids, sum(seen.view.windows[number].taken for number in found), Matched(len(found), lineage))
