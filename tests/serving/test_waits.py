"""Waits end when they are overdue, or when their worker does; one timer sees to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from serving.waits import LAST_SECONDS, Overdue, Waiting, Waits


class Worker:
    """Some greenlets that wait, by a clock of the test's."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ends = False
        self.waits = Waits(lambda: self.ends, lambda: self.now)
        self.ended: list[str] = []
        self.greenlets: list[Any] = []

    def wait(self, name: str, waiting: Waiting, until: float) -> None:
        self.greenlets.append(gevent.spawn(self._wait, name, waiting, until))
        gevent.sleep(0)

    def look(self) -> None:
        """As the timer does: in the hub."""
        for step in (self.waits.begin_turn, self.waits.look):
            gevent.get_hub().loop.run_callback(step)
        gevent.sleep(0)
        gevent.sleep(0)

    def _wait(self, name: str, waiting: Waiting, until: float) -> None:
        me = gevent.getcurrent()
        waiting[me] = until
        try:
            gevent.sleep(1000)
        except Overdue:
            self.ended.append(name)
        finally:
            del waiting[me]


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    gevent.killall(worker.greenlets)


def test_a_wait_ends_when_it_is_overdue(worker: Worker) -> None:
    worker.wait("idle", worker.waits.idle, 105.0)
    worker.wait("busy", worker.waits.busy, 130.0)
    worker.look()
    assert worker.ended == []
    worker.now = 105.0
    worker.look()
    assert worker.ended == ["idle"]
    worker.now = 130.0
    worker.look()
    assert worker.ended == ["idle", "busy"]
    assert not worker.waits.idle
    assert not worker.waits.busy


def test_a_worker_that_ends_waits_a_little_for_those_who_have_asked_nothing(worker: Worker) -> None:
    worker.wait("idle", worker.waits.idle, 200.0)
    worker.wait("busy", worker.waits.busy, 200.0)
    worker.ends = True
    worker.look()
    worker.now += LAST_SECONDS - 0.01
    worker.look()
    assert worker.ended == []
    worker.now += 0.01
    worker.look()
    assert worker.ended == ["idle"]
    worker.wait("late", worker.waits.idle, worker.now + worker.waits.most_idle)
    worker.look()
    assert worker.ended == ["idle"]  # it came before nobody was let in any more, and its request may be on its way
    worker.now += LAST_SECONDS
    worker.look()
    assert worker.ended == ["idle", "late"]


def test_the_timer_looks(worker: Worker) -> None:
    worker.waits.start()
    worker.wait("idle", worker.waits.idle, 0.0)
    worker.greenlets[0].join(timeout=60)
    assert worker.ended == ["idle"]
    worker.waits.stop()
