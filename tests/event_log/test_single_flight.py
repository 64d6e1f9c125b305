"""Single-flight: work that is shared by all who need it done."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from threading import Event, Thread

import pytest

from event_log.single_flight import SingleFlight
from tests.servers import CHECKOUT, until

SOON = 20.0
"""Far more seconds than any step takes; a test that waits so long has failed."""


class Source:
    """Is read when the test says so; counts the readings."""

    def __init__(self, more: list[bool] | None = None) -> None:
        self.begun = 0
        self.ended = 0
        self.reading = Event()
        self.go_on = Event()
        self.fault: Exception | None = None
        self.raised: list[str] = []
        self._more = iter(more or [])
        self.flight = SingleFlight()

    def catch_up(self) -> None:
        self.flight.run(self.step)

    def step(self) -> bool:
        self.begun += 1
        self.reading.set()
        assert self.go_on.wait(SOON)
        self.ended += 1
        if self.fault is not None:
            raise self.fault
        return next(self._more, False)


def started(work: Callable[[], object]) -> Thread:
    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread


def waiting(source: Source, count: int) -> list[Thread]:
    """Start threads that come while another reads; each has said what it needs."""
    threads = []
    for _ in range(count):
        asked = Event()

        def ask(asked: Event = asked) -> None:
            asked.set()
            source.catch_up()

        threads.append(started(ask))
        assert asked.wait(SOON)
    return threads


def gathered(source: Source, count: int) -> list[Thread]:
    """Start more threads that wait."""
    threads = [started(lambda: catch(source)) for _ in range(count)]
    until(lambda: len(source.flight.waiting) == count, f"{count} to wait", SOON)
    return threads


def catch(source: Source) -> None:
    try:
        source.catch_up()
    except RuntimeError as fault:
        source.raised.append(str(fault))


def test_alone_it_reads_until_there_is_no_more() -> None:
    source = Source([True, True, False])
    source.go_on.set()
    source.catch_up()
    assert source.begun == 3
    source.catch_up()
    assert source.begun == 4


def test_who_comes_during_a_reading_waits_for_a_later_one_which_serves_all() -> None:
    source = Source()
    first = started(source.catch_up)
    assert source.reading.wait(SOON)
    others = waiting(source, 5)
    for thread in others:
        thread.join(0.02)
        assert thread.is_alive()  # the reading under way may have missed what it needs
    source.go_on.set()
    for thread in (first, *others):
        thread.join(SOON)
        assert not thread.is_alive()
    assert 2 <= source.begun <= 6  # two, unless one of the five was late to say what it needs


def test_a_reading_of_many_portions_serves_those_who_came_before_its_last() -> None:
    source = Source([True, False])
    first = started(source.catch_up)
    assert source.reading.wait(SOON)
    source.go_on.set()
    first.join(SOON)
    assert source.begun == 2


def test_a_step_alone_leaves_the_rest_to_others() -> None:
    source = Source([True, False])
    source.go_on.set()
    assert source.flight.step(source.step)
    assert not source.flight.step(source.step)
    assert source.begun == 2


def test_what_others_have_done_meanwhile_is_not_done_again() -> None:
    source = Source([True])
    source.go_on.set()
    assert source.flight.step(source.step, lambda: True)
    assert source.begun == 0
    assert source.flight.step(source.step, lambda: False)
    assert source.begun == 1


def test_a_fault_is_the_readers_and_the_next_one_tries_again() -> None:
    source = Source()
    source.go_on.set()
    source.fault = RuntimeError("no log")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no log"):
            source.catch_up()
    source.fault = None
    source.catch_up()
    assert source.begun == 3


def test_a_fault_reaches_all_whom_the_reading_would_have_served() -> None:
    source = Source()
    source.fault = RuntimeError("no log")
    threads = [started(lambda: catch(source))]
    assert source.reading.wait(SOON)
    threads += gathered(source, 4)
    source.go_on.set()
    for thread in threads:
        thread.join(SOON)
    assert source.raised == ["no log"] * 5
    assert source.begun == 2  # the second one failed all four


def test_one_by_one_unless_several_may_read() -> None:
    source = Source()
    threads = [started(source.catch_up)]
    assert source.reading.wait(SOON)
    threads += gathered(source, 3)
    assert source.begun == 1
    source.go_on.set()
    for thread in threads:
        thread.join(SOON)
    assert source.begun == 2


KILLING = """
from gevent import monkey
monkey.patch_all()

import faulthandler, gevent
from event_log.single_flight import SingleFlight

faulthandler.dump_traceback_later(600, exit=True)  # one who waits for ever has no other end
begun = []

def read():
    begun.append(None)
    gevent.sleep(0.01)

flight = SingleFlight()
greenlets = [gevent.spawn(flight.run, read) for _ in range(6)]
gevent.sleep(0)
for victim in (greenlets[0], greenlets[1], greenlets[3]):  # who reads, who would read next, one who waits
    victim.kill(block=False)
gevent.joinall(greenlets, raise_error=True)
flight.run(read)
print(len(begun), flight.is_busy, len(flight.waiting))
"""


def test_greenlets_that_are_killed_take_nobody_along() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLING], cwd=CHECKOUT, capture_output=True, check=False, encoding="utf-8"
    )
    assert (done.stdout.split(), done.returncode) == (["3", "False", "0"], 0), done.stderr
