"""One process of `benchmarks.log`: it measures the log of the checkout on its path."""

from __future__ import annotations

import sys

if "waiting" in sys.argv:
    from gevent import monkey

    monkey.patch_all()

import json
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from statistics import median, quantiles
from threading import Thread
from typing import Any

import numpy as np

from event_service import EventService
from settings import Settings
from times import HOUR, MINUTE, wall_clock

FOLLOW_EVERY = 20
"""Appends of each process between two questions to it."""
CLIENTS = 50
SERIES = [f"s{i}" for i in range(100)]
BATCH = 10_000
MAX_BYTES = 8 * 1024**3

Figures = dict[str, float]


class Files:
    """The log in files."""

    def __init__(self, folder: Path, sync: str) -> None:
        from event_log.files.store import FilesStore
        from event_log.log import Log
        from event_log.rules import Rules

        store = self._store = FilesStore(folder, max_bytes=MAX_BYTES, sync=sync)
        log = self._log = Log(store)
        log.claim(Rules(HOUR, 1000, HOUR, MINUTE, 10_000, 10), "start")
        self.append = lambda value: log.append_one(SERIES[int(value) % 100], wall_clock(), value)
        self.ask = lambda: store.is_level(log.machine.cursor)

    def append_many(self, number: int, times: Any, values: Any) -> None:
        from event_log.batch import Batch

        self._log.append(Batch([SERIES[number % 100]], None, times, values))

    def append_once(self, key: bytes) -> None:
        from event_log.batch import Batch
        from event_log.writes import Conditions, Once

        if self._log.recall(key) is None:
            self._log.append(Batch(["s0"], None, wall_clock(), np.ones(1)), Conditions(once=Once(key, key)))

    def compact(self) -> None:
        from event_log.compaction import compact
        from event_log.log import Log
        from view.level import Level

        level = Level(Log(self._store))
        while self._store.manifest().cursor.number < self._store.end().number:
            assert compact(self._store, level.judge)

    def follow(self) -> None:
        while self._log.read().more:
            pass

    def read_all(self) -> None:
        """Read it as a new process does."""
        from event_log.log import Log

        log = Log(self._store)
        while log.read().more:
            pass

    def service(self) -> EventService:
        return EventService(self._store, Settings(log_max_bytes=MAX_BYTES))

    def event_bytes(self) -> float:
        """The size of a live event, once compacted."""
        from event_log.compaction import Content

        parts = Content.of(self._store.manifest()).parts
        return sum(len(self._store.blob(part.name)) for part in parts) / sum(part.rows for part in parts)

    def record_bytes(self) -> float:
        """The size of an idempotency record, once compacted."""
        from event_log.compaction import Content
        from event_log.idempotency import Run

        blobs = [self._store.blob(name) for name in Content.of(self._store.manifest()).runs]
        return sum(map(len, blobs)) / sum(len(Run(blob)) for blob in blobs)

    def close(self) -> None:
        self._store.close()


class Lmdb:
    """The log on LMDB, as it was at 838a7fa."""

    def __init__(self, folder: Path, sync: str) -> None:
        from event_log.base import START, Batch  # type: ignore[import-not-found, unused-ignore]
        from event_log.lmdb_log import LmdbLog  # type: ignore[import-not-found, unused-ignore]

        log = self._log = LmdbLog(folder, max_bytes=MAX_BYTES, sync=sync)
        self._batch, self._start = Batch, START
        self._place: Any = START
        self.append = lambda value: log.append_one(SERIES[int(value) % 100], wall_clock(), value)
        self.ask = lambda: log.read(self._place)

    def append_many(self, number: int, times: Any, values: Any) -> None:
        self._log.append(self._batch([SERIES[number % 100]], None, times, values))

    def append_once(self, key: bytes) -> None:
        from event_log.base import Once, Terms  # type: ignore[import-not-found, unused-ignore]

        now = wall_clock()
        if self._log.recall(key, now) is None:
            terms = Terms(once=Once(key, key, b"", now, now + HOUR))
            self._log.append(self._batch(["s0"], None, now, np.ones(1)), terms)

    def compact(self) -> None:
        self._log.close()  # which settles all; the next use opens it again

    def follow(self) -> None:
        self._place = self._read(self._place)

    def read_all(self) -> None:
        """Read it as a new process does."""
        self._read(self._start)

    def _read(self, place: Any) -> Any:
        more = True
        while more:
            events = self._log.read(place, 200_000)
            place, more = events.place, events.more
        return place

    def service(self) -> EventService:
        return EventService(self._log, Settings())

    def close(self) -> None:
        self._log.close()


