from __future__ import annotations

import pytest

from api import answers
from view.asking import SECONDS


def test_between_what_takes_long_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    ways: list[float] = []
    monkeypatch.setattr(answers, "perf_counter", lambda: now)
    monkeypatch.setattr(answers, "give_way", lambda: ways.append(now))
    found = []
    for item in answers.in_portions(range(10)):
        found.append(item)
        now += SECONDS / 2
    assert found == list(range(10))
    assert ways == pytest.approx([SECONDS * 1.5 * number for number in (1, 2, 3)])
    assert list(answers.in_portions([])) == []
