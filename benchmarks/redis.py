"""The log on Redis beside the log on LMDB: `python -m benchmarks.redis`.

Over HTTP both are measured in turn, with one worker and with four, which for Redis are those of two hosts; then what
Redis spends on an append, what an event takes there, and how long a fresh worker takes to read it all. Redis runs where
the system puts it. `--quick` only shows that it works.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from threading import Thread

from redis import Redis

from benchmarks.http import _POST, ALL_CORES, ONE_CORE, SHARED, Load, load, serving
from benchmarks.table import machine, show
from event_log.base import START, Events, Rules
from event_log.records import pack_one
from event_log.redis_log import RedisLog
from event_log.redis_scripts import APPEND
from event_log.redis_session import call
from event_log.redis_url import parse_redis_url
from event_service import EventService
from settings import Settings
from tests.redis_server import RedisServer
from times import HOUR, wall_clock

SERIES = [f"s{i}" for i in range(100)]
ONE_WAY = 0.00025
FOUR = ("4 on lmdb:", "2 and 2 on redis:")
AT_ONCE = 500
Runs = dict[tuple[str, str], list[Load]]


@contextmanager
def delayed(port: int) -> Iterator[int]:
    """A port that leads to another one with half a millisecond of round trip more."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 18):
                time.sleep(ONE_WAY)
                sink.sendall(data)
        except OSError:
            pass  # one side has gone
        finally:
            sink.close()

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", port))
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for ends in ((near, far), (far, near)):
                Thread(target=pump, args=ends, daemon=True).start()

    Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def over_http(redis: RedisServer, seconds: int, rounds: int) -> tuple[Runs, float]:
    """All runs by server and endpoint; the seconds of CPU that Redis spent on each POST."""
    runs: Runs = {}
    spent: list[float] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        far = stack.enter_context(delayed(redis.port))
        for number in range(rounds):
            for name, url in (
                ("lmdb:", f"lmdb:{folder}/{number}"),
                ("redis:", f"redis://127.0.0.1:{redis.port}/0?name=near{number}"),
                ("redis: and 0.5 ms", f"redis://127.0.0.1:{far}/0?name=far{number}"),
            ):
                print(f"  round {number + 1} of {rounds}: {name}", file=sys.stderr)
                with serving(SHARED._replace(log=url), ONE_CORE, Path(folder)) as server:
                    before = cpu(redis)
                    runs.setdefault((name, "POST"), []).append(load(f"{server}/event", seconds, ONE_CORE, _POST))
                    if name == "redis:":
                        spent.append((cpu(redis) - before) / (runs[name, "POST"][-1].rate * seconds))
                    runs.setdefault((name, "GET"), []).append(load(f"{server}/statistics", seconds, ONE_CORE))
    return runs, median(spent)


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
                        found = [load(f"{server}/{path}", seconds, layout, own) for server in servers]
                        runs.setdefault((name, method), []).append(median_load(found))
    return runs


def median_load(loads: list[Load]) -> Load:
    return Load(*(median(column) for column in zip(*loads, strict=True)))


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


def fresh_worker(redis: RedisServer, events: int) -> Iterator[tuple[str, str, str]]:
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, only to see that it works")
    parser.add_argument("--only", choices=("http", "four", "fresh"), help="one of its parts")
    options = parser.parse_args()
    seconds, rounds, events = (1, 1, 20_000) if options.quick else (3, 3, 1_000_000)
    with RedisServer() as redis:
        if options.only in (None, "http", "four"):
            runs, spent = over_http(redis, seconds, rounds) if options.only != "four" else ({}, 0.0)
            if options.only != "http":
                runs |= four_workers(redis, seconds, rounds)
            rows = []
            for (name, method), own in runs.items():
                beside = "4 on lmdb:" if name in FOUR else "lmdb:"
                base = median(run.rate for run in runs[beside, method])
                rate, p99 = median(run.rate for run in own), median(run.p99_ms for run in own)
                rows.append((name, method, f"{rate:,.0f}/s", f"{rate / base:.2f}", f"{p99:.1f} ms"))
            show(("log", "request", "median", "to lmdb:", "p99"), rows)
            print(f"\nRedis' CPU: {spent * 1e6:.1f} us a POST (must stay below 15).\n")
        if options.only in (None, "fresh"):
            show(("measured", "", "must reach"), list(fresh_worker(redis, events)))
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
