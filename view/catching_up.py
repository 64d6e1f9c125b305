"""One reader at a time: whoever needs what is newest reads it, or waits for a reading that began after the need."""

from __future__ import annotations

import threading
from collections.abc import Callable

from view.portions import give_way


class CatchingUp:
    """Shares the readings of a source among all who want to be level with it.

    A call waits while another reads. A reading that began after a call did serves that call too; so of all who have
    gathered meanwhile the first reads again, and the others find that done. Nobody who waits holds anything.
    """

    def __init__(self, step: Callable[[], bool]) -> None:
        """`step` reads and takes in a portion, never twice at a time; says whether there is more."""
        self._step = step
        self._turn = threading.Lock()
        self._begun = 0
        self._level = 0  # the last step that found nothing more

    def __call__(self) -> None:
        """Return once a reading that began after this call has brought everything. Raises what a step raises."""
        before = self._begun
        with self._turn:
            while self._level <= before and self._advance():
                give_way()

    def advance(self) -> bool:
        """Take one step; whether there is more."""
        with self._turn:
            return self._advance()

    def _advance(self) -> bool:
        self._begun += 1
        more = self._step()
        if not more:
            self._level = self._begun
        return more
