"""Something of each of many series, all of one moment, worked out in portions.

What was found of a series holds for as long as it has taken in nothing more and lost nothing. So most is found while
others are let in now and then, and at the end, in one portion, only what has changed meanwhile is found again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from rolling.steps import Steps, finished
from rolling.window import RollingWindow

AT_A_TIME = 50
"""Of how many series something is found in one portion: a millisecond or so."""
ROUNDS = 20
"""So many times is looked for what has changed while others were let in; then nobody is let in any more."""

V = TypeVar("V")


class Together(Generic[V]):
    """What `find` finds of series, given by their ids. Not thread safe: the caller holds the view's lock."""

    def __init__(
        self,
        windows: Mapping[int, RollingWindow],
        horizon: Callable[[], int],
        since: int,
        find: Callable[[int], Steps[V]],
    ) -> None:
        """What `find` finds depends on the events later than `since` and the horizon, and those the series keeps."""
        self._windows = windows
        self._horizon = horizon
        self._since = since
        self._find = find
        self._found: dict[int, tuple[object, V]] = {}
        self._rounds = 0

    def __getitem__(self, series: int) -> V:
        return self._found[series][1]

    def stale(self, series: Iterable[int]) -> list[int]:
        """Of which of these nothing is known that holds now."""
        found, state = self._found, self._state
        return [number for number in series if number not in found or found[number][0] != state(number)]

    def find_all(self, series: Callable[[], Iterable[int]]) -> Steps[None]:
        """Know something that holds now of each of the series that are there; takes portions."""
        while stale := self.stale(series()):
            self._rounds += 1
            for number, one in enumerate(stale, 1):
                patient = self._rounds <= ROUNDS
                found = (yield from self._find(one)) if patient else finished(self._find(one))
                self._found[one] = self._state(one), found
                if patient and number % AT_A_TIME == 0:
                    yield

    def _state(self, series: int) -> object:
        """Equal as long as the series has the same events."""
        window = self._windows.get(series)
        if window is None:
            return None
        horizon = self._horizon()
        reached = horizon > self._since and window.first.oldest <= horizon
        return window.taken, len(window), window.keep, horizon if reached else None
