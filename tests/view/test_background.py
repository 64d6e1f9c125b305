from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import pytest

from event_log.errors import LogUnavailable
from view.background import Background

CHECKOUT = Path(__file__).resolve().parents[2]
SOON = 60.0
"""Far more seconds than any step takes; a test that waits so long has failed."""


class Work:
    """Steps a background takes, in order; `waiting` says for each tick whether more is waiting."""

    def __init__(self, waiting: list[bool], faults: int = 0) -> None:
        self.steps: Queue[str] = Queue()
        self._waiting = iter(waiting)
        self._faults = faults
        self.syncs = 0

    def tick(self) -> bool:
        self.steps.put("tick")
        return next(self._waiting, False)

    def sync(self) -> None:
        self.steps.put("sync")
        self.syncs += 1
        if self._faults:
            self._faults -= 1
            raise LogUnavailable("no disk")

    def next(self, count: int) -> list[str]:
        return [self.steps.get(timeout=SOON) for _ in range(count)]


@contextmanager
def following(work: Work, interval: float) -> Iterator[tuple[Background, set[threading.Thread]]]:
    """A background that has started, and its threads; ended at the end."""
    before = set(threading.enumerate())
    background = Background(work.tick, work.sync, interval, interval)
    assert background.start()
    threads = set(threading.enumerate()) - before
    yield background, threads
    background.stop()
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


def test_it_ticks_until_nothing_waits_and_does_so_again() -> None:
    work = Work([True, True, False])
    with following(work, interval=0.001):
        steps = work.next(50)
        assert steps.count("tick") >= 4
        assert steps.count("sync") >= 2


def test_it_syncs_whatever_a_tick_is_busy_with() -> None:
    synced, go_on = Queue[int](), threading.Event()
    background = Background(lambda: not go_on.wait(SOON), lambda: synced.put(1), sync_interval=0.001)
    assert background.start()
    for _ in range(3):
        synced.get(timeout=SOON)
    go_on.set()
    background.stop()


def test_a_fault_of_the_log_is_logged_and_the_work_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    work = Work([], faults=2)
    with caplog.at_level(logging.ERROR, "tidemark.background"), following(work, interval=0.001):
        while work.next(1) != ["sync"] or work.syncs < 5:
            pass
    assert [record.getMessage() for record in caplog.records] == ["no disk"]  # one that lasts is said once


def test_a_fault_that_both_meet_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    work, met = Work([], faults=10**6), Queue[int]()

    def tick() -> bool:
        met.put(1)
        raise LogUnavailable("no disk")

    background = Background(tick, work.sync, 0.001, 0.001)
    with caplog.at_level(logging.ERROR, "tidemark.background"):
        assert background.start()
        for _ in range(3):
            met.get(timeout=SOON)
            work.next(1)
        background.stop()
    assert [record.getMessage() for record in caplog.records] == ["no disk"]


def test_starting_twice_runs_once() -> None:
    with following(Work([]), interval=0.001) as (background, _):
        before = set(threading.enumerate())
        assert background.start()
        assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile


def assert_ended(threads: set[threading.Thread]) -> None:
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


def test_once_stopped_it_ends_and_stays_stopped() -> None:
    work = Work([])
    with following(work, interval=60.0) as (background, threads):
        work.next(2)
        background.stop()
        assert_ended(threads)
        assert not background.start()


def test_stopping_ends_it_between_two_pieces() -> None:
    work = Work([True] * 10**6)
    with following(work, interval=60.0) as (background, threads):
        work.next(1)
        background.stop()
        assert_ended(threads)


def run(script: str) -> str:
    """Return what a program of its own prints, run in the checkout."""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=300, check=False
    )
    assert not done.stderr
    return done.stdout.strip()


def test_a_forked_process_gets_a_follower_of_its_own() -> None:
    assert (
        run("""
import os, threading
from view.background import Background

done = threading.Event()
background = Background(lambda: False, done.set, interval=60.0)
background._pid = os.getpid()  # as after start(), without a thread that a fork would warn about
child = os.fork()
if child:
    status = os.waitpid(child, 0)[1]
    print(os.waitstatus_to_exitcode(status))
else:
    background.start()
    os._exit(0 if done.wait(60) else 1)
""")
        == "0"
    )


GEVENT = """
{patch}
import threading
from view.background import Background

get_ident = {get_ident}
main, seen, done = get_ident(), [], threading.Event()

def tick():
    if seen:
        done.set()
    return False

background = Background(tick, lambda: seen.append(get_ident()), interval=0.001, sync_interval=0.001, blocks={blocks})
background.start()
assert done.wait(60)
background.stop()
print("here" if seen[0] == main else "elsewhere")
"""


@pytest.mark.parametrize(("blocks", "where"), [(True, "elsewhere"), (False, "here")])
def test_under_gevent_a_sync_that_blocks_goes_to_a_real_thread(blocks: bool, where: str) -> None:
    """And no other, which may use what belongs to gevent's own, such as its sockets."""
    script = GEVENT.format(
        patch="from gevent import monkey; monkey.patch_all()",
        get_ident='monkey.get_original("_thread", "get_ident")',
        blocks=blocks,
    )
    assert run(script) == where


def test_it_ends_where_gevent_has_patched_after_the_import() -> None:
    """gunicorn imports before it patches where it is started with --preload."""
    patch = "import view.background; view.background.MOST_SECONDS = 600; from gevent import monkey; monkey.patch_all()"
    get_ident = 'monkey.get_original("_thread", "get_ident")'
    assert run(GEVENT.format(patch=patch, get_ident=get_ident, blocks=True)) == "elsewhere"


@pytest.mark.parametrize("patch", ["", "import gevent", "import gevent.monkey"])
def test_without_patches_the_follower_is_a_thread_of_its_own(patch: str) -> None:
    assert run(GEVENT.format(patch=patch, get_ident="threading.get_ident", blocks=True)) == "elsewhere"


def test_it_goes_on_after_whatever_went_wrong(caplog: pytest.LogCaptureFixture) -> None:
    ticked = Queue[int]()

    def tick() -> bool:
        ticked.put(1)
        raise RuntimeError("a bug")

    background = Background(tick, lambda: None, 0.001)
    background.start()
    for _ in range(3):
        ticked.get(timeout=SOON)
    background.stop()
    assert "following the log failed" in caplog.text
