"""Cost and delay of open streams: `python -m benchmarks.streams`.

One gevent worker on one core; wrk and the clients of the streams share the other. Each row: POST /event by 16
connections while the streams are open, and the delay from the sending of an event to its arrival on a stream
of its series, both while nothing else happens and under that load.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
import requests

from benchmarks.http import CONNECTIONS, ONE_CORE, Kind, load, serving
from benchmarks.table import machine, show

STREAMS = 2_000
PROBES = 100
PROBE_SECONDS = 0.02
POSTED = "posted"
_SERVER = [sys.executable, "-m", "gunicorn", "app:app"]
_POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = string.format('{"timestamp": "%%s", "value": 12.34, "series": "%s"}', os.date("!%%Y-%%m-%%dT%%H:%%M:%%SZ"))
"""


class Scene(NamedTuple):
    """Streams that are open during a measurement."""

    name: str
    paths: list[str]


SCENES = (
    Scene("none", []),
    Scene(f"{STREAMS:,} of events, quiet series", ["/series/quiet/stream"] * STREAMS),
    Scene(f"{STREAMS:,} of statistics each second", ["/stream"] * STREAMS),
    Scene("200 questions each second, 10 streams each", [f"/stream?last={1 + n % 200}" for n in range(STREAMS)]),
    Scene("100 of events, the series posted to", [f"/series/{POSTED}/stream"] * 100),
)


class Row(NamedTuple):
    """Result of one round of a scene."""

    rate: float
    cpu_us: float
    """Processor time of the worker for each POST, streams included: what remains steady on a busy machine."""
    p99_ms: float
    messages: float
    quiet_delays: list[float]
    busy_delays: list[float]


class Audience:
    """Open streams, read by a thread that only counts."""

    def __init__(self, url: str, paths: list[str]) -> None:
        self.messages = 0
        self._selector = selectors.DefaultSelector()
        self._open = True
        host, port = urlsplit(url).hostname, urlsplit(url).port
        assert host is not None
        assert port is not None
        for path in paths:
            sock = socket.create_connection((host, port))
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = sock.recv(1024)
            if b" 200 " not in answer:
                raise SystemExit(f"{path}: {answer.decode()}")
            self._selector.register(sock, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def close(self) -> None:
        """Leave."""
        self._open = False
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()

    def _read(self) -> None:
        while self._open:
            for key, _ in self._selector.select(0.1):
                assert isinstance(key.fileobj, socket.socket)
                heard = key.fileobj.recv(1 << 18)
                if not heard:
                    raise SystemExit("a stream was closed")
                self.messages += heard.count(b"event: ")


class Probe:
    """Posts events to a series of its own and times their arrival on a stream of it, in milliseconds."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stream = requests.get(f"{url}/series/probe/stream", stream=True, timeout=60)
        self._lines = self._stream.iter_lines(chunk_size=1)
        self._session = requests.Session()

    def delays(self, count: int) -> list[float]:
        """One after the other, each at another point of the feed's rhythm."""
        found = []
        for number in range(count):
            time.sleep(PROBE_SECONDS * (1 + number % 7 / 7))
            sent = time.perf_counter()
            self._session.post(f"{self._url}/events", json={"series": "probe", "values": [number]}, timeout=60)
            while not ((line := next(self._lines)).startswith(b"data: ") and json.loads(line[6:])["value"] == number):
                pass
            found.append((time.perf_counter() - sent) * 1000)
        return found

    def close(self) -> None:
        """Leave."""
        self._stream.close()
        self._session.close()


@contextmanager
def audience(url: str, paths: list[str]) -> Iterator[tuple[Audience, Probe]]:
    """The streams of a scene and a probe beside them; gone, as the server sees it too, at the end."""
    listening, probe = Audience(url, paths), Probe(url)
    try:
        yield listening, probe
    finally:
        probe.close()
        listening.close()
        time.sleep(2.0)  # the worker notices within one


def measure(url: str, worker: psutil.Process, scene: Scene, seconds: int) -> Row:
    """One round."""
    with audience(url, scene.paths) as (listening, probe):
        quiet = probe.delays(PROBES)
        before, busy = listening.messages, []
        under_load = threading.Thread(target=lambda: busy.extend(probe.delays(PROBES // 2)))
        under_load.start()
        start = _cpu_seconds(worker)
        run = load(f"{url}/event", seconds, ONE_CORE, _POST % POSTED)
        cpu_us = (_cpu_seconds(worker) - start) / (run.rate * seconds) * 1e6
        messages = (listening.messages - before) / seconds
        under_load.join()
        return Row(run.rate, cpu_us, run.p99_ms, messages, quiet, busy)


def _worker(url: str) -> psutil.Process:
    """The process that serves there: the master holds the listening socket too, but has a child."""
    port = urlsplit(url).port
    listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
    holder = psutil.Process(next(c.pid for c in listening if getattr(c.laddr, "port", None) == port))
    return next(iter(holder.children()), holder)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def rounds(count: int, seconds: int, scheme: str) -> dict[str, list[Row]]:
    """Every scene, in turn, `count` times."""
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        server = Kind(scheme, _SERVER, f"{scheme}:")
        url = stack.enter_context(serving(server, ONE_CORE, Path(directory)))
        worker = _worker(url)
        for number in range(count):
            for scene in SCENES:
                print(f"  round {number + 1} of {count}: {scene.name}", file=sys.stderr)
                found.setdefault(scene.name, []).append(measure(url, worker, scene, seconds))
    return found


def _cells(name: str, rows: list[Row], alone: float) -> tuple[str, ...]:
    rate = median(row.rate for row in rows)
    quiet = [delay for row in rows for delay in row.quiet_delays]
    return (
        name,
        f"{rate:,.0f}",
        f"{rate / alone:.0%}",
        f"{median(row.cpu_us for row in rows):.0f} us",
        f"{median(row.p99_ms for row in rows):.1f} ms",
        f"{median(row.messages for row in rows):,.0f}",
        f"{median(quiet):.1f} ms",
        f"{quantiles(quiet, n=100)[-1]:.1f} ms",
        f"{median(delay for row in rows for delay in row.busy_delays):.1f} ms",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, only to see that it works")
    parser.add_argument("--log", choices=("file", "memory"), default="file")
    arguments = parser.parse_args()
    os.environ["TIDEMARK_MAX_STREAMS"] = str(2 * STREAMS)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {1})
    found = rounds(*((1, 2) if arguments.quick else (3, 5)), arguments.log)
    os.sched_setaffinity(0, cores)
    alone = median(row.rate for row in found[SCENES[0].name])
    print(f"One gevent worker on one core, {CONNECTIONS} connections post, log {arguments.log}:. {machine()}\n")
    show(
        (
            "open streams",
            "POST/s",
            "of alone",
            "CPU/POST",
            "POST p99",
            "messages/s",
            "delay p50",
            "delay p99",
            "p50 under load",
        ),
        [_cells(name, rows, alone) for name, rows in found.items()],
    )


if __name__ == "__main__":
    main()
