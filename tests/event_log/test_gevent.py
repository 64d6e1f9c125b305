"""Greenlets and real threads on one log: whoever waits for a greenlet holds nothing that halts them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent

PLANNING = """
from gevent import monkey
monkey.patch_all()

import faulthandler, sys
from pathlib import Path
from threading import Event, RLock

import gevent
from event_log.base import START
from event_log.rules import Rules
from event_log.lmdb_log import LmdbLog

faulthandler.dump_traceback_later(600, exit=True)  # a halted hub has no other end
log = LmdbLog(Path(sys.argv[1]), max_bytes=2**25, sync="never")
log.claim(Rules(60, 10), "start")
for time in range(50):
    log.append_one("a", time, 1.0)
log._settle_all()
log.read(START)
view, go_on = RLock(), Event()

def question():
    with view:
        go_on.wait()

def kept_since(series):
    with view:
        return 0, 0

greenlets = [gevent.spawn(question)]
gevent.sleep(0)
greenlets += [gevent.spawn(log.clean, 100, kept_since, 50) for _ in range(2)] + [gevent.spawn(log.sync)]
gevent.sleep(0)
go_on.set()
gevent.joinall(greenlets, raise_error=True)
log._settle_all()
print(len(log.read(START)), log.position())
log.close()
"""


def test_greenlets_that_plan_cleaning_while_a_question_holds_the_view_do_not_halt_the_hub(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLANNING, str(tmp_path / "log")],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert (done.stdout.split(), done.returncode) == (["50", "50"], 0), done.stderr
