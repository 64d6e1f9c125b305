"""Statistics at intervals: one question however many listen, at the rhythm asked for."""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable

import pytest

from event_log.errors import LogUnavailable
from streaming.pulses import REST, SLICE, Answered, Pulses, Question
from streaming.subscriber import Subscriber

EVERY_SECOND = Question("all", 1.0)


class Questioned:
    """Pulses at a clock of their own, and a service that counts what it is asked."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[Hashable] = []
        self.fault: Exception | None = None
        self.newest = 0
        self.cost = 0.0
        """Seconds that an answer takes."""
        self.pulses = Pulses(self.answer, lambda: self.newest, threading.RLock(), lambda: self.now)

    def answer(self, subject: Hashable) -> Answered:
        self.asked.append(subject)
        self.now += self.cost
        if self.fault is not None:
            raise self.fault
        return Answered(b"%d" % len(self.asked), self.newest)

    def join(self, question: Question = EVERY_SECOND) -> Subscriber:
        subscriber = Subscriber(only_latest=True)
        self.pulses.join(subscriber, question)
        return subscriber

    def pass_time(self, seconds: float) -> float:
        self.now += seconds
        return self.pulses.step()


def test_a_newcomer_is_answered_at_once_and_then_every_interval() -> None:
    questioned = Questioned()
    listener = questioned.join()
    assert listener.take() == b"1"
    assert questioned.pass_time(0.75) == 0.25
    assert listener.take() == b""
    assert questioned.pass_time(0.25) == 1.0
    assert listener.take() == b"2"


def test_two_thousand_listeners_cost_one_question() -> None:
    questioned = Questioned()
    listeners = [questioned.join() for _ in range(2000)]
    questioned.pass_time(1.0)
    while questioned.pulses.step() == 0.0:
        pass
    assert len(questioned.asked) == 2
    first, *others = [listener.take() for listener in listeners]
    assert first == b"2"
    assert all(chunk is first for chunk in others)


def test_an_answer_is_handed_out_in_slices_so_that_others_have_their_turn() -> None:
    questioned = Questioned()
    listeners = [questioned.join() for _ in range(SLICE + 1)]
    for listener in listeners:
        listener.take()
    assert questioned.pass_time(1.0) == 0.0
    assert sum(listener.take() == b"2" for listener in listeners) == SLICE
    assert questioned.pulses.step() == 1.0
    assert sum(listener.take() == b"2" for listener in listeners) == 1


def test_a_late_comer_to_a_slow_rhythm_does_not_get_an_old_answer() -> None:
    questioned = Questioned()
    every_minute = Question("all", 60.0)
    first = questioned.join(every_minute)
    questioned.pass_time(30.0)
    assert questioned.join(every_minute).take() == b"2"
    assert questioned.join(every_minute).take() == b"2"
    assert first.take() == b"1"
    assert questioned.pass_time(30.0) == 60.0
    assert first.take() == b"3"


def test_a_newcomer_hears_of_all_that_was_acknowledged_before_it_came() -> None:
    questioned = Questioned()
    questioned.join()
    assert questioned.join().take() == b"1"
    questioned.newest = 1
    listener = Subscriber(only_latest=True)
    assert questioned.pulses.join(listener, EVERY_SECOND) == 1
    assert listener.take() == b"2"


def test_a_question_that_costs_much_is_asked_less_often() -> None:
    questioned = Questioned()
    listener = questioned.join(Question("all", 0.1))
    questioned.cost = 0.2
    questioned.pass_time(0.1)
    assert listener.take() == b"2"
    assert questioned.pass_time(0.0) == pytest.approx(REST * questioned.cost)
    questioned.pass_time(REST * questioned.cost - 0.01)
    assert listener.take() == b""
    questioned.pass_time(0.01)
    assert listener.take() == b"3"


def test_rounds_missed_while_the_worker_was_busy_are_left_out_and_the_rhythm_stays() -> None:
    questioned = Questioned()
    listener = questioned.join()
    listener.take()
    assert questioned.pass_time(3.25) == 0.75
    assert listener.take() == b"2"
    assert questioned.pass_time(0.75) == 1.0


def test_different_questions_are_asked_each_in_its_turn() -> None:
    questioned = Questioned()
    questioned.join(Question("a", 1.0))
    questioned.join(Question("b", 1.0))
    questioned.join(Question("a", 2.0))
    del questioned.asked[:]
    assert questioned.pass_time(1.0) == 0.0
    assert questioned.pulses.step() == 1.0
    assert questioned.asked == ["a", "b"]


def test_a_question_nobody_listens_to_is_forgotten() -> None:
    questioned = Questioned()
    first, second = questioned.join(), questioned.join()
    questioned.pulses.leave(first)
    questioned.pulses.leave(first)
    questioned.pass_time(1.0)
    assert second.take() == b"2"
    questioned.pulses.leave(second)
    questioned.pulses.leave(second)
    assert questioned.pass_time(1.0) == math.inf
    assert len(questioned.asked) == 2


def test_a_question_taken_up_again_keeps_one_rhythm() -> None:
    questioned = Questioned()
    questioned.pulses.leave(questioned.join())
    questioned.pass_time(0.5)
    listener = questioned.join()
    del questioned.asked[:]
    for _ in range(4):
        questioned.pass_time(0.5)
    assert len(questioned.asked) == 2
    assert listener.take()


def test_a_log_that_cannot_be_read_costs_a_round_and_no_listener() -> None:
    questioned = Questioned()
    listener = questioned.join()
    listener.take()
    questioned.fault = LogUnavailable("gone fishing")
    assert questioned.pass_time(1.0) == 1.0
    assert listener.take() == b""
    with pytest.raises(LogUnavailable):
        questioned.join(Question("other", 1.0))
    questioned.fault = None
    questioned.pass_time(1.0)
    assert listener.take() == b"4"
