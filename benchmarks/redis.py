"""The log on Redis beside the log in files: `python -m benchmarks.redis`.

Over HTTP both are measured in turn, with one worker and with four, those of two hosts; then what Redis spends on an
append, what an event takes there, and how long a worker that starts takes to read it all. Redis runs where the system
puts it; the half millisecond comes from a relay, see `benchmarks/far.py`. `--peer FOLDER` measures a checkout of commit
838a7fa on Redis in turn with it. `--quick` only shows that it works.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.far import far_from
from benchmarks.http import (
    _POST,
    ALL_CORES,
    CONNECTIONS,
    ONE_CORE,
    SHARED,
    Kind,
    Layout,
    Load,
    cpu_seconds,
    load,
    running,
)
from benchmarks.table import machine, show
from event_log.compaction import compact
from event_log.log import Log
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from event_service import EventService
from settings import Settings
from tests.redis_server import RedisServer
from times import HOUR, wall_clock
from view.level import Level

SERIES = [f"s{i}" for i in range(100)]
CLIENTS = 50
MAX_BYTES = 2**40
LOADS = (("POST", "event", _POST), ("GET", "statistics", ""))
Row = tuple[str, str, str]


class Case(NamedTuple):
    """A service, on one host or on several."""

    name: str
    hosts: Sequence[Kind]
    layout: Layout


class Measured(NamedTuple):
    """One run."""

    load: Load
    cpu_us: float
    """CPU time of the service's processes for each request, in microseconds."""
    redis_us: float
    """That of Redis."""


Runs = dict[tuple[str, str], list[Measured]]
"""By case and request."""


def cases(redis: RedisServer, far: int, number: int, peer: Path | None) -> Iterator[Case]:
    """All that are measured in one round."""
    two_hosts = ALL_CORES._replace(workers=2)
    near, distant = f"redis://127.0.0.1:{redis.port}/0", f"redis://127.0.0.1:{far}/0"
    yield Case("file:", [SHARED], ONE_CORE)
    for version, checkout in (("", SHARED.checkout), *((("838a7fa: ", peer),) if peer else ())):
        for name, url, hosts, layout in (
            ("redis:", near, 1, ONE_CORE),
            ("redis: and 0.5 ms", distant, 1, ONE_CORE),
            ("2 and 2 workers on redis:", near, 2, two_hosts),
        ):
            log = f"{url}?name={checkout.name}-{layout.workers}-{url == near}-{number}"
            yield Case(version + name, [SHARED._replace(log=log, checkout=checkout)] * hosts, layout)
    yield Case("4 workers on file:", [SHARED], ALL_CORES)


def measured(case: Case, redis: RedisServer, folder: Path, seconds: int) -> Iterator[tuple[str, Measured]]:
    """A run of each load."""
    with ExitStack() as stack:
        servers = [stack.enter_context(running(kind, case.layout, folder)) for kind in case.hosts]
        for method, path, script in LOADS:
            before, spent = _cpu(servers), redis_cpu(redis)
            halves = [f"{servers[half % len(servers)][0]}/{path}" for half in range(2)]
            found = load_both(halves, seconds, case.layout, script)
            costs = [1e6 * cost / found.requests for cost in (_cpu(servers) - before, redis_cpu(redis) - spent)]
            yield method, Measured(found, *costs)


def _cpu(servers: Sequence[tuple[str, psutil.Process]]) -> float:
    return sum(cpu_seconds(process) for _, process in servers)


def over_http(redis: RedisServer, seconds: int, rounds: int, peer: Path | None) -> Runs:
    """All runs."""
    runs: Runs = {}
    with tempfile.TemporaryDirectory() as folder, far_from(redis.port, ONE_CORE.client) as far:
        print(f"  a round trip takes {far.distance * 1000:.2f} ms more over the relay", file=sys.stderr)
        for number in range(rounds):
            for case in cases(redis, far.port, number, peer):
                print(f"  round {number + 1} of {rounds}: {case.name}", file=sys.stderr)
                for method, one in measured(case, redis, Path(folder), seconds):
                    runs.setdefault((case.name, method), []).append(one)
    return runs


