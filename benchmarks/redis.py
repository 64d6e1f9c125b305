"""The log on Redis beside the log on LMDB: `python -m benchmarks.redis`.

Over HTTP both are measured in turn, with one worker and with four, which for Redis are those of two hosts; then what
Redis spends on an append, what an event takes there, and how long a fresh worker takes to read it all. Redis runs where
the system puts it; the half millisecond comes from a relay, see `benchmarks/far.py`. `--quick` only shows
that it works.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from redis import Redis

from benchmarks.far import cpu_of, far_from
from benchmarks.http import _POST, ALL_CORES, CONNECTIONS, ONE_CORE, SHARED, Layout, Load, load, serving
from benchmarks.table import machine, show
from event_log.base import START, Events
from event_log.records import pack_one
from event_log.redis.scripts import APPEND
from event_log.redis.session import call
from event_log.redis.url import parse_redis_url
from event_log.redis_log import RedisLog
from event_log.rules import Rules
from event_service import EventService
from settings import Settings
from tests.redis_server import RedisServer
from times import HOUR, wall_clock

SERIES = [f"s{i}" for i in range(100)]
FOUR = ("4 on lmdb:", "2 and 2 on redis:")
FAR = "redis: and 0.5 ms"
LEAST = {"redis:": "0.9", FAR: "0.8", FOUR[1]: "0.85"}
"""What is to be reached of the log on LMDB."""
AT_ONCE = 500
Row = tuple[str, str, str]
Runs = dict[tuple[str, str], list[Load]]


def over_http(redis: RedisServer, seconds: int, rounds: int) -> tuple[Runs, list[Row]]:
    """All runs by server and endpoint; what Redis spent on each POST, and how far away it was."""
    runs: Runs = {}
    spent: list[float] = []
    relayed: list[float] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        far = stack.enter_context(far_from(redis.port, ONE_CORE.client))
        for number in range(rounds):
            for name, url in (
                ("lmdb:", f"lmdb:{folder}/{number}"),
                ("redis:", f"redis://127.0.0.1:{redis.port}/0?name=near{number}"),
                (FAR, f"redis://127.0.0.1:{far.port}/0?name=far{number}"),
            ):
                print(f"  round {number + 1} of {rounds}: {name}", file=sys.stderr)
                with serving(SHARED._replace(log=url), ONE_CORE, Path(folder)) as server:
                    before, relay = cpu(redis), cpu_of(far.pid)
                    runs.setdefault((name, "POST"), []).append(load(f"{server}/event", seconds, ONE_CORE, _POST))
                    if name == "redis:":
                        spent.append((cpu(redis) - before) / (runs[name, "POST"][-1].rate * seconds))
                    runs.setdefault((name, "GET"), []).append(load(f"{server}/statistics", seconds, ONE_CORE))
                    if name == FAR:
                        relayed.append((cpu_of(far.pid) - relay) / (2 * seconds))
    return runs, [
        ("Redis' CPU, a POST over HTTP", f"{median(spent) * 1e6:.1f} us", "<= 15"),
        (f"a round trip more in {FAR!r}", f"{far.distance * 1000:.2f} ms", ""),
        ("CPU of what makes it so, of wrk's core", f"{median(relayed):.0%}", ""),
    ]


def four_workers(redis: RedisServer, seconds: int, rounds: int) -> Runs:
    """Four workers of one host on LMDB, and two of each of two hosts on Redis; half of the load to each host."""
    runs: Runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            url = f"redis://127.0.0.1:{redis.port}/0?name=hosts{number}"
            for name, urls, workers in (
                (FOUR[0], [f"lmdb:{folder}/four{number}"], 4),
                (FOUR[1], [url, url], 2),
            ):
                print(f"  round {number + 1} of {rounds}: {name}", file=sys.stderr)
                layout = ALL_CORES._replace(workers=workers)
                with ExitStack() as stack:
                    kinds = [SHARED._replace(log=one) for one in urls]
                    servers = [stack.enter_context(serving(kind, layout, Path(folder))) for kind in kinds]
                    for method, path, own in (("POST", "event", _POST), ("GET", "statistics", "")):
                        halves = [f"{servers[half % len(servers)]}/{path}" for half in range(2)]
                        runs.setdefault((name, method), []).append(load_both(halves, seconds, layout, own))
    return runs


def load_both(urls: Sequence[str], seconds: int, layout: Layout, script: str) -> Load:
    """Half of the connections to each, at once."""
    with ThreadPoolExecutor(len(urls)) as pool:
        halves = list(pool.map(lambda url: load(url, seconds, layout, script, CONNECTIONS // len(urls)), urls))
    return Load(sum(half.rate for half in halves), *(max(times) for times in list(zip(*halves, strict=True))[1:]))


def cpu(redis: RedisServer) -> float:
    with redis.client() as client:
        used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def fill(log: RedisLog, events: int) -> None:
    """Events of the last hour, one a record, in turn over all series, many scripts to a round trip."""
    start = wall_clock() - HOUR + 600_000_000
    for name in SERIES:
        log.append_one(name, start, 0.0)
    keys, stand = log._keys, log._series.registry.stand
    for first in range(0, events, AT_ONCE):
        records = [pack_one(i % len(SERIES), start + i * 10, i / 7) for i in range(first, first + AT_ONCE)]
        log._writes.ask(
            lambda session, records=records, first=first: [  # type: ignore[misc]
                call(
                    APPEND,
                    (keys.head, keys.stream, keys.tokens),
                    *(session.stamp, session.name, stand, str((first + i) * 2**40 + 2**61), 1, record, 2**40),
                )
                for i, record in enumerate(records)
            ]
        )


def fresh_worker(redis: RedisServer, events: int) -> Iterator[Row]:
    """What it takes Redis to hold so many single events, and a worker to take them in."""
    with redis.client() as client:
        client.flushall()
        client.config_set("slowlog-log-slower-than", 500)
        client.config_resetstat()
        before, spent = client.info("memory")["used_memory"], cpu(redis)
        log = RedisLog(parse_redis_url(redis.url("name=fresh")), max_bytes=2**40)
        log.claim(Rules(HOUR, 1000), "start")
        fill(log, events)
        yield "Redis' CPU, an append of 500 together", f"{(cpu(redis) - spent) / events * 1e6:.1f} us", ""
        taken = (client.info("memory")["used_memory"] - before) / events
        yield "memory in Redis, a single event", f"{taken:.1f} bytes", "<= 45"
        client.slowlog_reset()
        reading = timed(lambda: read_all(log))
        service = EventService(RedisLog(parse_redis_url(redis.url("name=fresh")), max_bytes=2**40), Settings())
        building = timed(lambda: wait_ready(service))
        longest = max([entry["duration"] for entry in client.slowlog_get(128)], default=500) / 1000
        yield f"{events:,} single events read and verified", f"{reading:.2f} s", ""
        yield "and made a fresh view", f"{building:.2f} s", "<= 3"
        yield "longest that Redis was held by a command of it", f"{longest:.1f} ms", "<= 10"
        service.close()
        yield "memory in Redis, a kept event", f"{kept(log, client, before):.1f} bytes", "<= 45"
        longest = max([entry["duration"] for entry in client.slowlog_get(128)], default=500) / 1000
        yield "longest that Redis was held by cleaning", f"{longest:.1f} ms", ""
        log.close()


def kept(log: RedisLog, client: Redis, before: int) -> float:
    """The bytes of each event once the mark has passed all, and all are kept."""
    while log.clean(wall_clock(), lambda series: (-(2**63), 0), log.position()):
        pass
    used = client.info("memory")["used_memory"] - before
    count = sum(len(part) for part in portions(log))
    return float(used / count)


def portions(log: RedisLog) -> Iterator[Events]:
    place, more = START, True
    while more:
        found = log.read(place, 200_000)
        place, more = found.place, found.more
        yield found


def read_all(log: RedisLog) -> None:
    for _ in portions(log):
        pass


def wait_ready(service: EventService) -> None:
    while not service.ready():
        pass


def timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ratios(runs: Runs) -> Iterator[tuple[str, ...]]:
    """A line for each server and endpoint."""
    for (name, method), own in runs.items():
        base = median(run.rate for run in runs["4 on lmdb:" if name in FOUR else "lmdb:", method])
        rate, p99 = median(run.rate for run in own), median(run.p99_ms for run in own)
        least = f">= {LEAST[name]}" if name in LEAST else ""
        yield name, method, f"{rate:,.0f}/s", f"{rate / base:.2f}", least, f"{p99:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, only to see that it works")
    parser.add_argument("--only", choices=("http", "four", "fresh"), help="one of its parts")
    options = parser.parse_args()
    seconds, rounds, events = (1, 1, 20_000) if options.quick else (3, 3, 1_000_000)
    parts = ("http", "four", "fresh") if options.only is None else (options.only,)
    with RedisServer() as redis:
        runs, figures = over_http(redis, seconds, rounds) if "http" in parts else ({}, [])
        if "four" in parts:
            runs |= four_workers(redis, seconds, rounds)
        if runs:
            show(("log", "request", "median", "to lmdb:", "must reach", "p99"), list(ratios(runs)))
            print()
        if "fresh" in parts:
            figures += fresh_worker(redis, events)
        if figures:
            show(("measured", "", "must reach"), figures)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
