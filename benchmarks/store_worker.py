"""One process of `benchmarks.stores`: it imports the store that is measured from the checkout on its path."""

from __future__ import annotations

import sys

if "gevent" in sys.argv:
    from gevent import monkey

    monkey.patch_all()

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from threading import Thread
from typing import Any

FOLLOW_EVERY = 20
CLIENTS = 50


class Files:
    """The store on files."""

    def __init__(self, folder: Path, sync: str) -> None:
        from event_log.codec import SINGLE, pack_single
        from event_log.files.store import FilesStore
        from event_log.port import Guard, Record

        store = FilesStore(folder, max_bytes=2**33, sync=sync)
        self._cursor, self._store = store.manifest().cursor, store
        guard = Guard(self._cursor.history, 2**60, 2**60)

        def append(value: int) -> None:
            store.append(Record(SINGLE, pack_single(1, value, 1.0), 1), guard)

        def append_safely(value: int) -> None:
            store.confirm(store.append(Record(SINGLE, pack_single(1, value, 1.0), 1), guard))

        self.append: Callable[[int], None] = append_safely if sync == "always" else append

    def follow(self) -> int:
        """Read what is new; says how many records."""
        before, more = self._cursor.number, True
        while more:
            chunk = self._store.read(self._cursor, 1_000_000)
            self._cursor, more = chunk.cursor, chunk.more
        return self._cursor.number - before

    def ask(self) -> None:
        """Find that nothing is new."""
        assert self._store.is_level(self._cursor)

    def close(self) -> None:
        self._store.close()


class Lmdb:
    """The log on LMDB, as it was at 838a7fa."""

    def __init__(self, folder: Path, sync: str) -> None:
        from event_log.base import START  # type: ignore[attr-defined, unused-ignore]
        from event_log.lmdb_log import LmdbLog  # type: ignore[import-not-found, unused-ignore]

        self._log: Any = LmdbLog(folder, max_bytes=2**33, sync=sync)
        self._place: Any = START
        self._log.append_one("a", 1, 1.0)
        self.append = lambda value: self._log.append_one("a", value, 1.0)

    def follow(self) -> int:
        """Read what is new; says how many events."""
        count, more = 0, True
        while more:
            events = self._log.read(self._place, 1_000_000)
            count += len(events)
            self._place, more = events.place, events.more
        return count

    def ask(self) -> None:
        """Find that nothing is new."""
        self._log.read(self._place)

    def close(self) -> None:
        self._log.close()


def appends(log: Files | Lmdb, count: int) -> dict[str, float]:
    """Append one by one, follow now and then as a worker that is asked does."""
    clock, costs = time.perf_counter, []
    log.follow()
    begin = clock()
    for number in range(count):
        before = clock()
        log.append(number)
        costs.append(clock() - before)
        if number % FOLLOW_EVERY == 0:
            log.follow()
    cuts = quantiles(costs, n=100)
    return {"p50": cuts[49] * 1e6, "p99": cuts[98] * 1e6, "rate": count / (clock() - begin)}


def reading(log: Files | Lmdb, count: int) -> dict[str, float]:
    """Read single events as columns, then find that nothing is new."""
    for number in range(count):
        log.append(number)
    begin = time.perf_counter()
    read = log.follow()
    between = time.perf_counter()
    for _ in range(10_000):
        log.ask()
    return {"read": read / (between - begin), "ask": (time.perf_counter() - between) * 100}


def waiting(log: Files | Lmdb, count: int) -> dict[str, float]:
    """Clients that wait for the disk, each in a greenlet."""
    threads = [Thread(target=lambda: [log.append(i) for i in range(count)]) for _ in range(CLIENTS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"rate": CLIENTS * count / (time.perf_counter() - begin)}


def main() -> None:
    kind, measure, folder, count = sys.argv[1:5]
    work = {"appends": appends, "reading": reading, "waiting": waiting}[measure]
    sync = "always" if measure == "waiting" else "never"
    log = (Files if kind == "files" else Lmdb)(Path(folder), sync)
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(work(log, int(count))), flush=True)
    sys.stdin.readline()
    log.close()


if __name__ == "__main__":
    main()
