"""The events of a series behind a position, in order of position."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.block import Block, Columns
from rolling.summary import exact
from rolling.window import RollingWindow
from tests.rolling.test_block import rows_of


@pytest.mark.usefixtures("small_blocks")
@given(st.lists(st.integers(0, 40), max_size=150), st.integers(0, 320), st.integers(1, 60))
def test_behind_a_position_come_the_first_of_the_later_ones(times: list[int], after: int, limit: int) -> None:
    window = RollingWindow(0)
    for number, time in enumerate(times, 1):
        window.add(time, float(number), 2 * number, exact(float(number)))
    expected = [(time, 2 * number, float(number)) for number, time in enumerate(times, 1) if 2 * number > after]
    assert rows_of(window.behind(after, limit)) == expected[:limit]


@pytest.mark.usefixtures("small_blocks")
def test_blocks_that_end_before_the_position_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    window = RollingWindow(0)
    for number in range(1, 1000):
        window.add(number, 1.0, number, exact(1.0))
    looked_at: list[Block] = []
    columns = Block.columns

    def look_at(block: Block) -> Columns:
        looked_at.append(block)
        return columns(block)

    monkeypatch.setattr(Block, "columns", look_at)
    assert len(window.behind(500, 10)[0]) == 10
    assert len(looked_at) <= 3
