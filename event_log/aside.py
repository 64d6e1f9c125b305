"""Work that blocks, such as a disk's sync: done in a real thread, so that it holds up no greenlet."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

TURN_SECONDS = 0.001
"""Seconds that a real thread works before it rests."""
REST_SECONDS = 0.0005
"""Seconds that it rests."""


def aside(work: Callable[[], T]) -> T:
    """Do blocking work; under gevent in its pool of real threads, while the other greenlets go on. In one of these it
    is done at once."""
    if _has_greenlets():
        done: T = sys.modules["gevent"].get_hub().threadpool.apply(work)
        return done
    return work()


def give_way() -> None:
    """Let the other greenlets or threads go first."""
    time.sleep(0.001)  # not 0: after a sleep of 0 gevent looks at no socket


def native_lock() -> threading.Lock:
    """A lock between real threads, even where gevent has put its own in place of theirs."""
    lock: threading.Lock = _native("threading", "Lock")()
    return lock


class Turns:
    """The work of a real thread, with rests between that let the others of its process run.

    While it works they wait for the interpreter. They can ask for it, but where they share a core they do not even get
    to ask before the system has given this thread all of its time, some milliseconds, each time anew."""

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, sleep: Callable[[float], None] | None = None
    ) -> None:
        self._clock = clock
        self._sleep = sleep or native_sleep()
        self._end = clock() + TURN_SECONDS

    def give_way(self) -> None:
        """Rest, if this turn is over. Not while others wait for a lock that this thread holds."""
        if self._clock() >= self._end:
            self._sleep(REST_SECONDS)
            self._end = self._clock() + TURN_SECONDS


def native_sleep() -> Callable[[float], None]:
    """The sleep of a real thread, which knows nothing of greenlets."""
    sleep: Callable[[float], None] = _native("time", "sleep")
    return sleep


def _native(module: str, name: str) -> Any:
    monkey = sys.modules.get("gevent.monkey")
    return getattr(sys.modules[module], name) if monkey is None else monkey.get_original(module, name)


def sleep(seconds: float) -> None:
    """Let the other greenlets of this thread go on, or only the other threads where it has none."""
    (time.sleep if _has_greenlets() else native_sleep())(seconds)


def _has_greenlets() -> bool:
    """Return whether this is the thread in which gevent runs: the main one, whose id on Linux is that of the
    process."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("threading"):
        return False
    return sys.platform != "linux" or threading.get_native_id() == os.getpid()
