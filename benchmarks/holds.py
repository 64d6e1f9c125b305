"""How long a request, a stream or a start keeps the others of its worker waiting: `python -m benchmarks.holds`.

One gevent worker on one core, with millions of events in its log. A process of its own asks `/health/live` every
millisecond over one connection; how long the slowest answer took, while another client keeps asking something else,
is how long that held the worker (and what the machine did meanwhile: the first row is the probe alone).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from select import select
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from benchmarks.http import ONE_CORE, SHARED, serving
from benchmarks.table import machine, show

BATCH = 10_000
LARGE = "large"
"""The series with most of the events."""
QUIET = 10_000
"""How many series have but a few events each, about to expire."""
PAUSE_SECONDS = 0.001


class Hold(NamedTuple):
    """What the probe saw while something was asked, in milliseconds."""

    asked: int
    typical: float
    p99: float
    longest: float


class Fill(NamedTuple):
    """How many events the log begins with: of one series, and of many."""

    large: int
    of_quiet_series: int


FULL = Fill(2_500_000, 500_000)
QUICK = Fill(200_000, 20_000)


def fill(url: str, events: Fill) -> None:
    """Post them, in order and in time."""
    with requests.Session() as session:
        for _ in range(0, events.large, BATCH):
            values = [round(random.lognormvariate(3, 1), 2) for _ in range(BATCH)]
            _post(session, url, {"series": LARGE, "values": values})
        stamp = (datetime.now(UTC) - timedelta(minutes=59)).isoformat()
        for start in range(0, events.of_quiet_series, BATCH):
            numbers = range(start, min(start + BATCH, events.of_quiet_series))
            rows = [{"series": f"quiet {n % QUIET}", "timestamp": stamp, "value": float(n)} for n in numbers]
            _post(session, url, rows)


def _post(session: requests.Session, url: str, body: object) -> None:
    packed = json.dumps(body).encode()
    answer = session.post(f"{url}/events", packed, headers={"Content-Type": "application/json"})
    if not answer.ok:
        raise SystemExit(answer.text)


@contextmanager
def probing(url: str) -> Iterator[list[float]]:
    """Asks `/health/live` all the while; the list holds the milliseconds of each answer after the `with`."""
    found: list[float] = []
    probe = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.holds", "--probe", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert probe.stdout is not None
    probe.stdout.readline()  # it has begun
    try:
        yield found
    finally:
        printed, _ = probe.communicate()
        found += json.loads(printed)


def probe(url: str) -> None:
    """What runs in the probe's process, until its standard input is closed."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
    latencies = []
    print("begun", flush=True)
    while not select([sys.stdin], [], [], 0)[0]:
        start = time.perf_counter()
        connection.request("GET", "/health/live")
        connection.getresponse().read()
        latencies.append((time.perf_counter() - start) * 1000)
        time.sleep(PAUSE_SECONDS)
    print(json.dumps(latencies))


def hold(url: str, ask: Callable[[], None], seconds: float) -> Hold:
    """The holds while `ask` is called again and again, at least once, for about so long."""
    asked = 0
    with probing(url) as latencies:
        end = time.monotonic() + seconds
        while asked == 0 or time.monotonic() < end:
            ask()
            asked += 1
    ordered = sorted(latencies)
    return Hold(asked, median(ordered), ordered[int(len(ordered) * 0.99)], ordered[-1])


