"""Group commit: whoever waits for the disk settles for all who wait, over all processes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from event_log.aside import aside


class GroupCommit:
    """For one log of one process."""

    def __init__(self, settled: Callable[[], int]) -> None:
        self._settled = settled
        self._lock = threading.Lock()

    def wait(self, position: int, settle: Callable[[], None], *, also: bool = False) -> None:
        """Until all up to a position is on the disk, `also` what takes no position. Raises LogUnavailable."""
        if also:
            with self._lock:
                aside(settle)
        while self._settled() < position:
            with self._lock:  # while one settles, the others gather here; most find themselves settled after
                if self._settled() < position:
                    aside(settle)
