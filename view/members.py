"""Members: the series that a question is about, by id."""

from __future__ import annotations

from typing import NamedTuple

from rolling.reading import Ids
from view.answers import Matched, Several, Which
from view.snapshots import Seen

NEVER_SEEN = -1
"""Stands for the id of a series that is not there."""


class Members(NamedTuple):
    """Those of one question."""

    ids: Ids
    matched: Matched | None = None
    arrived: int | None = None
    """Number of events that several series were given so far."""


def number_of(seen: Seen, series: str | None) -> int | None:
    """Return the id of a series; None for all of them."""
    return None if series is None else seen.ids.get(series, NEVER_SEEN)


def members_of(seen: Seen, series: Which) -> Members:
    """Return the series that a question is about."""
    if not isinstance(series, Several):
        return Members(number_of(seen, series))
    found, lineage = seen.matches.find(seen, series)
    # One series alone, and all of them, have indexes that several do not have.
    ids = None if len(found) == len(seen.series) else found[0] if len(found) == 1 else found
    return Members(ids, Matched(len(found), lineage), sum(seen.view.windows[number].taken for number in found))