def questions(url: str) -> dict[str, Callable[[], None]]:
    """What clients can ask, each in a way that makes it hard."""
    session = requests.Session()
    now = datetime.now(UTC)

    def get(path: str) -> Callable[[], None]:
        return lambda: _checked(session.get(url + path, timeout=60))

    def post(path: str, make: Callable[[], Any]) -> Callable[[], None]:
        return lambda: _checked(session.post(url + path, json=make(), timeout=60))

    def stream(path: str, count: int, **headers: str) -> Callable[[], None]:
        return lambda: read_stream(url + path, count, headers)

    def unordered() -> object:
        stamps = [(now - timedelta(seconds=random.uniform(0, 3000))).isoformat() for _ in range(BATCH)]
        return {"series": "unordered", "timestamps": stamps, "values": [random.random() for _ in stamps]}

    return {
        "nothing": lambda: time.sleep(0.1),
        "POST /event": post("/event", lambda: {"timestamp": datetime.now(UTC).isoformat(), "value": 1.5}),
        "POST /events, 10,000 in columns": post("/events", lambda: {"values": [random.random() for _ in range(BATCH)]}),
        "POST /events, 10,000 out of order": post("/events", unordered),
        "POST /events, 10,000 of 10,000 series": post(
            "/events",
            lambda: [{"series": f"quiet {n}", "timestamp": now.isoformat(), "value": 1} for n in range(BATCH)],
        ),
        "GET /statistics": get("/statistics"),
        "GET /statistics, a window anew each time": lambda: get(f"/statistics?window={random.uniform(1, 3000):.6f}")(),
        "GET /statistics?last=, all series, behind the retention": get("/statistics?last=100000000"),
        f"GET /statistics/{LARGE}?last=, anew": lambda: get(f"/statistics/{LARGE}?last={random.randint(1, 10**6)}")(),
        "GET /series, 1,000 of them": get("/series?limit=1000"),
        "GET /dialects/tickers/api/v1/tickers": get("/dialects/tickers/api/v1/tickers"),
        "GET /series/<series>/events, 1,000": get(f"/series/{LARGE}/events?limit=1000"),
        f"/series/{LARGE}/stream?after=0": stream(f"/series/{LARGE}/stream?after=0", 100_000),
        "/series/<none>/stream?after=0": stream("/series/none/stream?after=0", 0),
        "/series/<quiet>/stream?after=0": stream("/series/quiet%207/stream?after=0", 1),
        "/stream?last=250000&interval=0.1": stream("/stream?last=250000&interval=0.1", 5),
        "GET /openapi.json": get("/openapi.json"),
    }


def _checked(answer: requests.Response) -> None:
    if answer.status_code >= 500:
        raise SystemExit(f"{answer.status_code}: {answer.text[:500]}")


def read_stream(url: str, count: int, headers: dict[str, str]) -> None:
    """Open a stream, read so many of its events as fast as they come, and leave."""
    with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
        seen = 0
        with suppress(StopIteration):
            chunks = answer.iter_content(None)
            while seen <= count:
                piece = next(chunks)
                seen += piece.count(b"\nevent: ") or count == 0


def measure(events: Fill, seconds: float) -> dict[str, Hold]:
    """Every question in turn; then a start of the worker on that log."""
    found = {}
    os.environ["TIDEMARK_MAX_SERIES"] = str(2 * QUIET)
    os.environ["TIDEMARK_MAX_WAIT"] = "0"  # holds are to be seen, not to be refused
    with tempfile.TemporaryDirectory() as directory:
        kind = SHARED._replace(log=f"lmdb:{directory}/log")
        with serving(kind, ONE_CORE, Path(directory)) as url:
            print(f"  filling: {sum(events):,} events", file=sys.stderr)
            fill(url, events)
            for name, ask in questions(url).items():
                print(f"  {name}", file=sys.stderr)
                found[name] = hold(url, ask, seconds)
        with serving(kind, ONE_CORE, Path(directory), ready="/health/live") as url:
            session = requests.Session()
            print("  a start", file=sys.stderr)
            found["the first GET /statistics after a start"] = hold(
                url, lambda: _checked(session.get(f"{url}/statistics", timeout=120)), 0.0
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few events, only to see that it works")
    parser.add_argument("--probe", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe:
        probe(arguments.probe)
        return
    events = QUICK if arguments.quick else FULL
    found = measure(events, 0.5 if arguments.quick else 3.0)
    print(f"One gevent worker on one core, {sum(events):,} events in the log. {machine()}\n")
    show(
        ("meanwhile", "asked", "/health/live p50", "p99", "longest"),
        [
            (name, f"{hold.asked:,}", f"{hold.typical:.1f} ms", f"{hold.p99:.1f} ms", f"{hold.longest:.1f} ms")
            for name, hold in found.items()
        ],
    )


if __name__ == "__main__":
    main()
