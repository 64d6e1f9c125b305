"""Requests a second, latency and CPU time over HTTP, beside FastAPI peers: `python -m benchmarks.http`.

Twice: one worker on one core with wrk on another, and four workers with wrk beside them. The peer is one
process in both, as it is right for one only; it runs on uvicorn with uvloop and httptools, and without. Rounds
alternate between the servers, so that what else the machine does meets them all; the tables give medians, and ratios
to the quick peer in the same rounds. CPU is that of all processes of a server, divided by the requests: on a machine
that is busy it is steadier than the rate.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
import requests

from benchmarks.table import machine, show
from tests.servers import CHECKOUT, reserve_port, until

CONNECTIONS = 16
PRELOADED = 1000
BATCHES = (1_000, 10_000)
PEER = "FastAPI, uvloop"
BARE_PEER = "FastAPI, h11"
_JSON = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
"""
_POST = f"""{_JSON}
wrk.body = string.format('{{"timestamp": "%s", "value": 12.34, "series": "AAPL"}}', os.date("!%Y-%m-%dT%H:%M:%SZ"))
"""
_BATCH = f"""{_JSON}
local values = {{}}
for i = 1, SIZE do values[i] = string.format("%.2f", 100 + (i * 7919 % 1000) / 100) end
wrk.body = '{{"symbol": "AAPL", "values": [' .. table.concat(values, ", ") .. "]}}"
"""
_IN_TURN = f"""{_POST}
local n = 0
function request()
  n = n + 1
  if n % 2 == 0 then return wrk.format("GET", "/statistics", {{}}, "") end
  return wrk.format()
end
"""
_OTHER_ID = """
local n = 0
function request()
  n = n + 1
  return wrk.format("GET", nil, {["X-Request-ID"] = string.format("%08d-%d", n, os.time())})
end
"""
LOADS = {
    "GET /statistics": ("/statistics", ""),
    "POST /event": ("/event", _POST),
    "POST and GET in turn": ("/event", _IN_TURN),
    "GET, another X-Request-ID each": ("/statistics", _OTHER_ID),
}
"""Path and script by name."""
_GUNICORN = [sys.executable, "-m", "gunicorn", "app:app"]
_UVICORN = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--no-access-log", "benchmarks.peer:app"]


class Layout(NamedTuple):
    """Cores of the server and of wrk; none named: all."""

    title: str
    server: str
    client: str
    workers: int


class Kind(NamedTuple):
    """A server under test."""

    name: str
    command: list[str]
    log: str | None
    """Its LOG_URL; `file:` alone is a log of its own."""
    checkout: Path = CHECKOUT


SHARED = Kind("Tidemark, file:", _GUNICORN, "file:")
ONE_CORE = Layout("One worker on one core, wrk on another", "0", "1", 1)
ALL_CORES = Layout("Four workers on all cores, wrk beside them", "", "", 4)
_PEER = Kind(PEER, [*_UVICORN, "--loop", "uvloop", "--http", "httptools"], None)
_BARE_PEER = Kind(BARE_PEER, [*_UVICORN, "--loop", "asyncio", "--http", "h11"], None)
SERVERS = {
    ONE_CORE: (Kind("Tidemark, memory:", _GUNICORN, "memory:"), SHARED, _PEER, _BARE_PEER),
    ALL_CORES: (SHARED, _PEER),
}


class Load(NamedTuple):
    """One run of wrk."""

    rate: float
    p50_ms: float
    p99_ms: float
    requests: int


class Measured(NamedTuple):
    """A run, and what it cost the server."""

    load: Load
    cpu_us: float
    """CPU time of all its processes for each request, in microseconds."""


@contextmanager
def serving(kind: Kind, layout: Layout, directory: Path, ready: str = "/health/ready") -> Iterator[str]:
    """A server with a log of its own, and its URL, once the path `ready` answers 200."""
    with running(kind, layout, directory, ready) as (url, _):
        yield url


