"""A hundred million values in one symbol, through HTTP: `python -m benchmarks.symbols`.

Loads batches of 10,000 into /dialects/batches, then asks for the last 10**k values on every worker, restarts
the server, asks again, and compares. `--values` loads fewer, `--workers` starts more.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import numpy as np
import orjson

from benchmarks.table import machine, show
from tests.servers import Server

BATCH = 10_000
BODIES = 50
"""Number of different batches, sent in turn: enough that the client is not what is measured."""
QUESTIONS = 200
BAR = 40


def bodies() -> list[bytes]:
    """Batches of a random walk, ready to send."""
    walk = 100 + np.random.default_rng(1).normal(0, 0.01, BODIES * BATCH).cumsum()
    return [orjson.dumps({"symbol": "X", "values": part.tolist()}) for part in np.split(walk, BODIES)]


def send(url: str, values: int) -> float:
    """Load that many values over one connection; values a second."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    ready = bodies()
    start = time.perf_counter()
    for number in _with_progress(values // BATCH):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/dialects/batches/add_batch/", ready[number % BODIES], headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 201:
            raise SystemExit(f"batch {number} was answered {answer.status}")
    return values / (time.perf_counter() - start)


def _with_progress(batches: int) -> Iterator[int]:
    for number in range(batches):
        if number % 100 == 0 or number == batches - 1:
            done = BAR * (number + 1) // batches
            bar = "#" * done + "." * (BAR - done)
            print(f"\r  [{bar}] {(number + 1) * BATCH:>11,} values", end="", file=sys.stderr, flush=True)
        yield number
    print(file=sys.stderr)


def ask(server: Server, k: int) -> tuple[bytes, float]:
    """The statistics of the last 10**k values, and the median time of a question in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    times = []
    for _ in range(QUESTIONS):
        start = time.perf_counter()
        connection.request("GET", f"/dialects/batches/stats/X/{k}")
        body = connection.getresponse().read()
        times.append(time.perf_counter() - start)
    return body, median(times) * 1000


def _on_each_worker(server: Server, k: int) -> set[bytes]:
    return set(server.ask_each_worker(lambda: server.get(f"/dialects/batches/stats/X/{k}").content))


def own_memory(server: Server) -> list[int]:
    """The bytes of memory that each worker holds for itself; pages of the log that it has mapped are not among
    them: the system takes those back when it wants."""
    return [_anonymous(Path(f"/proc/{pid}/status").read_text()) for pid in server.workers()]


def _anonymous(status: str) -> int:
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))
    return int(kilobytes) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=10**8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a hundredth of it, only to see that it works")
    options = parser.parse_args()
    if options.quick:
        options.values //= 100
    with Server(["-w", str(options.workers)]) as server:
        empty = own_memory(server)
        rate = send(server.url, options.values)
        _on_each_worker(server, 8)  # let every view catch up
        answers = {k: ask(server, k) for k in range(1, 9)}
        agree = all(_on_each_worker(server, k) == {body} for k, (body, _) in answers.items())
        grown = [max(now - then, 0) for now, then in zip(own_memory(server), empty, strict=True)]
        size = sum(file.stat().st_blocks * 512 for file in Path(server.directory, "log").iterdir())
        server.stop()
        start = time.perf_counter()
        server.start()
        restart = time.perf_counter() - start
        same = all(ask(server, k)[0] == answers[k][0] for k in answers)
    values = options.values
    print(f"{values:,} values in one symbol, {options.workers} worker(s), shared log. {machine()}\n")
    rows = [
        ("load through HTTP, one connection", f"{rate / 1e6:.1f} million values/s"),
        ("memory of a worker", f"{max(grown) / 1e6:,.0f} MB ({max(grown) / values:.1f} bytes a value)"),
        ("log on disk", f"{size / 1e6:,.0f} MB ({size / values:.1f} bytes a value)"),
        ("restart until ready", f"{restart:.1f} s ({values / restart / 1e6:.0f} million values/s)"),
        ("all workers agree", "yes" if agree else "NO"),
        ("same answers after the restart", "yes" if same else "NO"),
    ]
    show(("what", "measured"), rows)
    print()
    show(
        ("k", "values", "question over HTTP"),
        [(k, orjson.loads(a)["values"], f"{ms:.2f} ms") for k, (a, ms) in answers.items()],
    )
    if not (agree and same):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
