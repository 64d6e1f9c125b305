"""Collections of garbage that look at what is new, not again and again at all that stays.

A worker that knows ten thousand series holds two hundred thousand objects that stay. Python looks at every one of them
whenever it collects its oldest generation, within whatever request that falls: 70 ms, measured, in which nothing else
runs. What has survived such a collection, and so is no garbage, is therefore frozen, and the next one looks only at
what has come since; it comes the sooner, so that this is little. Should much of what is frozen become garbage after
all, in cycles, then all is looked at again: not before the process holds twice as much as it did the last time.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

OLDEST = 2
"""Python's oldest generation."""
MIDDLE_TO_A_FULL = 3
"""Number of collections of the middle generation before one of the oldest, which then takes some 5 ms; Python's own 10
made it 20 ms and more."""
SPARE = 3_000_000
"""Number of blocks of memory that may be held beyond twice those of the last full collection, some 250 MB: ten thousand
series take a third of that, and a full collection holds every request for 200 ms."""


class Survivors:
    """Freezes what survives; called by Python before and after each collection, once it stands in `gc.callbacks`."""

    def __init__(self, collector: Any = gc, blocks: Callable[[], int] = sys.getallocatedblocks) -> None:
        self._gc = collector
        self._blocks = blocks  # counts them in a millisecond; to count objects, Python looks at each
        self._looks_at_all = True
        self._most = 0

    def begin(self) -> None:
        """Look at all there is, and from now on at what is new."""
        self._gc.callbacks.append(self)
        self._gc.collect()
        young, middle, _ = self._gc.get_threshold()
        self._gc.set_threshold(young, middle, MIDDLE_TO_A_FULL)

    @classmethod
    def end(cls) -> None:
        """Leave Python's collector as it was. Before the process ends, or the interpreter lets go of parts before what
        still needs them, and complains."""
        gc.callbacks[:] = [callback for callback in gc.callbacks if not isinstance(callback, cls)]
        gc.unfreeze()

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase != "stop" or info["generation"] != OLDEST:
            return
        held = self._blocks()
        if self._looks_at_all:
            self._most = 2 * held + SPARE
        self._looks_at_all = held > self._most
        if self._looks_at_all:
            self._gc.unfreeze()
        else:
            self._gc.freeze()
