"""Percentiles, history and rankings by the engine, without log and HTTP: `python -m benchmarks.percentiles`.

Each percentile is compared with what numpy and the statistics module make of the same values in the same run.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np

from benchmarks.engine import single_adds
from benchmarks.table import machine, show
from benchmarks.timing import NOW, microseconds, view_of
from rolling.percentiles import Percentiles, percent
from rolling.ranking import first_by
from rolling.span import Span
from rolling.steps import Steps, finished
from rolling.view import View
from times import HOUR, MINUTE

T = TypeVar("T")
FOUR = Percentiles(tuple(percent(text) for text in ("50", "90", "99", "99.9")))
MODULE_AT_MOST = 10**6
EVENTS_BETWEEN = 100
"""New events before each question; one of them is late."""
AFTER = NOW - HOUR + HOUR // 1000
"""The window begins here, and moves on with the events that come in."""


class Portions(NamedTuple):
    """How long some work took in all and in its longest portion, in milliseconds."""

    whole: float
    longest: float


def in_portions(steps: Steps[T]) -> Portions:
    """Do work in portions, timing each."""
    began = before = time.perf_counter()
    longest, going = 0.0, True
    while going:
        try:
            next(steps)
        except StopIteration:
            going = False
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return Portions((before - began) * 1000, longest * 1000)


def questions(size: int, series: int, times: int) -> list[str]:
    """A row of the first table: one series that has all events, or all of several series."""
    view, which = view_of(size, series=series), 0 if series == 1 else None
    first = in_portions(view.percentiles(which, Span(NOW - HOUR, AFTER), FOUR))
    taken = _moving(view, size, series, times)
    random_windows = iter(np.random.default_rng(3).integers(1, HOUR, times + 1).tolist())
    anew = microseconds(
        lambda: finished(view.percentiles(which, Span(NOW - HOUR, NOW - next(random_windows)), FOUR)), times
    )
    name = "one series" if series == 1 else f"all {series:,} series"
    cells = [f"{np.median(taken):,.0f}", f"{np.percentile(taken, 99):,.0f}", f"{anew:,.0f}"]
    return [
        name,
        f"{size:,}",
        *cells,
        f"{first.whole:,.1f} ms",
        f"{first.longest:,.1f} ms",
        *_peers(view, size, series),
    ]


def _moving(view: View, size: int, series: int, times: int) -> list[float]:
    """Microseconds of each question about a window that moves on between, while events come in."""
    generator, position = random.Random(1), 10**9
    step = HOUR // size * EVENTS_BETWEEN
    which = 0 if series == 1 else None
    taken = []
    for number in range(1, times + 1):
        now = NOW + number * step
        for late in [generator.randrange(HOUR)] + [0] * (EVENTS_BETWEEN - 1):
            position += 1
            view.add(generator.randrange(series), now - late, generator.gauss(100, 15), position)
        started = time.perf_counter_ns()
        finished(view.percentiles(which, Span(NOW - HOUR, AFTER + number * step), FOUR))
        taken.append((time.perf_counter_ns() - started) / 1000)
    return taken


def _peers(view: View, size: int, series: int) -> list[str]:
    """numpy's partition and the statistics module about the same values."""
    if series > 1:
        return ["", ""]
    values = np.concatenate([columns[2] for columns in view.windows[0].between(NOW - HOUR, NOW)])
    ranks = FOUR.ranks(len(values))
    patience = max(3, min(100, 10**7 // size))
    partition = microseconds(lambda: np.partition(values, ranks), patience)
    if size > MODULE_AT_MOST:
        return [f"{partition:,.0f}", "-"]
    listed = values.tolist()
    return [
        f"{partition:,.0f}",
        f"{microseconds(lambda: statistics.quantiles(listed, n=1000), max(3, patience // 10)):,.0f}",
    ]


def histories(size: int, series: int) -> list[list[str]]:
    """Rows of the second table."""
    view, which = view_of(size, series=series), 0 if series == 1 else None
    rows = []
    for points in (120, 2000):
        step = HOUR // points
        edges = range((NOW - HOUR) // step * step, NOW + 2 * step, step)
        for wanted in (None, FOUR):
            taken = _best(lambda edges=edges, wanted=wanted: _history(view, which, list(edges), wanted))  # type: ignore[misc]
            what = f"{points:,} points" + (", four percentiles each" if wanted else "")
            name = "one series" if series == 1 else f"all {series:,} series"
            rows.append([what, name, f"{size:,}", f"{taken.whole:.1f} ms", f"{taken.longest:.1f} ms"])
    return rows


def _history(view: View, which: int | None, edges: list[int], wanted: Percentiles | None) -> Portions:
    return in_portions(view.history(which, NOW - HOUR + 1, NOW, edges, wanted=wanted))


def rankings(series: int, size: int) -> list[list[str]]:
    """Rows of the third table."""
    view = view_of(size, series=series)
    span = Span(NOW - HOUR, NOW - 10 * MINUTE)
    rows = []
    for statistic, name in (("mean", "mean"), ("stddev", "stddev"), (Percentiles((percent("99"),)), "p99")):
        taken = _best(lambda statistic=statistic: in_portions(_ranking(view, series, span, statistic)))  # type: ignore[misc]
        what = f"{series:,} series of {size // series:,} events by {name}"
        rows.append([what, f"{taken.whole:,.0f} ms", f"{taken.longest:.1f} ms"])
    return rows


def _ranking(view: View, series: int, span: Span, statistic: str | Percentiles) -> Steps[list[int]]:
    assert span.after is not None

    def score(number: int) -> Steps[float | None]:
        if isinstance(statistic, Percentiles):
            return (yield from view.percentiles(number, span, statistic))[0]
        value: float | None = getattr(view.tail(number, span.after, span.cutoff, None, False).summary, statistic)
        return value

    with view.snapshots.take(view.horizon, range(series), score) as scores:
        yield from scores.find_all()
    return first_by([scores[number] for number in range(series)], 10, descending=True)


def _best(work: Callable[[], Portions]) -> Portions:
    """The median of five, and the longest portion of that one."""
    return sorted(work() for _ in range(5))[2]


def main() -> None:
    """Measure and print all tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.percentiles", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="everything once, small")
    quick = parser.parse_args().quick
    times = 3 if quick else 1000
    print("p50, p90, p99 and p99.9 together, in microseconds: of a window that moves on, with 99 new events and a late")
    print("one before each question; of any window, each time another; and the very first question, in portions.\n")
    kinds = (
        [(10**3, 1), (10**3, 10)] if quick else [*((10**power, 1) for power in range(3, 8)), (10**6, 10), (10**6, 1000)]
    )
    show(
        [
            "of",
            "events",
            "moving",
            "p99",
            "any",
            "first",
            "its longest portion",
            "np.partition",
            "statistics.quantiles",
        ],
        [questions(size, series, times) for size, series in kinds],
    )
    print("\nA window of an hour in steps\n")
    sizes = [(10**3, 1)] if quick else [(10**6, 1), (10**7, 1), (10**6, 10)]
    show(["what", "of", "events", "in all", "longest portion"], [row for kind in sizes for row in histories(*kind)])
    print("\nThe first ten\n")
    shapes = [(10, 10**3)] if quick else [(10_000, 10**6), (10_000, 10**7)]
    show(["what", "in all", "longest portion"], [row for shape in shapes for row in rankings(*shape)])
    print("\nAn event where nobody asked for percentiles\n")
    show(["what", "median", "at most"], single_adds(500 if quick else 200_000))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
