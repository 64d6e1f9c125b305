"""Something of each of many series, all of one moment, worked out in portions.

What was found of a series holds for as long as it has taken in nothing more and lost nothing that was live. So most is
found while others are let in now and then, until a look at all, in one portion, finds that nothing has changed since.
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
        """Of which of these nothing is known that holds now. Cheap: asked of all in one portion."""
        found, windows, state, horizon = self._found, self._windows, self._state, self._horizon()
        return [
            number
            for number in series
            if number not in found or found[number][0] != state(windows.get(number), horizon)
        ]

    def find(self, series: Iterable[int]) -> Steps[None]:
        """Know something of each of these; takes portions, in which others may become stale, or these again."""
        self._rounds += 1
        patient = self._rounds <= ROUNDS
        for count, number in enumerate(series, 1):
            found = (yield from self._find(number)) if patient else finished(self._find(number))
            self._found[number] = self._state(self._windows.get(number), self._horizon()), found
            if patient and count % AT_A_TIME == 0:
                yield
        if patient:
            yield

    def _state(self, window: RollingWindow | None, horizon: int) -> object:
        """Equal as long as the same events of a series are live. None where it has ended."""
        if window is None:
            return None
        since = max(self._since, horizon)
        if window.first.oldest > since:
            # All of it is live, which does not say that there was no more before: what has died may be gone.
            return window.taken, window.keeps, len(window), "all"
        return window.taken, window.keeps, since
