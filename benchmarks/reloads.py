"""Delays and errors that clients see while workers are replaced: `python -m benchmarks.reloads`.

Eight clients post and ask in turn, half of them over a new connection each time, the others over one that they keep,
while the workers of a server are replaced by SIGHUP, and while each ends after so many requests. The peer is the same
application under gunicorn's own gevent worker.
"""

from __future__ import annotations

import argparse
import http.client
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

from benchmarks.table import machine, show
from tests.servers import Server

CLIENTS = 8
WORKERS = 2
PAUSE_SECONDS = 0.02
BETWEEN_RELOADS = 6.0
BODY = b'{"values": [1.5]}'
CLASSES = {"ours": "serving.worker.Worker", "gunicorn's gevent": "gevent"}
ENDINGS = (ConnectionError, http.client.HTTPException)
"""Errors of a request over a kept connection that the server closes; a client then sends it again over a new one."""


def once(connection: http.client.HTTPConnection, number: int) -> None:
    """Send a request and read its answer."""
    if number % 2:
        connection.request("POST", "/events", BODY, {"Content-Type": "application/json"})
    else:
        connection.request("GET", "/statistics")
    connection.getresponse().read()


def client(port: int, keeps: bool, stopped: Event) -> tuple[list[float], int]:
    """Return the milliseconds of each request, with what it took to send it again, and how many fresh ones failed."""
    took: list[float] = []
    failed = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not stopped.is_set():
        begun, is_fresh = time.perf_counter(), connection.sock is None
        try:
            once(connection, len(took))
        except ENDINGS:
            connection.close()
            if is_fresh:
                failed += 1
            else:
                once(connection, len(took))
        took.append(1000 * (time.perf_counter() - begun))
        if not keeps:
            connection.close()
        time.sleep(PAUSE_SECONDS)
    connection.close()
    return took, failed


def measure(folder: Path, worker: str, args: list[str], reloads: int, seconds: float) -> tuple[object, ...]:
    """Return the row of one server: requests of its clients, their delays and failures."""
    stopped = Event()
    with Server(["-w", str(WORKERS), "-k", worker, *args]) as server, ThreadPoolExecutor(CLIENTS) as pool:
        ask = partial(client, server.port, stopped=stopped)
        clients = [pool.submit(ask, keeps=number % 2 == 0) for number in range(CLIENTS)]
        for _ in range(reloads):
            time.sleep(seconds)
            server.process.send_signal(signal.SIGHUP)
        time.sleep(seconds)
        stopped.set()
        results = [each.result() for each in clients]
    took = sorted(each for ours, _ in results for each in ours)
    failed = sum(failed for _, failed in results)
    late = sum(each > 100 for each in took)
    return len(took), failed, f"{took[int(len(took) * 0.99)]:.1f}", f"{took[-1]:.0f}", late


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one reload of each")
    reloads = 1 if parser.parse_args().quick else 5
    print(f"{CLIENTS} clients, {WORKERS} workers; milliseconds. {reloads} reloads. {machine()}\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, worker in CLASSES.items():
            for what, args, count in (
                ("nothing", [], 0),
                ("SIGHUP", [], reloads),
                ("--max-requests 300, jitter 300", ["--max-requests", "300", "--max-requests-jitter", "300"], 0),
            ):
                seconds = BETWEEN_RELOADS if count else BETWEEN_RELOADS * reloads
                rows.append((name, what, *measure(Path(folder), worker, args, count, seconds)))
    show(("worker", "beside it", "requests", "fresh ones unanswered", "p99", "longest", "above 100 ms"), rows)


if __name__ == "__main__":
    main()
