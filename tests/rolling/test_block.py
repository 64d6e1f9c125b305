from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.block import EARLIEST, Block, Columns
from rolling.exact import summarise
from rolling.summary import exact
from tests.rolling.model import Row, summary_of

FAR = 2**40


def columns_of(rows: list[Row]) -> Columns:
    rows = sorted(rows)
    return (
        np.array([time for time, _, _ in rows], np.int64),
        np.array([position for _, position, _ in rows], np.int64),
        np.array([value for _, _, value in rows], np.float64),
    )


def rows_of(columns: Columns) -> list[Row]:
    times, positions, values = columns
    return list(zip(times.tolist(), positions.tolist(), values.tolist(), strict=True))


def append(block: Block, row: Row) -> None:
    time, position, value = row
    block.append(time, value, position)
    block.summary.add(value, *exact(value))


def extend(block: Block, rows: list[Row]) -> None:
    columns = columns_of(rows)
    block.extend(columns)
    block.summary.merge(summarise(columns[2]))


def filled(groups: list[list[Row]]) -> Block:
    """A block that took groups of one by `append`, others by `extend`."""
    block = Block(EARLIEST, 0)
    for group in groups:
        if len(group) == 1:
            append(block, group[0])
        else:
            extend(block, group)
        block.check()
    return block


def numbered(times: list[list[int]], steps: list[int]) -> list[list[Row]]:
    """Groups of rows at growing positions: `steps` says how far each group's are apart."""
    position = 0
    groups = []
    for group, step in zip(times, steps, strict=False):
        rows = []
        for time in group:
            position += step
            rows.append((time, position, float(position % 7) / 3))
        groups.append(rows)
    return groups


groups = st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=6), max_size=12)
gaps = st.lists(st.sampled_from([1, 1, 1, 2, 1000, 2**31, 2**33]), min_size=12, max_size=12)


@given(groups, gaps)
def test_rows_come_back_in_order_however_they_came(times: list[list[int]], steps: list[int]) -> None:
    given_rows = numbered(times, steps)
    block = filled(given_rows)
    rows = sorted(row for group in given_rows for row in group)
    assert rows_of(block.columns()) == rows
    block.check()
    for time in range(-6, 7):
        assert block.count_after(time) == sum(row[0] > time for row in rows)
    for count in range(1, len(rows) + 1):
        assert block.tail(count) == summary_of([value for _, _, value in rows[-count:]])


@given(groups.filter(lambda times: sum(map(len, times)) >= 2), gaps, st.booleans())
def test_a_split_moves_the_later_rows(times: list[list[int]], steps: list[int], last: bool) -> None:
    given_rows = numbered(times, steps)
    block = filled(given_rows)
    size = block.summary.count
    if last and size < 16:
        last = False
    right = block.split(last)
    block.check()
    right.check()
    assert rows_of(block.columns()) + rows_of(right.columns()) == sorted(row for group in given_rows for row in group)
    assert (right.start, right.start_position) == rows_of(right.columns())[0][:2]
    assert right.summary.count == (size // 16 if last else size - size // 2)


def test_equal_times_and_gapless_positions_take_no_column() -> None:
    block = filled([[(7, 10, 1.0)], [(7, 11, 2.0), (7, 12, 3.0)]])
    assert block._times is None
    assert block._positions is None
    append(block, (8, 13, 4.0))
    append(block, (8, 15, 5.0))
    block.check()
    assert rows_of(block.columns()) == [(7, 10, 1.0), (7, 11, 2.0), (7, 12, 3.0), (8, 13, 4.0), (8, 15, 5.0)]


@pytest.mark.parametrize("step", [2**32 - 1, 2**32, 2**32 + 1, FAR])
def test_positions_far_apart_still_fit(step: int) -> None:
    one_by_one = filled([[(1, 5, 1.0)], [(2, 5 + step, 2.0)], [(3, 6 + step, 3.0)]])
    together = filled([[(1, 5, 1.0), (2, 5 + step, 2.0)], [(3, 6 + step, 3.0), (4, 6 + 2 * step, 4.0)]])
    assert [row[1] for row in rows_of(one_by_one.columns())] == [5, 5 + step, 6 + step]
    assert [row[1] for row in rows_of(together.columns())] == [5, 5 + step, 6 + step, 6 + 2 * step]


def test_a_batch_taken_in_by_time_may_bring_positions_below_the_first() -> None:
    block = filled([[(5, 100, 1.0)], [(6, 98, 2.0)], [(7, 99, 3.0)], [(8, 90, 4.0), (8, 91, 5.0)]])
    assert [position for _, position, _ in rows_of(block.columns())] == [100, 98, 99, 90, 91]
    append(block, (8, 100 + FAR, 6.0))
    block.check()
    assert rows_of(block.columns())[-1] == (8, 100 + FAR, 6.0)


def test_putting_rows_in_order_keeps_them_whole() -> None:
    block = filled([[(3, 1, 1.0)], [(1, 2, 2.0)], [(2, 3, 3.0)]])
    assert rows_of(block.columns()) == [(1, 2, 2.0), (2, 3, 3.0), (3, 1, 1.0)]
    append(block, (9, 4, 4.0))
    append(block, (0, 9, 5.0))
    block.check()
    assert rows_of(block.columns())[0] == (0, 9, 5.0)
    block.check()
