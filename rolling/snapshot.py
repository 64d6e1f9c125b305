"""Copy-on-write for answers: something of each of many series as of one moment, found while events go on coming.

A writer that is about to change a series has every snapshot under way find what it needs of that series first. So
each series is looked at once, and nobody has to wait until nothing changes any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from rolling.steps import Steps

V = TypeVar("V")


class Snapshot(Generic[V]):
    """What `find` finds of some series, given by their ids, as of the moment at which it is taken. Not thread safe:
    the caller holds the view's lock."""

    def __init__(self, horizon: int, series: Iterable[int], find: Callable[[int], Steps[V]]) -> None:
        self.horizon = horizon
        """The view's at that moment: `find` has to go by this one."""
        self._find = find
        self._missing = dict.fromkeys(series)
        self._found: dict[int, V] = {}

    def __getitem__(self, series: int) -> V:
        return self._found[series]

    def lacks(self, series: int) -> bool:
        """Say whether it has yet to look at a series."""
        return series in self._missing

    def only(self, series: Iterable[int]) -> None:
        """Forget those that are not among these."""
        self._missing = {number: None for number in series if number in self._missing}

    def find(self, series: int) -> Steps[None]:
        """Find what is missing of a series, if anything is. Takes portions, in which it may change only after somebody
        else has done the same."""
        if series not in self._missing:
            return
        found = yield from self._find(series)
        if series in self._missing:  # else a writer did the same meanwhile, and this may be of a later moment
            del self._missing[series]
            self._found[series] = found
        yield

    def find_all(self) -> Steps[None]:
        """Find what is missing; takes portions."""
        for series in list(self._missing):
            yield from self.find(series)


class Snapshots:
    """Those under way."""

    def __init__(self) -> None:
        self._all: list[Snapshot[Any]] = []

    @contextmanager
    def take(self, horizon: int, series: Iterable[int], find: Callable[[int], Steps[V]]) -> Iterator[Snapshot[V]]:
        """Take one of these series, the horizon being the view's."""
        taken = Snapshot(horizon, series, find)
        self._all.append(taken)
        try:
            yield taken
        finally:
            self._all.remove(taken)

    def before_change(self, series: int) -> Steps[None]:
        """Let each find what it needs of a series that is about to change, those too that are taken meanwhile."""
        while lacking := [snapshot for snapshot in self._all if snapshot.lacks(series)]:
            yield from lacking[0].find(series)

    def earliest(self, horizon: int) -> int:
        """Return the earliest of this horizon and theirs."""
        return min([horizon, *(snapshot.horizon for snapshot in self._all)])
