"""gunicorn.conf.py, and in each worker a greenlet that notes when its turn comes late: `gunicorn -c benchmarks/hub.py`.

A note is a line of the file HUB_NOTES: when the turn was due and when it came, on the clock that all processes of the
machine share, and for how many seconds between the worker itself held its hub, however busy the machine was: what it
computed, or what is left without the time in which its threads were ready to run while the machine ran something else;
and how many seconds of a processor the hub's own thread used between, which is the least that any machine can tell.
"""

from __future__ import annotations

import os
import runpy
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import gevent
from gunicorn.workers.base import Worker

BEAT_SECONDS = 0.001
WORTH_A_NOTE = 0.002

_common: dict[str, Any] = runpy.run_path(str(Path(__file__).parent.parent / "gunicorn.conf.py"))
globals().update({name: value for name, value in _common.items() if not name.startswith("_")})


def post_worker_init(worker: Worker) -> None:
    """Do what the service does here, and begin to take notes."""
    _common["post_worker_init"](worker)
    gevent.spawn(_watch, Path(os.environ["HUB_NOTES"]))


def _watch(path: Path) -> None:
    with path.open("a", buffering=1) as notes:
        _take(notes)


def _take(notes: TextIO) -> None:
    computed, waited, used = time.process_time(), _waited(), time.thread_time()
    while True:
        due = time.monotonic() + BEAT_SECONDS
        gevent.sleep(BEAT_SECONDS)
        came, before = time.monotonic(), (computed, waited, used)
        computed, waited, used = time.process_time(), _waited(), time.thread_time()
        if came - due >= WORTH_A_NOTE:
            own = min(came - due, max(computed - before[0], came - due - (waited - before[1])))
            notes.write(f"{due} {came} {own} {used - before[2]}\n")


def _waited() -> float:
    """Seconds for which the threads of this process have been ready to run while others ran. One may have the
    interpreter meanwhile, so that the hub waits for it without being ready itself."""
    waited = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it may have ended
            waited += int((task / "schedstat").read_text().split()[1])
    return waited / 1e9