@contextmanager
def running(
    kind: Kind, layout: Layout, directory: Path, ready: str = "/health/ready"
) -> Iterator[tuple[str, psutil.Process]]:
    """The same, and its first process."""
    with reserve_port() as reservation:
        port = str(reservation.getsockname()[1])
        command = [*_pinned(layout.server), *kind.command]
        own = {"HOST": "127.0.0.1", "PORT": port, "WEB_CONCURRENCY": str(layout.workers)}
        if kind.log is None:
            command += ["--port", port, "--workers", "1"]
        else:
            own["TIDEMARK_LOG_URL"] = f"file:{directory / port}" if kind.log == "file:" else kind.log
        server = subprocess.Popen(command, cwd=kind.checkout, env=os.environ | own, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: _ready(url + ready), f"{url} to be ready", 30)
            yield url, psutil.Process(server.pid)
        finally:
            server.terminate()
            server.wait()
            shutil.rmtree(directory / port, ignore_errors=True)


def _pinned(core: str) -> list[str]:
    return ["taskset", "-c", core] if core else []


def _ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def load(url: str, seconds: int, layout: Layout, script: str = "", connections: int = CONNECTIONS) -> Load:
    """Run wrk with a number of connections, and return its measurements; every answer must be a success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        scripted = ["-s", file.name] if script else []
        command = [*_pinned(layout.client), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        printed = subprocess.run([*command, *scripted, url], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in printed:
        raise SystemExit(f"errors from {url}:\n{printed}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    count = re.search(r"(\d+) requests in", printed)
    assert rate is not None
    assert count is not None
    return Load(float(rate[1]), _milliseconds(printed, "50"), _milliseconds(printed, "99"), int(count[1]))


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time of a process and all below it."""
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _milliseconds(printed: str, percentile: str) -> float:
    found = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", printed)
    assert found is not None
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


Runs = dict[tuple[str, str], list[Measured]]
"""By load and server."""


def measure(layout: Layout, seconds: int, rounds: int) -> Runs:
    """All runs of a layout."""
    runs: Runs = {}
    with tempfile.TemporaryDirectory() as directory:
        for number in range(rounds):
            for kind in SERVERS[layout]:
                print(f"  {layout.title}, round {number + 1} of {rounds}: {kind.name}", file=sys.stderr)
                with running(kind, layout, Path(directory)) as (url, process):
                    _preload(url)
                    for name, path, script in _loads(batches=kind.log is not None):
                        before = cpu_seconds(process)
                        found = load(url + path, seconds, layout, script)
                        cpu_us = 1e6 * (cpu_seconds(process) - before) / found.requests
                        runs.setdefault((name, kind.name), []).append(Measured(found, cpu_us))
    return runs


def _loads(*, batches: bool) -> Iterator[tuple[str, str, str]]:
    """Name, path and script of each."""
    for name, (path, script) in LOADS.items():
        yield name, path, script
    for size in BATCHES if batches else ():
        yield f"batch of {size:,} values", "/dialects/batches/add_batch/", _BATCH.replace("SIZE", str(size))


def _preload(url: str) -> None:
    event = json.dumps({"timestamp": datetime.now(UTC).isoformat(), "value": 12.34, "series": "AAPL"})
    with requests.Session() as session:
        for _ in range(PRELOADED):
            session.post(f"{url}/event", event, headers={"Content-Type": "application/json"})


def _rows(runs: Runs) -> Iterator[tuple[str, ...]]:
    for (name, server), own in runs.items():
        peer = runs.get((name, PEER), [])
        rate, cpu = median(run.load.rate for run in own), median(run.cpu_us for run in own)
        rates = f"{rate / median(run.load.rate for run in peer):.2f}" if peer else ""
        times = f"{median(run.cpu_us for run in peer) / cpu:.2f}" if peer else ""
        p50, p99 = median(run.load.p50_ms for run in own), median(run.load.p99_ms for run in own)
        yield name, server, f"{rate:,.0f}", rates, f"{cpu:.0f} µs", times, f"{p50:.1f} ms", f"{p99:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, only to see that it works")
    quick = parser.parse_args().quick
    os.environ["TIDEMARK_MAX_WAIT"] = "60s"  # weighed, and none refused, whatever else the machine does
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing; on Debian: apt install wrk util-linux")
    for layout in SERVERS:
        rows = sorted(_rows(measure(layout, *((1, 1) if quick else (3, 5)))), key=lambda row: row[0])
        print(f"{layout.title}: {CONNECTIONS} connections, {PRELOADED:,} events preloaded. {machine()}\n")
        head = ("load", "server", "requests/s", "to the peer", "CPU a request", "the peer's to it", "p50", "p99")
        show(head, rows)
        print()


if __name__ == "__main__":
    main()
