"""The engine without log and HTTP: writes, questions, memory: `python -m benchmarks.engine`.

Everything runs on one core. A write here is what a worker does for an event that it reads from the log.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import count
from statistics import median

import numpy as np

from benchmarks import memory, questions
from benchmarks.naive import NaiveWindow
from benchmarks.table import machine, show
from benchmarks.timing import KEEP, NOW, fill, hour_of_events, microseconds, seconds, take
from rolling.block import Times
from rolling.shared_block import Ids
from rolling.view import View
from times import HOUR

BATCH = 10_000
ROUNDS = 5
Work = Callable[[], object]


def view_with(series: int, size: int = 100_000) -> View:
    """Return a view that has `size` events already, and takes more from position 10**9 on."""
    view = View(KEEP)
    fill(view, hour_of_events(size, series, in_order=True))
    return view


def single_adds(times: int) -> list[list[str]]:
    """One event at a time: on time, late by up to an hour, and to the naive deque."""
    random = np.random.default_rng(1)
    lateness = random.integers(0, HOUR, times + 1).tolist()
    return [
        ["one event, on time", f"{_single(times, [0] * (times + 1)):.2f} µs", "3 µs"],
        ["one event, late by up to an hour", f"{_single(times, lateness):.2f} µs", ""],
        ["one event to a deque behind a lock", f"{_naive_add(times):.2f} µs", "(peer)"],
    ]


def _single(times: int, lateness: list[int]) -> float:
    view, positions = view_with(10), count(10**9)
    late = iter(lateness)

    def add() -> None:
        position = next(positions)
        view.add(position % 10, NOW + position - next(late), 12.34, position)

    return _each(add, times)


def _naive_add(times: int) -> float:
    window, positions = NaiveWindow(HOUR), count()
    return _each(lambda: window.add(NOW + next(positions), 12.34), times)


def _each(work: Work, times: int) -> float:
    """Microseconds a call, by many in a row, since one is too short to be timed; the median of five rounds."""

    def round_of_them() -> None:
        for _ in range(times // ROUNDS):
            work()

    return median(seconds(round_of_them) for _ in range(ROUNDS)) / (times // ROUNDS) * 1e6


def batches(times: int) -> list[list[str]]:
    """Ten thousand values at once, of every kind; all but the last kind come at the newest end."""
    random = np.random.default_rng(2)
    one = np.zeros(BATCH, np.uint32)
    ten = random.integers(0, 10, BATCH).astype(np.uint32)
    shuffled = random.permutation(BATCH)
    late = -random.integers(0, HOUR, BATCH)
    kinds = [
        ("one series, one instant", one, np.zeros(BATCH, np.int64), "600 µs"),
        ("one series, in order", one, np.arange(BATCH), "600 µs"),
        ("one series, in no order", one, shuffled, ""),
        ("ten series, in order", ten, np.arange(BATCH), ""),
        ("ten series, in no order", ten, shuffled, ""),
        ("ten series, late by up to an hour", ten, late, ""),
    ]
    return [[f"10,000 events, {name}", f"{_batch(times, ids, at):,.0f} µs", goal] for name, ids, at, goal in kinds]


def _batch(times: int, ids: Ids, at: Times) -> float:
    view, numbers = view_with(10), count(10**5)
    values = np.random.default_rng(3).normal(100, 15, BATCH)

    def add() -> None:
        position = next(numbers) * BATCH
        take(view, ids, NOW + position + at, values, position)

    return microseconds(add, times)


def rates(size: int) -> list[list[str]]:
    """Events a second: a symbol loaded in batches, and replays as a starting worker does them."""
    loaded = seconds(lambda: _load(size)) / size
    rows = [[f"loading {size:,} values into one series, 10,000 at a time", f"{1 / loaded / 1e6:.1f} million/s", "15"]]
    for series in (1, 10, 100):
        for in_order in (True, False):
            portions = list(hour_of_events(size // 4, series, in_order=in_order))
            view = view_with(series, 0)
            taken = seconds(lambda view=view, portions=portions: fill(view, iter(portions)))  # type: ignore[misc]
            order = "in order" if in_order else "in no order"
            rows.append([f"replay, {series} series, {order}", f"{size / 4 / taken / 1e6:.1f} million/s", ""])
    return rows


def _load(size: int) -> None:
    view, ids = view_with(1, 0), np.zeros(BATCH, np.uint32)
    values = np.random.default_rng(3).normal(100, 15, BATCH)
    for position in range(1, size, BATCH):
        take(view, ids, np.full(BATCH, NOW + position), values, position)


def footprint(events: int, series: int) -> list[list[str]]:
    """Resident memory for each event and for each idle series."""
    rows = [
        [f"an event of {events:,} over 10 series, {name}", f"{memory.resident(filling, events):.1f} bytes", goal]
        for name, filling, goal in (
            ("in order", "events_in_order", "28"),
            ("in no order", "events_in_no_order", "28"),
            ("one by one", "events_one_by_one", "28"),
        )
    ]
    for name, filling in (("one event", "series_of_one"), ("five events", "series_of_five")):
        taken = memory.resident(filling, series) / 1024
        rows.append([f"an idle series of {series:,}, with {name}", f"{taken:.2f} KB", "4"])
    return rows


def main() -> None:
    """Measure and print all tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="everything once, small")
    quick = parser.parse_args().quick
    print("Writes\n")
    show(
        ["what", "median", "at most / at least"],
        [
            *single_adds(500 if quick else 200_000),
            *batches(1 if quick else 100),
            *rates(40_000 if quick else 20_000_000),
        ],
    )
    sizes = [10**power for power in range(3, 5 if quick else 8)]
    print(
        "\nA question for count, min, max and mean: median in microseconds (at most 80, largest / smallest at most 2)\n"
    )
    show(
        ["question", "series", "arrival", *(f"{size:,} events" for size in sizes), "largest / smallest"],
        questions.rows(sizes, 20 if quick else 1000),
    )
    print("\nMemory\n")
    show(["for", "resident", "at most"], footprint(*((10_000, 100) if quick else (5_000_000, 10_000))))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
