"""Matches: which series the patterns of a question match, kept until series begin or end.

Then only names that are new are matched: ids of series rise, so that the highest one and the number of those that live
tell whether any has begun or ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from event_log.patterns import compiled
from event_log.series import Series
from view.answers import Several

if TYPE_CHECKING:
    from view.snapshots import Seen

MOST_KEPT = 2_000_000
"""Maximum number of ids that are kept for all questions together, each of which counts as 1,000 more."""
COST = 1_000
NAMES_AT_ONCE = 8
"""Number of names that are matched between two pauses: 20 hostile patterns take up to 60 us for a name."""


class Revision(NamedTuple):
    """The highest id of some series, and how many they are: another one whenever a series begins or ends."""

    highest: int = -1
    number: int = 0


def revision_of(series: dict[int, Series]) -> Revision:
    """Return the revision of these series, given by id in the order in which they began."""
    return Revision(next(reversed(series), -1), len(series))


class _Kept(NamedTuple):
    """The series that matched when the log was read up to a position."""

    position: int
    revision: Revision
    ids: list[int]
    lineage: int
    """The same as before for as long as none of them ends."""


class Matches:
    """The matches of patterns in one projection and its snapshots. Not thread safe: the caller holds a lock."""

    def __init__(self) -> None:
        self._kept: dict[Several, _Kept] = {}  # least recently asked for first
        self._lineages = count()

    def find(self, seen: Seen, several: Several) -> tuple[list[int], int]:
        """Return the ids of the series that match, in order and not to be changed, and their lineage."""
        revision = revision_of(seen.series)
        kept = self._kept.pop(several, None)
        if kept is not None:
            self._kept[several] = kept
            if kept.revision == revision:
                return kept.ids, kept.lineage
        position = seen.cursor.position
        # A snapshot may be older than what is kept, where a series may be missing that has ended since.
        if kept is None or kept.position >= position:
            kept = _Kept(-1, Revision(), [], next(self._lineages))
        living = [number for number in kept.ids if number in seen.series]
        ids = living + _new(seen, several, kept.revision.highest)
        lineage = kept.lineage if len(living) == len(kept.ids) else next(self._lineages)
        newest = self._kept.get(several)  # anew, as others may have come in
        if newest is None or newest.position <= position:
            self._keep(several, _Kept(position, revision, ids, lineage))
        return ids, lineage

    def _keep(self, several: Several, kept: _Kept) -> None:
        self._kept.pop(several, None)
        self._kept[several] = kept
        spare = MOST_KEPT - sum(len(other.ids) + COST for other in self._kept.values())
        for other in list(self._kept)[:-1]:
            if spare >= 0:
                return
            spare += len(self._kept.pop(other).ids) + COST


def _new(seen: Seen, several: Several, highest: int) -> list[int]:
    """Return the ids above one that match."""
    matchers = []
    for text in several.patterns:
        matchers.append(compiled(text).match)
        seen.view.pause()
    found: list[int] = []
    for done, (number, name) in enumerate(newer(seen.series, highest), 1):
        if several.among is None or name in several.among:
            for match in matchers:
                if match(name):
                    found.append(number)
                    break
        if done % NAMES_AT_ONCE == 0:
            seen.view.pause()
    return found[::-1]


def newer(series: dict[int, Series], highest: int) -> Iterator[tuple[int, str]]:
    """Yield id and name of the series that began after the one with the id `highest`, the newest first."""
    for number in reversed(series):
        if number <= highest:
            return
        yield number, series[number].name
