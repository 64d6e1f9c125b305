"""Long work in portions that yield to others, so that none keeps the other requests of its worker waiting."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SECONDS = 0.01
"""Seconds that a portion takes, roughly."""
_REST = 0.001
"""Not 0: after a sleep of 0 gevent looks at no socket."""


def give_way() -> None:
    """Yield to others."""
    time.sleep(_REST)


def run_for(work: Iterator[object], seconds: float = SECONDS) -> bool:
    """Take steps of some work for `seconds`; return whether it has come to its end."""
    end = time.perf_counter() + seconds
    return all(time.perf_counter() < end for _ in work)


def giving_way(items: Iterable[T], seconds: float = SECONDS) -> Iterator[T]:
    """Yield these items; between two of them yield to others whenever `seconds` have passed."""
    end = time.perf_counter() + seconds
    for item in items:
        if time.perf_counter() >= end:
            give_way()
            end = time.perf_counter() + seconds
        yield item
