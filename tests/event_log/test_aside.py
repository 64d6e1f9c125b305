"""Work in a real thread: it rests often enough that the others of its process can run."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from event_log import aside
from event_log.aside import REST_SECONDS, TURN_SECONDS, Turns


class Clock:
    """Stands still but for rests and what is added."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rests: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds


def test_a_turn_that_is_over_ends_with_a_rest_and_the_next_one_begins_behind_it() -> None:
    clock = Clock()
    turns = Turns(clock, clock.sleep)
    turns.give_way()
    assert clock.rests == []
    clock.now += TURN_SECONDS
    turns.give_way()
    turns.give_way()
    assert clock.rests == [REST_SECONDS]


def test_giving_way_takes_next_to_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(aside, "time", SimpleNamespace(sleep=slept.append))
    aside.give_way()
    assert 0 < slept[0] <= 0.001
