"""Tells workers that are to be replaced when their successors are ready, so that somebody always accepts connections.

On SIGHUP gunicorn starts new workers and sends the old ones SIGTERM at once, seconds before the new ones have loaded
the application. Master and workers share one page of memory: the master writes into it which workers are replaced, and
each new worker that it is ready.
"""

from __future__ import annotations

import struct
from functools import cache
from mmap import mmap

_SLOTS = 4096
"""Ages of workers that are told apart; those of one reload follow each other."""
_RELOAD = struct.Struct("qq")


class Handover:
    """Memory shared by all workers: which of them a reload replaces, and how many of their successors are ready."""

    def __init__(self) -> None:
        self._memory = mmap(-1, _SLOTS + _RELOAD.size)  # anonymous and shared with the processes forked from here

    def begin(self, last_age: int, workers: int) -> None:
        """Replace all workers up to this age by as many new ones. To be called in the master."""
        self._memory[:_SLOTS] = bytes(_SLOTS)
        _RELOAD.pack_into(self._memory, _SLOTS, last_age, workers)

    def tell_ready(self, age: int) -> None:
        """Say that the worker of this age is ready."""
        self._memory[age % _SLOTS] = 1

    def is_replaced(self, age: int) -> bool:
        """Return whether a reload replaces the worker of this age."""
        return age <= self._reload()[0]

    def is_complete(self) -> bool:
        """Return whether all new workers of the last reload are ready."""
        last_age, workers = self._reload()
        return all(self._memory[age % _SLOTS] for age in range(last_age + 1, last_age + 1 + workers))

    def _reload(self) -> tuple[int, int]:
        last_age, workers = _RELOAD.unpack_from(self._memory, _SLOTS)
        return last_age, workers


@cache
def shared() -> Handover:
    """Return that of this master and its workers. The configuration is executed again at each reload, so that it cannot
    hold it."""
    return Handover()
