"""Collections of garbage that look at what is new, not again and again at all that stays.

A worker that knows ten thousand series holds two hundred thousand objects that stay. Python looks at every one of them
whenever it collects its oldest generation, within whatever request that falls: 70 ms, measured, in which nothing else
runs. What has survived such a collection, and so is no garbage, is therefore set aside, and the next one looks only at
what has come since. Should much of what is set aside become garbage after all, in cycles, then all is looked at again:
not before there is twice as much of it as there was the last time.
"""

from __future__ import annotations

import gc
from typing import Any

OLDEST = 2
"""Python's oldest generation."""
SPARE = 100_000
"""So many objects more than twice those at the last look at all may be set aside: some 40 MB."""


class Survivors:
    """Sets aside what survives; called by Python before and after each collection, once it stands in `gc.callbacks`."""

    def __init__(self, collector: Any = gc) -> None:
        self._gc = collector
        self._looks_at_all = True
        self._aside = 0
        """How many objects are set aside, at most: some have gone since, and Python can count the others only one by
        one, 12 ms for two hundred thousand."""
        self._most = 0

    def begin(self) -> None:
        """Look at all there is, and from now on at what is new."""
        self._gc.callbacks.append(self)
        self._gc.collect()

    @classmethod
    def end(cls) -> None:
        """Leave Python's collector as it was. Before the process ends, or the interpreter lets go of parts before what
        still needs them, and complains."""
        gc.callbacks[:] = [callback for callback in gc.callbacks if not isinstance(callback, cls)]
        gc.unfreeze()

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase != "stop" or info["generation"] != OLDEST:
            return
        self._aside += len(self._gc.get_objects())
        self._gc.freeze()
        if self._looks_at_all:
            self._most = 2 * self._aside + SPARE
        elif self._aside > self._most:
            self._aside = self._gc.get_freeze_count()
        self._looks_at_all = self._aside > self._most
        if self._looks_at_all:
            self._gc.unfreeze()
            self._aside = 0
