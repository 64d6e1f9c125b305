"""The events of a series behind a position, in order of position."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rolling.block import Block, Columns
from rolling.steps import nothing
from rolling.summary import exact
from rolling.window import RollingWindow
from tests.rolling.test_block import rows_of
from tests.rolling.test_view import Pair


@pytest.mark.usefixtures("small_blocks")
@given(st.lists(st.integers(0, 40), max_size=150), st.integers(0, 320), st.integers(1, 60))
def test_behind_a_position_come_the_first_of_the_later_ones(times: list[int], after: int, limit: int) -> None:
    window = RollingWindow(0)
    for number, time in enumerate(times, 1):
        window.add(time, float(number), 2 * number, exact(float(number)))
    expected = [(time, 2 * number, float(number)) for number, time in enumerate(times, 1) if 2 * number > after]
    assert rows_of(window.behind(after, limit, nothing)) == expected[:limit]


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
    assert len(window.behind(500, 10, nothing)[0]) == 10
    assert len(looked_at) <= 3


@pytest.mark.no_cover
@pytest.mark.usefixtures("small_blocks")
@given(
    st.lists(st.integers(20, 60), min_size=30, max_size=150),
    st.integers(0, 100),
    st.integers(1, 80),
    st.lists(st.lists(st.integers(0, 60), max_size=12) | st.integers(0, 50), max_size=30),
)
@example([20] * 127, 48, 80, [[], [0, 20]])  # one comes where it was looked, a later one where it was not
def test_what_comes_and_goes_in_pauses_is_told_as_it_was_at_first(
    times: list[int], after: int, limit: int, between: list[list[int] | int]
) -> None:
    pair = Pair.keeping(4)
    pair.add([(0, time, float(time)) for time in times])
    held = [column.tolist() for column in pair.view.windows[0].rows(200)]
    expected = sorted((row for row in zip(*held, strict=True) if row[1] > after), key=lambda row: row[1])
    happenings = iter(between)

    def happen(pauses: int) -> None:
        match next(happenings, None):
            case list() as more:
                pair.add([(0, time, float(time)) for time in more])
            case int() as horizon:
                pair.prune(horizon)
            case _:
                pass

    snapshot = pair.hold()
    found, _ = snapshot.ask_while(happen, lambda reading: reading.windows[0].behind(after, limit, reading.pause))
    assert rows_of(found) == expected[:limit]
    snapshot.close()
