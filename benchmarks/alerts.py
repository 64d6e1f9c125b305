"""Cost of a look at many alerts: `python -m benchmarks.alerts`.

1,000 rules of patterns over ten series each make 10,000 alerts, a tenth of them of p99, over windows of a minute; there
are a million live events, and 1,000 come in a second. CPU time of one process, which does nothing else.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from alerts.board import Board
from alerts.evaluation import Evaluator
from alerts.rows import RULES, pack_rules
from benchmarks.table import machine, show
from event_log import aside
from event_log.log_time import Moment
from event_log.memory_store import MemoryStore
from event_log.tables import Change
from event_service import EventService
from serving.garbage import Survivors
from settings import Settings
from times import SECOND

RATE = 1_000
SERIES_A_RULE = 10
WARM = 3
"""Number of looks before those that are measured."""


class Clock:
    """Moves when it is told to."""

    now = 1_750_948_200 * SECOND

    def __call__(self) -> int:
        return self.now

    def moment(self) -> Moment:
        """The same for a store."""
        return Moment(self.now, self.now)


def rules(count: int) -> list[dict[str, Any]]:
    """A tenth of p99, the others of mean and count in turn; few of them fire."""
    statistics = ["p99", *(["mean", "count"] * 5)[:9]]
    return [
        {
            "name": f"rule {number}",
            "series": f"group{number:04}/*",
            "statistic": (statistic := statistics[number % 10]),
            "window": "1m",
            "above": 1e6 if statistic == "count" else 0.9995,
            "for": "10s",
        }
        for number in range(count)
    ]


def seconds_of_events(service: EventService, clock: Clock, series: list[str], seconds: int) -> Iterator[None]:
    """Store the events of `seconds`, one batch for each second."""
    random = np.random.default_rng(24)
    for _ in range(seconds):
        clock.now += SECOND
        ids = random.integers(0, len(series), RATE).astype(np.uint32)
        used, indexes = np.unique(ids, return_inverse=True)
        times = clock.now - np.sort(random.integers(0, SECOND, RATE))[::-1]
        names = [series[number] for number in used.tolist()]
        service.add_many(names, indexes.astype(np.uint32), times, random.random(RATE))
        while service.advance():
            pass
        yield


class Holds:
    """The longest CPU time between two moments of a look at which others may go first."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._since = 0.0

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the rests of what is done meanwhile: stands in for `give_way`'s module `time`."""
        self._since = time.thread_time()
        setattr(aside, "time", self)  # noqa: B010 - a stand-in is no module
        try:
            yield
        finally:
            setattr(aside, "time", time)  # noqa: B010
        self.sleep(0.0)

    def sleep(self, seconds: float) -> None:
        """Do not rest, but note that others may go first now."""
        now = time.thread_time()
        self.longest = max(self.longest, now - self._since)
        self._since = now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def measure(rule_count: int, events: int, looks: int) -> list[list[str]]:
    """A row for each figure."""
    clock = Clock()
    service = EventService(MemoryStore(clock.moment), Settings(max_series=100_000), clock)
    series = [f"group{rule:04}/{number}" for rule in range(rule_count) for number in range(SERIES_A_RULE)]
    load = seconds_of_events(service, clock, series, events // RATE + WARM + looks)
    for _ in range(events // RATE):
        next(load)
    service.change([Change(RULES, RULES, pack_rules(rules(rule_count), {}, clock.now))])
    board = Board(service)
    evaluator, holds, first = Evaluator(service, board), Holds(), Holds()
    Survivors().begin()  # as in a worker
    costs = []
    for look in range(WARM + looks):
        next(load)
        began = time.process_time()
        with (holds if look else first).noted():
            evaluator.look()
        costs.append(time.process_time() - began)
    Survivors.end()
    alerts = len(board.standing().targets)
    cost = sum(costs[WARM:]) / looks
    return [
        [f"a look at {alerts:,} alerts, once a second", f"{100 * cost:.1f} % of a core", "15 %"],
        ["the first look", f"{1000 * costs[0]:.0f} ms", ""],
        ["the longest that others wait for the first look", f"{1000 * first.longest:.1f} ms", "20 ms"],
        ["the longest that others wait for a look", f"{1000 * holds.longest:.1f} ms", "20 ms"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few alerts: only shows that it works")
    quick = parser.parse_args().quick
    rows = measure(20, 20_000, 2) if quick else measure(1_000, 1_000_000, 30)
    print(machine())
    show(["", "here", "at most"], rows)


if __name__ == "__main__":
    main()
