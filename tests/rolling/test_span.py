from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.several import summarised
from rolling.span import Range, Span
from rolling.steps import nothing
from tests.rolling.model import summary_of
from tests.rolling.test_block import rows_of
from tests.rolling.test_timeline import batches, timeline_of
from tests.rolling.test_view import Pair

pytestmark = pytest.mark.usefixtures("small_blocks")


@given(batches, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=20))
def test_every_range_is_that_of_the_sorted_list(batches: list[int | list[int]], asked: list[tuple[int, int]]) -> None:
    timeline, rows = timeline_of(batches)
    for begin, end in asked:
        begin, end = min(begin, len(rows)), min(end, len(rows))
        part = rows[len(rows) - begin : len(rows) - end]
        ranges = [Range(timeline, begin, end)] if part else []
        assert summarised(ranges, nothing) == summary_of([value for _, _, value in part])


def test_a_span_becomes_one_range_of_the_series() -> None:
    pair = Pair.keeping(3)
    pair.add([(0, time, float(time)) for time in range(1, 101)])
    window = pair.view.windows[0]
    assert pair.view.ranges(0, Span(cutoff=0, after=40, until=60)) == [Range(window, 60, 40)]
    assert pair.view.ranges(0, Span(cutoff=0, after=40, until=60, last=5)) == [Range(window, 45, 40)]
    assert pair.view.ranges(0, Span(cutoff=99, until=99)) == [Range(window, 3, 1)]
    assert pair.view.ranges(0, Span(cutoff=0, until=30, last=10)) == [Range(window, 80, 70)]


@pytest.mark.parametrize("series", [None, 0])
def test_a_span_without_events_has_no_range(series: int | None) -> None:
    pair = Pair.keeping(3, 3)
    pair.add([(0, time, 1.0) for time in range(10, 20)])
    for span in (Span(0, 50), Span(0, 12, 12), Span(0, 15, 11), Span(0, None, 9), Span(0, 12, 9, 5)):
        assert pair.view.ranges(series, span) == []


def test_the_last_ones_of_all_until_a_moment_are_found_where_each_series_keeps_them() -> None:
    pair = Pair.keeping(9, 9)
    pair.add([(i % 2, i, float(i)) for i in range(1, 41)])
    pair.prune(40)
    ranges = pair.view.ranges(None, Span(cutoff=40, until=35, last=4))
    rows = [row for timeline, begin, end in ranges for row in rows_of(timeline.rows(begin))[: begin - end]]
    assert sorted(row[0] for row in rows) == [32, 33, 34, 35]
