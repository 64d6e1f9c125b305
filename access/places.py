"""The streams that each access key has open in this worker."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from access.keys import Key


class AllTaken(Exception):
    """A key has as many streams open in this worker as it may."""


class Places:
    """Counts by the name of a key, which a new token of the same key shares."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # nothing yields while it is held
        self._taken: Counter[str] = Counter()

    def take(self, key: Key) -> Callable[[], None]:
        """Take a place; return what gives it back, which may be called twice. Raises AllTaken."""
        with self._lock:
            if key.max_streams is not None and self._taken[key.name] >= key.max_streams:
                raise AllTaken
            self._taken[key.name] += 1
        held = [key.name]

        def give_back() -> None:
            with self._lock:
                if held:
                    self._leave(held.pop())

        return give_back

    def _leave(self, name: str) -> None:
        self._taken[name] -= 1
        if not self._taken[name]:
            del self._taken[name]
