"""Requests a second and latency over HTTP, beside a FastAPI peer: `python -m benchmarks.http`.

Every server has one worker on one core of its own; wrk has the other. Rounds alternate between the servers,
so that what else the machine does meets them all; the table gives medians.
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

import requests

from benchmarks.table import machine, show
from tests.servers import CHECKOUT, reserve_port, until

CONNECTIONS = 16
PRELOADED = 1000
_POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = string.format('{"timestamp": "%s", "value": 12.34, "series": "AAPL"}', os.date("!%Y-%m-%dT%H:%M:%SZ"))
"""
_GUNICORN = [sys.executable, "-m", "gunicorn", "-w", "1", "app:app"]
_UVICORN = [sys.executable, "-m", "uvicorn", "--log-level", "warning", "--no-access-log", "benchmarks.peer:app"]


class Load(NamedTuple):
    """One run of wrk."""

    rate: float
    p50_ms: float
    p99_ms: float


@contextmanager
def serving(command: list[str], log_url: str | None) -> Iterator[str]:
    """A server on core 0, and its URL."""
    with reserve_port() as reservation:
        port = str(reservation.getsockname()[1])
        own = {"HOST": "127.0.0.1", "PORT": port}
        if log_url is None:
            command = [*command, "--port", port]
        else:
            own["TIDEMARK_LOG_URL"] = log_url
        server = subprocess.Popen(
            ["taskset", "-c", "0", *command], cwd=CHECKOUT, env=os.environ | own, stderr=subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: _ready(url), f"{url} to be ready", 30)
            yield url
        finally:
            server.terminate()
            server.wait()


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/ready", timeout=5).ok
    except requests.RequestException:
        return False


def load(url: str, seconds: int, script: Path | None = None) -> Load:
    """What wrk measures with CONNECTIONS connections from core 1; every answer must be a success."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url]
    if script is not None:
        command[-1:-1] = ["-s", str(script)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in printed:
        raise SystemExit(f"errors from {url}:\n{printed}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert rate is not None
    return Load(float(rate[1]), _milliseconds(printed, "50"), _milliseconds(printed, "99"))


def _milliseconds(printed: str, percentile: str) -> float:
    found = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", printed)
    assert found is not None
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def measure(seconds: int, rounds: int) -> dict[tuple[str, str], list[Load]]:
    """All runs, by endpoint and server."""
    runs: dict[tuple[str, str], list[Load]] = {}
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "post.lua"
        script.write_text(_POST)
        for number in range(rounds):
            for name, command, log_url in (
                ("Tidemark, memory:", _GUNICORN, "memory:"),
                ("Tidemark, lmdb:", _GUNICORN, f"lmdb:{directory}/log{number}"),
                ("FastAPI peer", _UVICORN, None),
            ):
                print(f"  round {number + 1} of {rounds}: {name}", file=sys.stderr)
                with serving(command, log_url) as url:
                    _preload(url)
                    runs.setdefault(("GET /statistics", name), []).append(load(f"{url}/statistics", seconds))
                    runs.setdefault(("POST /event", name), []).append(load(f"{url}/event", seconds, script))
    return runs


def _preload(url: str) -> None:
    event = json.dumps({"timestamp": datetime.now(UTC).isoformat(), "value": 12.34, "series": "AAPL"})
    with requests.Session() as session:
        for _ in range(PRELOADED):
            session.post(f"{url}/event", event, headers={"Content-Type": "application/json"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, only to see that it works")
    quick = parser.parse_args().quick
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing; on Debian: apt install wrk util-linux")
    runs = measure(*((1, 1) if quick else (5, 5)))
    rows = []
    for endpoint in ("POST /event", "GET /statistics"):
        peer = median(run.rate for run in runs[endpoint, "FastAPI peer"])
        for (of, name), own in runs.items():
            if of == endpoint:
                rate = median(run.rate for run in own)
                p50, p99 = median(run.p50_ms for run in own), median(run.p99_ms for run in own)
                rows.append((endpoint, name, f"{rate:,.0f}", f"{rate / peer:.2f}", f"{p50:.1f} ms", f"{p99:.1f} ms"))
    print(f"One worker on one core, {CONNECTIONS} connections, {PRELOADED:,} events preloaded. {machine()}\n")
    show(("endpoint", "server", "requests/s", "to the peer", "p50", "p99"), rows)


if __name__ == "__main__":
    main()
