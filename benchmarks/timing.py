"""Parts that the benchmarks of the engine share: timing, and the events they use."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np

from rolling.block import Times, Values
from rolling.shared_block import Ids
from rolling.view import View
from times import HOUR, SECOND

NOW = 1_750_948_200 * SECOND
"""The moment at which all questions are asked; the events are those of the hour before."""
KEEP = 1000
"""Number of last events that each series keeps."""
PORTION = 200_000
"""Number of events that a view takes in at a time, as the service does."""

Events = tuple[Ids, Times, Values]


def microseconds(work: Callable[[], object], times: int) -> float:
    """The median of `times` calls, each timed on its own after one that is not, in microseconds."""
    work()
    gc.collect()
    taken = []
    for _ in range(times):
        start = time.perf_counter_ns()
        work()
        taken.append(time.perf_counter_ns() - start)
    return median(taken) / 1000


def seconds(work: Callable[[], object]) -> float:
    """One call, in seconds."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def hour_of_events(size: int, series: int, *, in_order: bool) -> Iterator[Events]:
    """That many random events of the last hour, in portions; in order of time, or of no order at all."""
    generator = np.random.default_rng(size)
    for start in range(0, size, PORTION):
        count = min(PORTION, size - start)
        ids = generator.integers(0, series, count).astype(np.uint32)
        if in_order:
            times = NOW - HOUR + 1 + np.arange(start, start + count) * (HOUR - 1) // size
        else:
            times = NOW - generator.integers(0, HOUR, count)
        yield ids, times, generator.normal(100, 15, count)


def take(view: View, ids: Ids, times: Times, values: Values, position: int) -> None:
    """Have a view take these in, the first at a position, in all the steps that takes."""
    for _ in view.add_many(ids, times, values, np.arange(position, position + len(values))):
        pass


def fill(view: View, events: Iterator[Events]) -> int:
    """Have a view take all of these in; return their number."""
    position = 0
    for ids, times, values in events:
        take(view, ids, times, values, position + 1)
        position += len(values)
    return position


def view_of(size: int, series: int = 10, *, in_order: bool = True) -> View:
    """Return a view that holds `size` events of the last hour."""
    view = View(KEEP)
    fill(view, hour_of_events(size, series, in_order=in_order))
    return view
