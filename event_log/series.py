"""The series of a log: their ids, names and what each retains of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from event_log.batch import Ids, Times
from event_log.errors import TooManyKeepers, TooManySeries
from event_log.rules import Rules
from event_log.writes import Conditions

LONGEST_NAME = 128
"""Maximum characters of the name of a series."""
MOST_ENDED = 10_000
"""Maximum number of ended names whose end position is remembered."""
GONE = -1
"""In place of the latest position of a series that does not live."""


class Series(NamedTuple):
    """A series as it began. Ids rise and are never given twice; a name that begins anew gets a new one."""

    name: str
    created: int
    """Time of the event with which it began, which may have left the log since."""
    initial: float
    """Value of that event."""
    keep: int | None = None
    """Number of its last events that it retains whatever their age; None: as the rules say."""
    owner: str = ""
    """Name of the key that began it, where the key has a limit of series."""


class Ends:
    """Positions at which the last series of each name ended, for the names that ended last."""

    def __init__(self, names: Mapping[str, int] | None = None, until: int = 0) -> None:
        """`until`: at or before this position a series may have ended whose name is not in `names`."""
        self.names = dict(names or {})
        """The latest end comes last."""
        self.until = until

    def at(self, name: str) -> int:
        """The last position at which a series of this name may have ended."""
        return self.names.get(name, self.until)

    def note(self, name: str, position: int) -> None:
        """Remember where a series of this name ended."""
        self.names.pop(name, None)
        self.names[name] = position
        if len(self.names) > MOST_ENDED:
            self.until = self.names.pop(next(iter(self.names)))

    def copy(self) -> Ends:
        """The same, to stay as it is."""
        return Ends(self.names, self.until)


class SeriesTable:
    """The series that live at one point of the log."""

    def __init__(self) -> None:
        self.by_id: dict[int, Series] = {}
        self.ids: dict[str, int] = {}
        self.next_id = 1
        self.keepers = 0
        """Number of series that have a keep of their own."""
        self.owned: Counter[str] = Counter()
        self.ended = Ends()
        self.latest = np.full(64, GONE, np.int64)
        """By id, the position of the last event of a series that lives."""

    def __len__(self) -> int:
        return len(self.ids)

    def begin(self, series: Series) -> int:
        """Take up a new series; returns its id."""
        number = self.next_id
        self.next_id += 1
        self.restore(number, series, 0)
        return number

    def restore(self, number: int, series: Series, latest: int) -> None:
        """Take up a series that has an id already."""
        if number >= len(self.latest):
            grown = np.full(max(2 * len(self.latest), number + 1), GONE, np.int64)
            grown[: len(self.latest)] = self.latest
            self.latest = grown
        self.by_id[number] = series
        self.ids[series.name] = number
        self.latest[number] = latest
        self.keepers += series.keep is not None
        if series.owner:
            self.owned[series.owner] += 1

    def retain(self, number: int, keep: int) -> None:
        """Let a series have a keep of its own from here on."""
        series = self.by_id[number]
        self.keepers += series.keep is None
        self.by_id[number] = series._replace(keep=keep)

    def keeping_less(self, numbers: Iterable[int], keep: int) -> list[int]:
        """Return those of these series that have no keep of their own which is as great."""
        own = ((number, self.by_id.get(number)) for number in numbers)
        return [number for number, series in own if series is None or series.keep is None or series.keep < keep]

    def end(self, number: int, position: int) -> Series:
        """Let a series end; returns it."""
        series = self.by_id.pop(number)
        del self.ids[series.name]
        self.latest[number] = GONE
        self.keepers -= series.keep is not None
        if series.owner:
            self.owned[series.owner] -= 1
            if not self.owned[series.owner]:
                del self.owned[series.owner]
        self.ended.note(series.name, position)
        return series

    def lives(self, number: int) -> bool:
        return number in self.by_id

    def may_end(self, number: int, quiet_since: int | None) -> bool:
        """Return whether a series lives, and has had no event behind a position."""
        return self.lives(number) and (quiet_since is None or self.latest[number] <= quiet_since)

    def living(self, ids: Ids) -> NDArray[np.bool_]:
        """Return a mask of the ids that are those of living series."""
        known = ids < len(self.latest)
        if known.all():
            return np.not_equal(self.latest[ids], GONE)
        return known & np.not_equal(self.latest[np.where(known, ids, 0)], GONE)

    def touch(self, ids: Ids | int, positions: Times | int) -> None:
        """Note events of series that live, at rising positions."""
        self.latest[ids] = positions

    def changed_keeps(self, names: Sequence[str], asked: Conditions, rules: Rules) -> list[int]:
        """Return the series whose keep a write raises. Raises TooManySeries, TooManyKeepers."""
        ids = [self.ids.get(name) for name in names]
        new = ids.count(None)
        if new and len(self) + new > rules.max_series:
            raise TooManySeries(rules.max_series)
        if new and asked.owner is not None and self.owned[asked.owner.name] + new > asked.owner.most:
            raise TooManySeries(asked.owner.most, asked.owner.name)
        if asked.keep is None:
            return []
        changed = self.keeping_less([number for number in ids if number is not None], asked.keep)
        keepers = new + sum(self.by_id[number].keep is None for number in changed)
        if asked.symbols and keepers and self.keepers + keepers > rules.max_symbols:
            raise TooManyKeepers(f"the limit of {rules.max_symbols} series with a keep of their own is reached")
        return changed

    def known(self, names: Iterable[str]) -> list[int] | None:
        """The ids of all these names, or None where one is new."""
        try:
            return [self.ids[name] for name in names]
        except KeyError:
            return None

    def check(self) -> None:
        """Assert what holds between any two records."""
        assert self.ids == {series.name: number for number, series in self.by_id.items()}
        assert list(self.by_id) == sorted(self.by_id)
        assert all(0 < number < self.next_id for number in self.by_id)
        assert {int(number) for number in np.flatnonzero(self.latest != GONE)} == self.by_id.keys()
        assert self.keepers == sum(series.keep is not None for series in self.by_id.values())
        assert self.owned == Counter(series.owner for series in self.by_id.values() if series.owner)
        assert len(self.ended.names) <= MOST_ENDED
