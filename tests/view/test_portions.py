from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace

import pytest

from view import portions
from view.portions import giving_way, run_for


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Readings of the clock, one after the other."""
    readings = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: readings.pop(0) if len(readings) > 1 else readings[0])
    monkeypatch.setattr(portions, "time", clock)  # not that of the threads that other tests have left
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


def test_between_items_others_are_let_in_once_the_time_is_over(
    seconds: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[object] = []

    def items() -> Iterator[int]:
        for number in range(5):
            happened.append(number)
            yield number

    monkeypatch.setattr(portions, "give_way", lambda: happened.append("others"))
    seconds[:] = [0.0, 0.004, 0.009, 0.012, 0.02, 0.021, 0.031]
    assert list(giving_way(items(), 0.01)) == list(range(5))
    assert happened == [0, 1, 2, "others", 3, 4, "others"]
