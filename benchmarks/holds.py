"""Time for which a request, a stream or a start holds the others of its worker: `python -m benchmarks.holds`.

One gevent worker on one core, with millions of events in its log. A client keeps asking something, and another process
`/health/live` all the while: how long its slowest answer took is how long the worker was held, and what the machine
did meanwhile. The last column is the worker's own part of it, as its hub saw it. `nothing` is the probe alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests

from benchmarks.asking import SETTINGS, TIMEOUT, Client, Fill, fill, questions
from benchmarks.http import ONE_CORE, Kind, serving
from benchmarks.probing import Hold, probing
from benchmarks.table import machine, show

FULL = Fill(2_500_000, 500_000)
QUICK = Fill(200_000, 20_000)
_SERVER = [sys.executable, "-m", "gunicorn", "-c", "benchmarks/hub.py", "app:app"]


def measure(events: Fill, seconds: float) -> dict[str, Hold]:
    """A start of the worker on a log of events; then every question in turn."""
    found: dict[str, Hold] = {}

    def note(name: str, ask: Callable[[], object], seconds: float) -> None:
        print(f"  {name}", file=sys.stderr)
        found[name] = probe.hold(ask, seconds)

    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        print(f"  filling: {sum(events):,} events", file=sys.stderr)
        fill(folder / "log", events)
        os.environ.update(SETTINGS, HUB_NOTES=str(folder / "hub"))
        kind = Kind("Tidemark", _SERVER, f"file:{folder / 'log'}")
        with (
            serving(kind, ONE_CORE, folder, ready="/health/live") as url,
            probing(url, folder, folder / "hub") as probe,
            Client(url) as client,
        ):
            note("the first GET /statistics after a start", lambda: first_answer(url), 0.0)
            note("nothing", lambda: time.sleep(0.1), seconds)
            for question in questions(client):
                note(question.name, question.ask, 0.0 if question.once else seconds)
    return found


def first_answer(url: str) -> None:
    """Ask what waits until the worker has taken in its log."""
    requests.get(f"{url}/statistics", timeout=TIMEOUT).raise_for_status()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few events, only to see that it works")
    quick = parser.parse_args().quick
    events = QUICK if quick else FULL
    found = measure(events, 0.5 if quick else 3.0)
    print(f"One gevent worker on one core, {sum(events):,} events in the log. {machine()}\n")
    show(
        ("meanwhile", "asked", "/health/live p50", "p99", "longest", "of it the worker's"),
        [
            (
                name,
                f"{hold.asked:,}",
                f"{hold.typical:.1f} ms",
                f"{hold.p99:.1f} ms",
                f"{hold.longest:.1f} ms",
                f"{hold.hub:.1f} ms",
            )
            for name, hold in found.items()
        ],
    )


if __name__ == "__main__":
    main()