def load_both(urls: Sequence[str], seconds: int, layout: Layout, script: str) -> Load:
    """Half of the connections to each, at once."""
    with ThreadPoolExecutor(len(urls)) as pool:
        halves = list(pool.map(lambda url: load(url, seconds, layout, script, CONNECTIONS // len(urls)), urls))
    slowest = (max(half.p50_ms for half in halves), max(half.p99_ms for half in halves))
    return Load(sum(half.rate for half in halves), *slowest, sum(half.requests for half in halves))


def redis_cpu(redis: RedisServer) -> float:
    """The seconds of CPU that Redis has taken so far."""
    with redis.client() as client:
        used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def fill(log: Log, events: int) -> None:
    """Events of the last hour, one a record, in turn over all series, by many clients at once."""
    start = wall_clock() - HOUR + 600_000_000
    for name in SERIES:
        log.append_one(name, start, 0.0)

    def client(number: int) -> None:
        for i in range(number, events, CLIENTS):
            log.append_one(SERIES[i % len(SERIES)], start + i * 10, i / 7)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))


def starting_worker(redis: RedisServer, events: int) -> Iterator[Row]:
    """Yield what single events cost Redis to hold and a worker to take in; then the same compacted."""
    url = parse_redis_url(redis.url("name=start"))
    with redis.client() as client:

        def memory() -> int:
            return int(client.info("memory")["used_memory"])

        def longest() -> str:
            held = max([entry["duration"] for entry in client.slowlog_get(128)], default=500) / 1000
            client.slowlog_reset()
            return f"{held:.1f} ms"

        client.flushall()
        client.config_set("slowlog-log-slower-than", 500)
        service = EventService(RedisStore(url, max_bytes=MAX_BYTES), Settings())
        service.start()
        before, spent = memory(), redis_cpu(redis)
        fill(service.log, events)
        yield f"Redis' CPU, an append of {CLIENTS} together", f"{(redis_cpu(redis) - spent) / events * 1e6:.1f} µs", ""
        yield "memory in Redis, a single event", f"{(memory() - before) / events:.1f} bytes", ""
        client.slowlog_reset()
        yield f"a worker that starts, {events:,} single events", f"{start_seconds(redis):.2f} s CPU", ""
        yield "longest that Redis was held by that", longest(), "<= 10"
        store = RedisStore(url, max_bytes=MAX_BYTES)
        while store.manifest().cursor.number < store.end().number:
            compact(store, Level(Log(store)).judge)
        yield "longest that Redis was held by a compaction", longest(), "<= 10"
        yield "a worker that starts, compacted", f"{start_seconds(redis):.2f} s CPU", ""
        store.close()
        service.close()


def start_seconds(redis: RedisServer) -> float:
    """CPU seconds that a worker takes to read the log and build its windows."""
    service = EventService(RedisStore(parse_redis_url(redis.url("name=start")), max_bytes=MAX_BYTES), Settings())
    taken = timed(service.ready)
    service.close()
    return taken


def timed(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def rows(runs: Runs) -> Iterator[tuple[str, ...]]:
    """A line for each case and request."""
    for (name, method), own in runs.items():
        base = runs["4 workers on file:" if "2 and 2" in name or name.startswith("4") else "file:", method]
        rate, p99 = median(run.load.rate for run in own), median(run.load.p99_ms for run in own)
        cpu, spent = median(run.cpu_us for run in own), median(run.redis_us for run in own)
        ratio = cpu / median(run.cpu_us for run in base)
        yield name, method, f"{rate:,.0f}/s", f"{p99:.1f} ms", f"{cpu:.0f} µs", f"{ratio:.2f}", f"{spent:.1f} µs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, only to see that it works")
    parser.add_argument("--only", choices=("http", "start"), help="one of its parts")
    parser.add_argument("--peer", type=Path, help="a checkout whose log on Redis is measured too")
    options = parser.parse_args()
    os.environ["TIDEMARK_MAX_WAIT"] = "60s"  # weighed, and none refused, whatever else the machine does
    seconds, rounds, events = (1, 1, 20_000) if options.quick else (3, 3, 300_000)
    with RedisServer() as redis:
        if options.only != "start":
            head = ("log", "request", "median", "p99", "CPU a request", "to that of file:", "Redis' CPU")
            show(head, rows(over_http(redis, seconds, rounds, options.peer)))
            print()
        if options.only != "http":
            show(("measured", "", "must reach"), starting_worker(redis, events))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
