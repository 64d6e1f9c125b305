"""Several series as one, of a service in this process: `python -m benchmarks.several`.

Ten thousand series match of twenty thousand. How much of a processor each question takes, and how long it computes at a
stretch with the projection locked, others being let in between; both in the processor's time, so that what else the
machine does counts in neither.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.table import machine, show
from event_log.memory_store import MemoryStore
from event_service import EventService
from rolling.histogram import in_bins
from rolling.percentiles import Percentiles, percent
from settings import Settings
from times import HOUR, MINUTE, wall_clock
from view import asking
from view.answers import Extras, Scope, Several

ROUNDS = 5
EXTRAS = Extras(edges=True, percentiles=Percentiles((percent("50"), percent("99"))))
HOSTILE = tuple(f"*[!{chr(97 + number)}]" + "*1" * 57 for number in range(20))


class Taken(NamedTuple):
    """Milliseconds of processor time: in all, and at the longest stretch."""

    whole: float
    longest: float


class Stretches:
    """Notes how long a question computes between two times that it lets others in."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = time.thread_time()

    def begin(self) -> None:
        """Begin a stretch."""
        self.longest, self._began = 0.0, time.thread_time()

    def give_way(self) -> None:
        """End one, and begin the next."""
        now = time.thread_time()
        self.longest, self._began = max(self.longest, now - self._began), now


def service_of(series: int, each: int) -> EventService:
    """Return a service with a number of series that match `even *`, and as many that do not, each with a number of
    events of the last hour. Its clock stands still, so that the hour holds all of them however long this takes."""
    now = wall_clock()
    service = EventService(MemoryStore(), Settings(max_series=2 * series, max_batch=10**6, idle=0), lambda: now)
    names = [f"{kind} {number}" for number in range(series) for kind in ("even", "odd")]
    ids, generator = np.arange(2 * series, dtype=np.uint32), np.random.default_rng(1)
    for start in range(each):
        times = now - 59 * MINUTE + (start * 2 * series + ids.astype(np.int64)) * (58 * MINUTE) // (2 * series * each)
        service.add_many(names, ids, times, generator.lognormal(3, 1, 2 * series))
        while service.advance():
            pass
    gc.collect()
    gc.freeze()  # as the service does: a full collection is no part of a question
    return service


def measure(question: Callable[[], object], stretches: Stretches, rounds: int) -> Taken:
    """The median of several rounds, and the longest stretch of that one."""
    found = []
    for _ in range(rounds):
        stretches.begin()
        started = time.thread_time()
        question()
        stretches.give_way()
        found.append(Taken((time.thread_time() - started) * 1000, stretches.longest * 1000))
    return sorted(found)[rounds // 2]


def questions(service: EventService) -> dict[str, Callable[[], object]]:
    """Return the questions by their names in the table."""
    even, numbers = Several(("even *",)), itertools.count()

    def anew(patterns: tuple[str, ...]) -> int:
        return service.matched(Several((*patterns[:-1], f"{patterns[-1][:120]}{next(numbers)}")))

    return {
        "matching one pattern anew": lambda: anew(("even *", "")),
        "matching 20 hostile patterns anew": lambda: anew(HOSTILE),
        "statistics, the whole hour": lambda: service.statistics(even),
        "statistics, 20 minutes": lambda: service.statistics(even, window=20 * MINUTE),
        "statistics, 20 minutes, first and last": lambda: service.statistics(even, window=20 * MINUTE, edges=True),
        "the last 100,000": lambda: service.statistics(even, last=100_000),
        "p50 and p99, 20 minutes": lambda: service.statistics(even, window=20 * MINUTE, percentiles=EXTRAS.percentiles),
        "a histogram, the whole hour": lambda: service.histogram(even, Scope(), in_bins(100)),
        "a history, 60 steps": lambda: service.history(even, window=HOUR, step=MINUTE),
        "a history, 60 steps, p50 and p99, first and last": lambda: service.history(
            even, window=HOUR, step=MINUTE, extras=EXTRAS
        ),
    }


def _cells(taken: Taken) -> tuple[str, str]:
    return f"{taken.whole:.1f} ms", f"{taken.longest:.1f} ms"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.several", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="everything once, small")
    quick = parser.parse_args().quick
    series, sizes, rounds = (100, (5, 10), 1) if quick else (10_000, (10, 100), ROUNDS)
    stretches = Stretches()
    setattr(asking, "give_way", stretches.give_way)  # noqa: B010  # mypy wants it to be exported
    columns: list[dict[str, Taken]] = []
    for each in sizes:
        service = service_of(series, each)
        columns.append({name: measure(ask, stretches, rounds) for name, ask in questions(service).items()})
    rows = [[name, *(cell for found in columns for cell in _cells(found[name]))] for name in columns[0]]
    sizes_of = (f"{series * each:,} events" for each in sizes)
    show([f"{series:,} series match", *(cell for size in sizes_of for cell in (size, "longest"))], rows)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
