from __future__ import annotations

import time
from itertools import count

import pytest

from view.portions import Pace, give_way, run_for


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows, one reading after the other."""
    readings = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: readings.pop(0) if len(readings) > 1 else readings[0])
    return readings


def test_work_goes_on_until_its_time_is_over(seconds: list[float]) -> None:
    work = iter(range(10))
    seconds[:] = [0.0, 0.004, 0.008, 0.012]
    assert not run_for(work, 0.01)
    assert next(work) == 3
    seconds[:] = [1.0]
    assert run_for(work, 0.01)
    assert run_for(work, 0.01)


def test_at_least_one_step_is_taken(seconds: list[float]) -> None:
    work = count()
    seconds[:] = [0.0, 99.0]
    assert not run_for(work)
    assert next(work) == 1


def test_giving_way_takes_next_to_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    give_way()
    assert 0 < slept[0] <= 0.001


def test_the_pace_follows_what_portions_took() -> None:
    pace = Pace(1000, 100, 5000)
    pace.learn(1000, 0.001)
    assert pace.size == 2000
    pace.learn(50, 0.0001)  # there was no more
    assert pace.size == 2000
    for _ in range(5):
        pace.learn(pace.size, 0.001)
    assert pace.size == 5000
    pace.learn(5000, 0.02)
    assert pace.size == 2500
    pace.learn(2500, 0.008)
    assert pace.size == 2500
    pace.learn(100_000, 1.0)  # one large record
    assert pace.size == 1000
    pace.learn(1000, 10.0)
    assert pace.size == 100
