"""Events that the Python client sends in a second: `python -m benchmarks.sending`.

A program sends events of 50 series one by one, each with its own `send`, and `flush` returns once the server has
acknowledged all; one gevent worker stores them. Counted is the processor time of the client's process, all its threads,
and that of the server's processes; beside them the time that passed.
"""

from __future__ import annotations

import argparse
import random
import time
from statistics import median

import psutil

from benchmarks.table import machine, show
from tests.servers import Server
from tidemark import Tidemark

EVENTS = 50_000
SERIES = [f"web/{number:02}" for number in range(50)]
RUNS = 3


def run(server: Server, events: int) -> tuple[float, float, float]:
    """Send `count` events; return the seconds of the client's processor, of the server's, and of the clock."""
    generator = random.Random(events)
    values = [(generator.choice(SERIES), generator.gauss(100, 9)) for _ in range(events)]
    with Tidemark(server.url) as tidemark:
        tidemark.send(*values[0])
        tidemark.flush(60)
        before, spent, began = _spent(server), time.process_time(), time.perf_counter()
        for series, value in values:
            tidemark.send(series, value)
        counts = tidemark.flush(300)
        took = time.process_time() - spent, _spent(server) - before, time.perf_counter() - began
    if counts.stored != events + 1:
        raise SystemExit(f"{counts.stored} of {events + 1} events were stored")
    return took


def _spent(server: Server) -> float:
    processes = [psutil.Process(pid) for pid in (server.process.pid, *server.workers())]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sending", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once only, and fewer events")
    events, runs = (5_000, 1) if parser.parse_args().quick else (EVENTS, RUNS)
    with Server(["-w", "1"]) as server:
        server.wait_for_workers(1)
        found = [median(column) for column in zip(*(run(server, events) for _ in range(runs)), strict=True)]
    names = ("client, processor", "server, processor", "both, on one core", "time passed, both together")
    client, served, passed = found
    show(
        ["of", "µs an event", "events a second"],
        [
            [name, f"{seconds / events * 1e6:.1f}", f"{events / seconds:,.0f}"]
            for name, seconds in zip(names, (client, served, client + served, passed), strict=True)
        ],
    )
    print(f"\n{events:,} events of {len(SERIES)} series, a `send` each; medians of {runs}. {machine()}")


if __name__ == "__main__":
    main()
