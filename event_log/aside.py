"""Work that blocks, such as a disk's sync: done in a real thread, so that it holds up no greenlet."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")


def aside(work: Callable[[], T]) -> T:
    """Do blocking work; under gevent in its pool of real threads, while the other greenlets go on."""
    if _is_patched():
        done: T = sys.modules["gevent"].get_hub().threadpool.apply(work)
        return done
    return work()


def native_lock() -> AbstractContextManager[Any]:
    """A lock between real threads, even where gevent has put its own in place of theirs."""
    if _is_patched():
        lock: AbstractContextManager[Any] = sys.modules["gevent.monkey"].get_original("threading", "Lock")()
        return lock
    return Lock()


def _is_patched() -> bool:
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))
