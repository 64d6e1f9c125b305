"""Memory that a view takes of the machine: resident bytes, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import psutil

from benchmarks.timing import KEEP, NOW, fill, hour_of_events
from rolling.view import View

SERIES = 10


def events_in_order(view: View, size: int) -> int:
    """Take in `size` events over a few series, in order."""
    return fill(view, hour_of_events(size, SERIES, in_order=True))


def events_in_no_order(view: View, size: int) -> int:
    """Take in `size` events over a few series, in random order."""
    return fill(view, hour_of_events(size, SERIES, in_order=False))


def events_one_by_one(view: View, size: int) -> int:
    """Take in `size` events over a few series, each on its own."""
    position = 0
    for ids, times, values in hour_of_events(size, SERIES, in_order=True):
        for series, time, value in zip(ids.tolist(), times.tolist(), values.tolist(), strict=True):
            position += 1
            view.add(series, time, value, position)
    return position


def series_of_one(view: View, size: int) -> int:
    """Take in `size` series with one event each."""
    return _idle(view, size, 1)


def series_of_five(view: View, size: int) -> int:
    """Take in `size` series with a handful of events each."""
    return _idle(view, size, 5)


FILLINGS = {
    filling.__name__: filling
    for filling in (events_in_order, events_in_no_order, events_one_by_one, series_of_one, series_of_five)
}


def resident(filling: str, size: int) -> float:
    """Resident bytes that each event, or each idle series, adds to a process."""
    command = [sys.executable, "-m", "benchmarks.memory", filling, str(size)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _idle(view: View, series: int, events: int) -> int:
    generator = np.random.default_rng(1)
    for event in range(events):
        for number, value in enumerate(generator.normal(100, 15, series).tolist()):
            position = event * series + number + 1
            view.add(number, NOW - 3600 + position, value, position)
    return series


def main() -> None:
    """Fill a view as the first argument says and print what each thing in it takes."""
    filling, size = FILLINGS[sys.argv[1]], int(sys.argv[2])
    warm = View(KEEP)  # stays, so that neither code and buffers used once nor room it left behind count
    filling(warm, size // 10)
    process = psutil.Process()
    before = process.memory_info().rss
    view = View(KEEP)
    count = filling(view, size)
    print((process.memory_info().rss - before) / count)


if __name__ == "__main__":
    main()
