from __future__ import annotations

from itertools import islice

import pytest

from api import answers


def test_what_many_items_make_is_made_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[int] = []
    monkeypatch.setattr(answers, "run_for", lambda work, seconds: not list(islice(work, 3)))
    monkeypatch.setattr(answers, "give_way", lambda: ways.append(1))
    assert answers.in_portions(str(number) for number in range(8)) == list("01234567")
    assert len(ways) == 3
    assert answers.in_portions([]) == []
