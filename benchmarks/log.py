"""The shared log without HTTP: appending, following, and replay at the start: `python -m benchmarks.log`.

Every process is a worker: it appends events one by one and follows what all have appended, as a worker that
is asked all the time does. `--quick` only shows that it works.
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import fmean
from threading import Thread

import numpy as np

from benchmarks.table import machine, show
from event_log.base import START
from event_log.batch import Batch
from event_log.lmdb_log import LmdbLog
from event_service import EventService
from settings import Settings
from times import HOUR, wall_clock

SERIES = [f"s{i}" for i in range(100)]
BATCH = 10_000
FOLLOW_EVERY = 20
"""So many appends of each worker lie between two questions to it."""
MAX_BYTES = 8 * 1024**3

Costs = tuple[float, float, float]
"""Seconds for each append, seconds for each event followed, seconds in all."""


def worker(path: Path, appends: int, start: Barrier, done: SimpleQueue[Costs]) -> None:
    """Append and follow; the costs go to `done`."""
    log = LmdbLog(path, max_bytes=MAX_BYTES)
    service = EventService(log, Settings())
    followed = appending = following = 0.0
    for name in SERIES:
        log.append_one(name, wall_clock(), 0.0)
    start.wait()
    place = service.statistics().position
    begin = time.perf_counter()
    for number in range(0, appends, FOLLOW_EVERY):
        before = time.perf_counter()
        for i in range(number, number + FOLLOW_EVERY):
            log.append_one(SERIES[i % len(SERIES)], wall_clock(), float(i))
        between = time.perf_counter()
        position = place
        place = service.statistics().position
        appending += between - before
        following += time.perf_counter() - between
        followed += place - position
    done.put((appending / appends, following / followed, time.perf_counter() - begin))
    log.close()


def with_processes(processes: int, appends: int) -> list[str]:
    """A row of the first table."""
    context = multiprocessing.get_context("fork")
    start, done = context.Barrier(processes), context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        workers = [context.Process(target=worker, args=(Path(folder), appends, start, done)) for _ in range(processes)]
        for process in workers:
            process.start()
        costs = [done.get() for _ in workers]
        for process in workers:
            process.join()
    append, follow, total = (fmean(column) for column in zip(*costs, strict=True))
    rate = processes * appends / total
    return [str(processes), f"{append * 1e6:.1f} µs", f"{follow * 1e6:.2f} µs", f"{rate:,.0f}/s"]


def singles(log: LmdbLog, events: int) -> None:
    """Events of the last hour, one a record, in turn over all series."""
    start = wall_clock() - HOUR + 600_000_000
    for i in range(events):
        log.append_one(SERIES[i % len(SERIES)], start + i * 10, i / 7)


def batches(log: LmdbLog, events: int) -> None:
    """Batches of one series each, in turn over all series, every value at a time of its own."""
    start = wall_clock() - HOUR + 600_000_000
    values = np.random.default_rng(1).normal(100, 15, BATCH)
    for i in range(0, events, BATCH):
        log.append(Batch([SERIES[i // BATCH % len(SERIES)]], None, start + np.arange(i, i + BATCH), values))


def snapshots(log: LmdbLog, events: int) -> None:
    """Batches over all series, as a market would send them."""
    start = wall_clock() - HOUR + 600_000_000
    values = np.random.default_rng(1).normal(100, 15, len(SERIES))
    which = np.arange(len(SERIES), dtype=np.uint32)
    for i in range(0, events, len(SERIES)):
        log.append(Batch(SERIES, which, start + i * 10, values))


REPLAYS = (
    ("one event a record", singles, 1_000_000, "300,000/s"),
    ("10,000 events of a series a record", batches, 10_000_000, "5,000,000/s"),
    ("one event of each series a record", snapshots, 2_000_000, ""),
)


def replays(part: float) -> Iterator[Sequence[str]]:
    """The rows of the second table."""
    for name, write, events, bar in REPLAYS:
        events = int(events * part) // BATCH * BATCH
        with tempfile.TemporaryDirectory() as folder:
            log = LmdbLog(Path(folder), max_bytes=MAX_BYTES, sync="never")
            write(log, events)
            log.close()  # which settles all; the next use opens it again
            reading, building = _read(log), _replay(log)
            size = Path(folder, "settled", "data.mdb").stat().st_size / events
            log.close()
        rates = [f"{events / seconds:,.0f}/s" for seconds in (reading, building)]
        yield [name, f"{events:,}", f"{size:.1f}", *rates, bar]


def _read(log: LmdbLog) -> float:
    start, events = time.perf_counter(), log.read(START, 200_000)
    while events.more:
        events = log.read(events.place, 200_000)
    return time.perf_counter() - start


def _replay(log: LmdbLog) -> float:
    start = time.perf_counter()
    EventService(log, Settings()).ready()
    return time.perf_counter() - start


def together(clients: int, each: int) -> Sequence[str]:
    """A row of the third table: clients that wait for the disk, each in a thread."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        log = LmdbLog(Path(folder), max_bytes=MAX_BYTES, sync="always")
        log.append_one(SERIES[0], 0, 0.0)
        threads = [
            Thread(target=lambda: [log.append_one(SERIES[0], 0, 0.0) for _ in range(each)]) for _ in range(clients)
        ]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begin
        log.close()
    return [str(clients), f"{clients * each / seconds:,.0f}/s", f"{seconds / each * 1e3:.1f} ms"]


UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys
from benchmarks.log import together
print("|".join(together(int(sys.argv[1]), int(sys.argv[2]))))
"""


def with_greenlets(clients: int, each: int) -> Sequence[str]:
    """The same with greenlets, as the workers have them."""
    command = [sys.executable, "-c", UNDER_GEVENT, str(clients), str(each)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    count, *figures = done.stdout.strip().split("|")
    return [f"{count} under gevent", *figures]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the work")
    part = 0.02 if parser.parse_args().quick else 1.0
    appends = int(50_000 * part)
    print(f"Events appended one by one, synced once a second, each worker asked after {FOLLOW_EVERY} of its own:\n")
    head = ["processes", "one append", "following one event", "appends of all, while following"]
    show(head, [with_processes(processes, appends) for processes in (1, 2, 4)])
    print("\nReplay by a worker that starts, over 100 series:\n")
    show(["records", "events", "bytes each", "read and verified", "and made a view", "must reach"], replays(part))
    print("\nEvents appended one by one with SYNC=always, on this disk:\n")
    always = [together(clients, int(200 * part)) for clients in (1, 50)]
    show(["clients", "all together", "one append"], [*always, with_greenlets(50, int(200 * part))])
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
