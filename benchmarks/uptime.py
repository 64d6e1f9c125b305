"""The size of the log over a long uptime, the clock driven: `python -m benchmarks.uptime`.

Days of traffic run through a service in minutes: its clock is moved on, and what a worker does in the
background once a second is done once for each step. `--quick` runs fewer hours.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.table import machine, show
from event_log.files.store import FilesStore
from event_log.log_time import Moment
from event_service import EventService
from settings import Settings
from times import HOUR, MINUTE, SECOND

STEP = 10 * SECOND
SERIES = [f"s{i}" for i in range(100)]
ROWS = 6
MAX_BYTES = 8 * 1024**3


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_750_948_200 * SECOND

    def __call__(self) -> int:
        return self.now

    def moment(self) -> Moment:
        """The same, as a log in files asks for it."""
        return Moment(self.now, self.now)


def singles(service: EventService, step: int) -> None:
    """Ten events a second, one a request, of a few series at a time: each is silent for most of the day."""
    now = service.clock()
    busy = step // 360 % 10 * 10
    for i in range(100):
        service.add(SERIES[busy + i % 10], now - i * STEP // 100, float(i))


def batches(service: EventService, step: int) -> None:
    """A batch of 10,000 of one series every ten seconds, and a snapshot of all series."""
    now = service.clock()
    service.add_many([SERIES[step % 10]], None, now - np.arange(10_000) * 100, np.arange(10_000.0))
    which = np.arange(len(SERIES), dtype=np.uint32)
    service.add_many(SERIES, which, np.full(len(SERIES), now), np.arange(float(len(SERIES))))


def run(write: Callable[[EventService, int], None], hours: int) -> Iterator[Sequence[str]]:
    """Rows of the table, at even distances over the uptime."""
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        store = FilesStore(Path(folder, "log"), max_bytes=MAX_BYTES, sync="never", clock=clock.moment)
        service = EventService(store, Settings(), clock)
        steps = hours * HOUR // STEP
        busy = 0.0
        for step in range(1, steps + 1):
            write(service, step)
            clock.now += STEP
            start = time.process_time()
            while service.tick():
                pass
            store.sync()
            busy += time.process_time() - start
            if step % (steps // ROWS) == 0:
                yield row(service, store, step * STEP // MINUTE, busy / service.position())
        store.close()


def row(service: EventService, store: FilesStore, minutes: int, cost: float) -> list[str]:
    """Return the row of the log as it is now."""
    live = sum(info.count for info in service.series(limit=len(SERIES))[0])
    size = store.usage().bytes_used
    start = time.process_time()
    EventService(store, Settings(), service.clock).ready()
    replay = time.process_time() - start
    return [
        f"{minutes / 60:.0f} h",
        f"{service.position():,}",
        f"{live:,}",
        f"{size / 1024**2:.1f} MiB",
        f"{size / live:.0f}",
        f"{replay * 1000:.0f} ms",
        f"{cost * 1e6:.1f} µs",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer hours")
    hours = 3 if parser.parse_args().quick else 24
    head = [
        "uptime",
        "accepted",
        "live",
        "on disk",
        "bytes a live event",
        "CPU of a start",
        "CPU an event",
    ]
    print("Ten events a second one by one, ten of a hundred series at a time:\n")
    show(head, run(singles, hours))
    print("\nEvery ten seconds a batch of 10,000 and one event of each of a hundred series:\n")
    show(head, run(batches, hours))
    print(f"\nRetention 1 h, the last 1,000 of each series kept. {machine()}")


if __name__ == "__main__":
    main()
