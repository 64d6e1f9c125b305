"""Long work in portions that yield to others, so that none keeps the other requests of its worker waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from event_log.aside import give_way

S = TypeVar("S")
T = TypeVar("T")

SECONDS = 0.01
"""About how long a portion takes."""


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


def paced(work: Callable[[S], T], seconds: float = SECONDS) -> Callable[[S], T]:
    """Return a function that does this work, and first yields to others whenever `seconds` have passed: for what calls
    one again and again, such as a parser."""
    end = time.perf_counter() + seconds

    def call(given: S) -> T:
        nonlocal end
        if time.perf_counter() >= end:
            give_way()
            end = time.perf_counter() + seconds
        return work(given)

    return call
