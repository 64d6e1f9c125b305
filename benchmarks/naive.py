"""A scan for each question beside Tidemark's engine: `python -m benchmarks.naive`.

The naive window is what one writes first: a lock, a deque of (time, value), and at each question a prune and a
scan. It also draws docs/images/question-time.svg.
"""

from __future__ import annotations

import argparse
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from benchmarks.table import machine, show
from benchmarks.timing import NOW, hour_of_events, microseconds, view_of
from rolling.span import Span
from rolling.view import View
from times import HOUR

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "question-time.svg"
SIZES = [10**power for power in range(3, 8)]
QUICK_SIZES = SIZES[:2]
MODULE_AT_MOST = 10**5
"""The statistics module takes a second for a hundred thousand events."""
QUESTIONS = 2000
BUDGET_US = 2_000_000
"""Seconds that one measurement may take, roughly."""


class NaiveWindow:
    """A deque of the events of one window, scanned for each question."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._events: deque[tuple[int, float]] = deque()
        self._lock = RLock()

    def add(self, time: int, value: float) -> None:
        """Take in one event."""
        with self._lock:
            self._events.append((time, value))

    def statistics(self, now: int) -> tuple[int, float, float, float]:
        """Count, min, max and mean, by a scan."""
        values = self.values(now)
        return len(values), min(values), max(values), sum(values) / len(values)

    def values(self, now: int) -> list[float]:
        """The values in the window, once what has expired is gone."""
        with self._lock:
            while self._events and self._events[0][0] <= now - self._window:
                self._events.popleft()
            return [value for _, value in self._events]


class Row(NamedTuple):
    """One size of window, and the microseconds of a question to each."""

    events: int
    naive: float
    module: float | None
    ours: float


def measure(size: int, part: float = 1.0) -> Row:
    """Ask each for the statistics of the same events, as often as usual or less."""
    scan, module = measure_naive(size, BUDGET_US * part)
    times = int(QUESTIONS * part)
    view = view_of(size, series=1)
    moments = iter(np.random.default_rng(0).integers(1, HOUR, times + 1).tolist())
    return Row(size, scan, module, microseconds(lambda: ask(view, NOW - next(moments)), times))


def measure_naive(size: int, budget: float) -> tuple[float, float | None]:
    """A question to the deque, and one to the statistics module about the same values."""
    window = NaiveWindow(HOUR)
    for _, times, values in hour_of_events(size, 1, in_order=True):
        for time, value in zip(times.tolist(), values.tolist(), strict=True):
            window.add(time, value)
    scan = _patient(lambda: window.statistics(NOW), size, budget)
    if size > MODULE_AT_MOST:
        return scan, None
    return scan, _patient(lambda: by_module(window.values(NOW)), 50 * size, budget)


def _patient(work: Callable[[], object], size: int, budget: float) -> float:
    """The median of as many calls as there is time for."""
    return microseconds(work, max(3, min(300, int(budget * 10) // size)))


def by_module(values: Sequence[float]) -> tuple[int, float, float, float, float]:
    """Return the figures of Python's statistics module; it rounds the exact mean and variance once, as we do."""
    return len(values), min(values), max(values), statistics.mean(values), statistics.pvariance(values)


def ask(view: View, after: int) -> tuple[int, float | None, float | None, float | None, float | None]:
    """Count, min, max, mean and variance of what is later than `after`, by the engine."""
    summary = view.figures(0, Span(NOW - HOUR, after), ends=False, moves=True).summary
    return summary.count, summary.min, summary.max, summary.mean, summary.variance


def draw(rows: Sequence[Row], path: Path) -> None:
    """Time per question against events, on two logarithmic scales; grey and colours that suit a dark page too."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    grey, lines = "#7d8590", {"naive": ("#d1662f", "a scan of a deque"), "ours": ("#2f81d1", "Tidemark")}
    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "tidemark",
        "font.family": "sans-serif",
        "font.size": 12,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale="log")
        events = [row.events for row in rows]
        for name, (colour, label) in lines.items():
            axes.plot(events, [getattr(row, name) for row in rows], "o-", color=colour, linewidth=2.5)
            place = {"naive": (events[-2], rows[-2].naive), "ours": (events[-2], rows[-2].ours)}[name]
            axes.annotate(label, place, (-12, 10), textcoords="offset points", color=colour, ha="right", weight="bold")
        axes.set_xlabel("events in the window", color=grey)
        axes.set_ylabel("time of one question", color=grey)
        axes.set_yticks([10.0**power for power in range(1, 7)], ["10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s"])
        axes.set_xticks(events, [f"{count:,}" for count in events])
        axes.minorticks_off()
        axes.tick_params(colors=grey)
        axes.grid(color=grey, alpha=0.25)
        for side, spine in axes.spines.items():
            spine.set_visible(side in {"left", "bottom"})
            spine.set_color(grey)
        figure.savefig(path, transparent=True, metadata={"Date": None})


def main() -> None:
    """Measure, print the table and draw the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.naive", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few questions to two small sizes, no picture")
    parser.add_argument("--picture", type=Path, help="where to draw it (default: docs/images/question-time.svg)")
    arguments = parser.parse_args()
    rows = [measure(size, 0.02) for size in QUICK_SIZES] if arguments.quick else list(map(measure, SIZES))
    print("One question about a window, median in microseconds. The deque is asked for count, min, max and mean of all")
    print("its events; the module for those and the variance; Tidemark for those too, of a random window each time.\n")
    show(["events", "deque", "statistics module", "Tidemark", "deque / Tidemark"], map(_cells, rows))
    print(f"\n{machine()}")
    picture = arguments.picture or (None if arguments.quick else PICTURE)
    if picture is not None:
        draw(rows, picture)


def _cells(row: Row) -> list[str]:
    module = "-" if row.module is None else f"{row.module:,.0f}"
    return [f"{row.events:,}", f"{row.naive:,.0f}", module, f"{row.ours:,.1f}", f"{row.naive / row.ours:,.1f}"]


if __name__ == "__main__":
    main()