def appends(log: Any, count: int) -> Figures:
    """Append one by one, and follow as a worker does that is asked now and then."""
    clock, costs = time.perf_counter, []
    for number in range(len(SERIES)):
        log.append(number)
    log.follow()
    begin, cpu = clock(), time.process_time()
    for number in range(count):
        before = clock()
        log.append(number)
        costs.append(clock() - before)
        if number % FOLLOW_EVERY == 0:
            log.follow()
    cuts, seconds = quantiles(costs, n=100), clock() - begin
    cpu = time.process_time() - cpu
    return {"p50": cuts[49] * 1e6, "p99": cuts[98] * 1e6, "cpu": cpu / count * 1e6, "rate": count / seconds}


def reading(log: Any, count: int) -> Figures:
    """Read single events as columns, and again compacted; then find that nothing is new."""
    for number in range(count):
        log.append(number)
    tail = timed(log.read_all)
    log.compact()
    compacted = timed(log.read_all)
    log.follow()
    nothing = timed(lambda: [log.ask() for _ in range(10_000)])
    return {"tail": count / tail / 1e6, "compacted": count / compacted / 1e6, "ask": nothing * 100}


def replay(log: Any, count: int) -> Figures:
    """Append batches, and start a worker on them: what reading takes, and all of it."""
    start = wall_clock() - HOUR + 10 * MINUTE
    values = np.random.default_rng(1).normal(100, 15, BATCH)
    batches = max(1, count // BATCH)

    def append() -> None:
        for number in range(batches):
            log.append_many(number, start + np.arange(number * BATCH, (number + 1) * BATCH), values)

    appended = timed(append) / (batches * BATCH)
    log.compact()
    size = log.event_bytes() if isinstance(log, Files) else 0.0
    read = timed(log.read_all)
    ready = timed(lambda: log.service().ready())
    return {"batched": appended * 1e9, "live": size, "read": read, "ready": ready}


def once(log: Any, count: int) -> Figures:
    """Write under a key each, and then again under the same ones."""
    keys = [blake2b(b"%d" % number, digest_size=16).digest() for number in range(count)]
    log.append(0)
    cpu = time.process_time()
    first = [timed(partial(log.append_once, key), time.perf_counter) for key in keys]
    cpu = time.process_time() - cpu
    again = [timed(partial(log.append_once, key), time.perf_counter) for key in keys]
    log.compact()
    size = log.record_bytes() if isinstance(log, Files) else 0.0
    return {"first": median(first) * 1e6, "spent": cpu / count * 1e6, "again": median(again) * 1e6, "bytes": size}


def waiting(log: Any, count: int) -> Figures:
    """Append by clients that wait for the disk, each in a greenlet."""
    log.append(0)
    threads = [Thread(target=lambda: [log.append(0) for _ in range(count)]) for _ in range(CLIENTS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"rate": CLIENTS * count / (time.perf_counter() - begin)}


def timed(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Seconds that some work takes, of CPU: on a busy machine that is steadier."""
    begin = clock()
    work()
    return clock() - begin


def main() -> None:
    kind, measure, folder, count = sys.argv[1:5]
    work = {"appends": appends, "reading": reading, "replay": replay, "once": once, "waiting": waiting}[measure]
    log = (Files if kind == "files" else Lmdb)(Path(folder), "always" if measure == "waiting" else "never")
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(work(log, int(count))), flush=True)
    sys.stdin.readline()
    log.close()


if __name__ == "__main__":
    main()
