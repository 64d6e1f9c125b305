"""Percentiles, history and rankings by the engine, without log and HTTP: `python -m benchmarks.percentiles`.

Each percentile is compared with what numpy and the statistics module make of the same values in the same run.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.engine import single_adds
from benchmarks.table import machine, show
from benchmarks.timing import NOW, microseconds, view_of
from rolling.percentiles import Percentiles, percent
from rolling.ranking import first_by
from rolling.reading import Reading
from rolling.span import Span
from rolling.view import View
from times import HOUR, MINUTE
from view.asking import SECONDS

FOUR = Percentiles(tuple(percent(text) for text in ("50", "90", "99", "99.9")))
MODULE_AT_MOST = 10**6
EVENTS_BETWEEN = 100
"""New events before each question; one of them is late."""
AFTER = NOW - HOUR + HOUR // 1000
"""The window begins here, and moves on with the events that come in."""


class Taken(NamedTuple):
    """Milliseconds that some work took in all and in its longest turn."""

    whole: float
    longest: float


def in_turns(view: View, question: Callable[[Reading], object]) -> Taken:
    """Put a question to a snapshot, timing how long it keeps others waiting."""
    began = before = time.perf_counter()
    longest = 0.0

    def pause() -> None:
        nonlocal before, longest
        now = time.perf_counter()
        if now - before >= SECONDS:
            before, longest = now, max(longest, now - before)

    snapshot = view.snapshot()
    snapshot.pause_by(pause)
    question(snapshot)
    now = time.perf_counter()
    snapshot.close()
    return Taken((now - began) * 1000, max(longest, now - before) * 1000)


def questions(size: int, series: int, times: int) -> list[str]:
    """A row of the first table: one series that has all events, or all of several series."""
    view, which = view_of(size, series=series), 0 if series == 1 else None
    first = in_turns(view, lambda reading: reading.percentiles(which, Span(NOW - HOUR, AFTER), FOUR))
    taken = _moving(view, size, series, times)
    random_windows = iter(np.random.default_rng(3).integers(1, HOUR, times + 1).tolist())
    anew = microseconds(lambda: view.percentiles(which, Span(NOW - HOUR, NOW - next(random_windows)), FOUR), times)
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
        view.percentiles(which, Span(NOW - HOUR, AFTER + number * step), FOUR)
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


def _history(view: View, which: int | None, edges: list[int], wanted: Percentiles | None) -> Taken:
    return in_turns(view, lambda reading: reading.history(which, NOW - HOUR + 1, NOW, edges, wanted=wanted))


def rankings(series: int, size: int) -> list[list[str]]:
    """Rows of the third table."""
    view = view_of(size, series=series)
    span = Span(NOW - HOUR, NOW - 10 * MINUTE)
    rows = []
    for statistic, name in (("mean", "mean"), ("stddev", "stddev"), (Percentiles((percent("99"),)), "p99")):
        taken = _best(lambda statistic=statistic: in_turns(view, partial(_ranking, series, span, statistic)))  # type: ignore[misc]
        what = f"{series:,} series of {size // series:,} events by {name}"
        rows.append([what, f"{taken.whole:,.0f} ms", f"{taken.longest:.1f} ms"])
    return rows


def _ranking(series: int, span: Span, statistic: str | Percentiles, reading: Reading) -> list[int]:
    wanted = statistic if isinstance(statistic, Percentiles) else None
    values: list[float | None] = []
    for number in range(series):
        found = reading.figures(number, span, ends=False, wanted=wanted)
        values.append(found.percentiles[0] if wanted else getattr(found.summary, str(statistic)))
        reading.pause()
    return first_by(values, 10, descending=True)


def _best(work: Callable[[], Taken]) -> Taken:
    """The median of five, and the longest turn of that one."""
    return sorted(work() for _ in range(5))[2]


def main() -> None:
    """Measure and print all tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.percentiles", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="everything once, small")
    quick = parser.parse_args().quick
    times = 3 if quick else 1000
    print("p50, p90, p99 and p99.9 together, in microseconds: of a window that moves on, with 99 new events and a late")
    print("one before each question; of any window, each time another; and the very first question, in turns.\n")
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
            "its longest turn",
            "np.partition",
            "statistics.quantiles",
        ],
        [questions(size, series, times) for size, series in kinds],
    )
    print("\nA window of an hour in steps\n")
    sizes = [(10**3, 1)] if quick else [(10**6, 1), (10**7, 1), (10**6, 10)]
    show(["what", "of", "events", "in all", "longest turn"], [row for kind in sizes for row in histories(*kind)])
    print("\nThe first ten\n")
    shapes = [(10, 10**3)] if quick else [(10_000, 10**6), (10_000, 10**7)]
    show(["what", "in all", "longest turn"], [row for shape in shapes for row in rankings(*shape)])
    print("\nAn event where nobody asked for percentiles\n")
    show(["what", "median", "at most"], single_adds(500 if quick else 200_000))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
