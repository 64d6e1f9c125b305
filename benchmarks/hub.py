"""gunicorn.conf.py, and in each worker a greenlet that notes when its turn comes late: `gunicorn -c benchmarks/hub.py`.

A note is a line of the file HUB_NOTES: when the turn was due and when it came, on the clock that all processes of the
machine share, and for how many seconds between the worker was ready to run while the machine ran something else. What
is left without these is how long the worker itself held its hub, however busy the machine was.
"""

from __future__ import annotations

import os
import runpy
import time
from pathlib import Path
from typing import Any, TextIO

import gevent
from gunicorn.workers.base import Worker

BEAT_SECONDS = 0.001
WORTH_A_NOTE = 0.002

_common: dict[str, Any] = runpy.run_path(str(Path(__file__).parent.parent / "gunicorn.conf.py"))
globals().update({name: value for name, value in _common.items() if not name.startswith("_")})


def post_worker_init(worker: Worker) -> None:
    """As ever, and begin to take notes."""
    _common["post_worker_init"](worker)
    gevent.spawn(_watch, Path(os.environ["HUB_NOTES"]))


def _watch(path: Path) -> None:
    with path.open("a", buffering=1) as notes:
        _take(notes)


def _take(notes: TextIO) -> None:
    thread = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    waited = _waited(thread)
    while True:
        due = time.monotonic() + BEAT_SECONDS
        gevent.sleep(BEAT_SECONDS)
        came, before, waited = time.monotonic(), waited, _waited(thread)
        if came - due >= WORTH_A_NOTE:
            notes.write(f"{due} {came} {waited - before}\n")


def _waited(thread: int) -> float:
    """For how many seconds the thread has been ready to run while others ran."""
    return int(os.pread(thread, 100, 0).split()[1]) / 1e9
