"""The time that requests wait while the log is backed up under full load: `python -m benchmarks.backups`.

One gevent worker with millions of events in its log. Two processes post events, each the next as soon as it has the
answer, and a third asks `/health/live`; meanwhile `python -m event_log backup` runs again and again. The first row is
the same load without a backup: what is longer in the second one is the backup's. The worker's own part of the longest
hold is what its hub saw; what else the machine did does not count there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path

from benchmarks.asking import SETTINGS, Fill, fill
from benchmarks.holds import first_answer
from benchmarks.http import ALL_CORES, Kind, serving
from benchmarks.probing import Hold, Notes, probing
from benchmarks.table import machine, show
from tidemark.transport import Transport

FULL = Fill(2_500_000, 500_000)
QUICK = Fill(200_000, 20_000)
POSTERS = 2
_SERVER = [sys.executable, "-m", "gunicorn", "-c", "benchmarks/hub.py", "app:app"]


@contextmanager
def posting(url: str, folder: Path) -> Iterator[list[Notes]]:
    """Run the posters; yield the notes of when each of their requests began and was answered."""
    notes = [Notes(folder / f"posted{number}") for number in range(POSTERS)]
    with ExitStack() as stack:
        for number, note in enumerate(notes):
            command = [sys.executable, "-m", "benchmarks.backups", "--post", url, str(folder / f"posted{number}")]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.terminate)
            note.wait_for(0.0)
        yield notes


def measure(events: Fill, seconds: float, backups: int) -> list[list[str]]:
    """Return a row without backups and one with them."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        folder = Path(directory)
        print(f"  filling: {sum(events):,} events", file=sys.stderr)
        fill(folder / "log", events)
        log = f"file:{folder / 'log'}"
        os.environ.update(SETTINGS, HUB_NOTES=str(folder / "hub"))
        kind = Kind("Tidemark", _SERVER, log)
        url = stack.enter_context(serving(kind, ALL_CORES._replace(workers=1), folder, "/health/live"))
        first_answer(url)
        probe = stack.enter_context(probing(url, folder, folder / "hub"))
        posted = stack.enter_context(posting(url, folder))
        numbers = count()

        def back_up() -> None:
            command = [sys.executable, "-m", "event_log", "backup", str(folder / f"copy{next(numbers)}")]
            done = subprocess.run(command, env={**os.environ, "TIDEMARK_LOG_URL": log}, capture_output=True, check=True)
            print(f"  {done.stdout.decode().strip()}", file=sys.stderr)

        rows = []
        for name, ask, times in (("posts alone", lambda: time.sleep(0.1), 0), ("and backups", back_up, backups)):
            begin = time.monotonic()
            hold = probe.hold(ask, seconds, times)
            rows.append(_row(name, hold, posted, begin, time.monotonic()))
        return rows


def _row(name: str, hold: Hold, posted: list[Notes], begin: float, end: float) -> list[str]:
    took = sorted(1000 * (row[1] - row[0]) for notes in posted for row in notes.during(begin, end))
    waits = [took[len(took) // 2], took[int(len(took) * 0.99)], took[-1], hold.longest, hold.hub]
    return [name, f"{len(took) / (end - begin):,.0f}", *(f"{wait:.1f} ms" for wait in waits)]


def post_for_ever(url: str, path: str) -> None:
    """Post events without end, in a process of its own."""
    with closing(Transport(url, None)) as transport, Path(path).open("a", buffering=1) as notes:
        for number in count():
            begin = time.monotonic()
            reply = transport.post("/event", b'{"series": "posted", "value": 1}', f"{path}-{number}")
            if reply.status != 201:
                raise SystemExit(f"{reply.status}: {reply.detail}")
            notes.write(f"{begin} {time.monotonic()}\n")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backups", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few events, only to see that it works")
    parser.add_argument("--post", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.post:
        post_for_ever(*given.post)
    events = QUICK if given.quick else FULL
    rows = measure(events, 1.0 if given.quick else 10.0, 1 if given.quick else 5)
    print(f"One gevent worker, {sum(events):,} events in the log, {POSTERS} processes that post. {machine()}\n")
    show(["load", "posts/s", "post p50", "p99", "longest", "/health/live longest", "of it the worker's"], rows)


if __name__ == "__main__":
    main()
