from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.block import EARLIEST, Block
from rolling.deck import Deck
from rolling.summary import exact
from rolling.timeline import Timeline
from tests.rolling.model import Row, summary_of
from tests.rolling.test_block import columns_of, rows_of

pytestmark = pytest.mark.usefixtures("small_blocks")

times = st.integers(-50, 50)
batches = st.lists(st.one_of(times, st.lists(times, min_size=1, max_size=80)), max_size=20)


def timeline_of(batches: list[int | list[int]]) -> tuple[Timeline[Block], list[Row]]:
    """A timeline that took these times, one by one or many at once; and its rows, in order."""
    timeline = Timeline(Block(EARLIEST, 0))
    rows: list[Row] = []
    for batch in batches:
        if isinstance(batch, int):
            position = len(rows) + 1
            value = position / 3
            timeline.add(batch, value, position, exact(value))
            rows.append((batch, position, value))
        else:
            new = [(time, position, position / 3) for position, time in enumerate(batch, len(rows) + 1)]
            taken = [took[1:] for took in timeline.add_many(columns_of(new)) if took is not None]
            assert [bound for pair in taken for bound in pair][1:-1:2] == [i for i, _ in taken[1:]]
            assert (taken[0][0], taken[-1][1]) == (0, len(new))
            rows += new
        timeline.check()
    return timeline, sorted(rows)


@given(batches)
def test_every_tail_is_that_of_the_sorted_list(batches: list[int | list[int]]) -> None:
    timeline, rows = timeline_of(batches)
    assert len(timeline) == len(rows)
    assert timeline.summary == summary_of([value for _, _, value in rows])
    assert rows_of(timeline.rows(len(rows) + 5)) == rows
    for time in range(-51, 52, 3):
        assert timeline.count_after(time) == sum(row[0] > time for row in rows)
    for count in range(len(rows) + 2):
        tail = rows[max(0, len(rows) - count) :]
        assert timeline.tail(count) == summary_of([value for _, _, value in tail])
        assert rows_of(timeline.rows(count)) == tail
        assert not 1 <= count <= len(rows) or timeline.row(count) == tail[0]


@given(batches, st.integers(1, 40))
def test_dropping_blocks_from_the_front_leaves_the_rest_whole(batches: list[int | list[int]], step: int) -> None:
    timeline, rows = timeline_of(batches)
    while len(timeline) > step:
        before = timeline.first
        dropped = list(timeline.drop(step, Block(EARLIEST, 0)))
        timeline.check()
        assert dropped[:1] == ([] if timeline.first is before else [before])
        gone = len(rows) - len(timeline)
        assert gone <= step < gone + timeline.first.summary.count
        rows = rows[gone:]
        assert rows_of(timeline.rows(len(rows))) == rows
        step += 1 + step // 2
    timeline.add(-100, 1.0, 10**6, exact(1.0))
    timeline.check()
    assert timeline.row(len(rows) + 1) == (-100, 10**6, 1.0)
    assert list(timeline.drop(len(timeline), spare := Block(EARLIEST, 0)))
    timeline.check()
    assert timeline.first is spare


@pytest.mark.parametrize("arranged", [sorted, lambda times: sorted(times, reverse=True), list])
def test_a_deep_tree_grows_from_any_order_of_arrival(arranged: object) -> None:
    assert callable(arranged)
    shuffled = np.random.default_rng(3).permutation(1200).tolist()
    timeline, rows = timeline_of([arranged(shuffled)[start : start + 40] for start in range(0, 1200, 40)])
    depth = 0
    node: object = timeline._root
    while isinstance(node, Deck):
        node = node.children[0]
        depth += 1
    assert depth >= 3
    assert rows_of(timeline.rows(1200)) == rows


def test_one_instant_may_fill_many_blocks() -> None:
    timeline, rows = timeline_of([[5] * 30, 5, [4] * 20, [5] * 50, 6, 5, [6] * 9, 4])
    assert timeline.count_after(4) == sum(time > 4 for time, _, _ in rows)
    assert rows_of(timeline.rows(200)) == rows
    pieces = [row for columns in timeline.between(5, 5) for row in rows_of(columns)]
    assert [row for row in pieces if row[0] == 5] == [row for row in rows if row[0] == 5]


def test_an_empty_timeline_answers() -> None:
    timeline, _ = timeline_of([])
    timeline.check()
    assert timeline.tail(5) == summary_of([])
    assert timeline.count_after(0) == 0
    assert rows_of(timeline.rows(5)) == []
    assert not list(timeline.add_many(columns_of([])))
