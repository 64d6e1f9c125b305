"""Things that each process makes for itself at first use: those with locks or threads must be made after the fork."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One thing in each process that asks for it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._of: dict[int, T] = {}

    def here(self) -> T:
        """Return it; made by the first to ask."""
        pid = os.getpid()
        if pid not in self._of:
            self._of.setdefault(pid, self._make())
        return self._of[pid]
