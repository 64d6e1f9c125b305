from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling import all_series, block
from rolling.block import Columns
from rolling.exact import summarise, summarise_parts
from rolling.figures import Figures, figures_of
from rolling.percentiles import Percentiles, percent
from rolling.window import RollingWindow
from tests.rolling.model import percentiles_of, summary_of
from tests.rolling.test_ranks import LINEAR, NEAREST
from tests.rolling.test_view import KEEPS, Event, Pair, events_from

LOW = Percentiles((percent("0"), percent("1")))
SIZES = pytest.mark.usefixtures("small_blocks")


def expected(
    pair: Pair,
    series: int | Sequence[int] | None,
    after: int,
    until: int,
    edges: list[int],
    wanted: Percentiles | None,
) -> list[Figures]:
    rows = pair.model.rows(series, after, 0, None, until)
    points = []
    for start, end in pairwise(edges):
        own = [row for row in rows if start <= row[0] < end]
        values = [value for _, _, value in own]
        first, last = (own[0], own[-1]) if own else (None, None)
        found = percentiles_of(values, wanted) if wanted else ()
        points.append(replace(figures_of(summary_of(values), first, last), percentiles=found))
    return points


def check(pair: Pair, series: int | Sequence[int] | None, after: int, until: int, edges: list[int]) -> None:
    for wanted in (None, NEAREST):
        points = pair.view.history(series, after, until, edges, ends=True, wanted=wanted)
        assert points == expected(pair, series, after, until, edges, wanted)
    bare = pair.view.history(series, after, until, edges)
    assert bare == [Figures(point.summary) for point in points]


ascending = st.lists(st.integers(-5, 215), max_size=30).map(sorted)


@SIZES
@given(
    st.lists(st.one_of(events_from(1, 60, 12), events_from(1, 200, 70), events_from(30, 32, 60)), max_size=6),
    st.integers(0, 60),
    st.integers(0, 100),
    st.integers(0, 210),
    ascending,
)
def test_every_step_holds_what_the_sorted_list_has_there(
    portions: list[list[Event]], horizon: int, after: int, until: int, edges: list[int]
) -> None:
    pair = Pair.keeping(*KEEPS)
    for events in portions:
        pair.add(events)
    pair.prune(horizon)
    for series in (None, 0, 2):
        check(pair, series, after, until, edges)
    pair.view.check()


@pytest.mark.parametrize("step", [1, 7, 400, 10**4])
def test_counts_add_up_to_the_statistics_of_the_window(step: int, sizes: None) -> None:
    generator = random.Random(step)
    pair = Pair.keeping(5, 5)
    pair.add([(i % 2, generator.randrange(1, 2000), generator.uniform(-1, 1)) for i in range(5000)])
    for series in (None, 0):
        for after, until in ((0, 3000), (150, 1777), (999, 1000), (1500, 1400)):
            edges = list(range(after // step * step, max(after, until) + 2 * step, step))
            points = pair.view.history(series, after, until, edges)
            whole = pair.tail(series, after, 0, None, False, until).summary
            assert sum(point.summary.count for point in points) == whole.count
            assert sum(point.summary.total for point in points) == whole.total


@SIZES
@pytest.mark.parametrize(
    ("series", "wanted", "prune"), [(None, None, True), (None, LINEAR, False), (0, None, False), (0, LINEAR, True)]
)
def test_the_points_are_those_of_the_first_moment(series: int | None, wanted: Percentiles | None, prune: bool) -> None:
    generator = random.Random(5)
    pair = Pair.keeping(0, 0)
    pair.add([(i % 2, i, float(i % 17)) for i in range(1, 1000)])
    edges = list(range(0, 1300, 13))
    points = expected(pair, series, 80, 1250, edges, wanted)
    whole = pair.tail(series, 80, 0, None, False, 1250).summary

    def between(pauses: int) -> None:
        pair.add([(generator.randrange(2), generator.randrange(100, 1200), 0.5) for _ in range(3)])
        if prune:
            pair.prune(90 + 3 * pauses)
        if pauses == 30:
            pair.end_series(1)
            pair.view.window(1)
            pair.model.register(1, 0)

    held = pair.hold()
    found, pauses = held.ask_while(
        between, lambda reading: reading.history(series, 80, 1250, edges, ends=True, wanted=wanted)
    )
    assert pauses > 30
    assert found == points
    assert sum(point.summary.count for point in found) == whole.count
    held.close()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("ends", [False, True])
def test_a_piece_of_a_deck_is_read_between_two_pauses(ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history of any length looks at no more members of a block than a piece has, or at one block."""
    pair = Pair.keeping(*[0] * 40)
    pair.add([(i % 40, i, float(i % 17)) for i in range(1, 4000)])
    looked: list[int] = []
    within = RollingWindow.within

    def counted(window: RollingWindow, oldest: tuple[int, int], end: tuple[int, int] | None) -> Columns | None:
        looked.append(1)
        return within(window, oldest, end)

    monkeypatch.setattr(RollingWindow, "within", counted)
    most: list[int] = []

    def between(pauses: int) -> None:
        most.append(len(looked))
        looked.clear()

    edges = list(range(0, 4100, 7))
    held = pair.hold()
    points, _ = held.ask_while(between, lambda reading: reading.history(None, 0, 4100, edges, ends=ends))
    assert max([*most, len(looked)]) <= max(all_series.MEMBERS_AT_ONCE, block.CAPACITY)
    assert points == [point if ends else Figures(point.summary) for point in expected(pair, None, 0, 4100, edges, None)]


def test_no_edges_make_no_points() -> None:
    pair = Pair.keeping(0)
    pair.add([(0, 5, 1.0)])
    for edges in ([], [3]):
        assert pair.view.history(0, 0, 9, edges) == []
        assert pair.view.history(0, 0, 9, edges, wanted=NEAREST) == []


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60),
    st.sets(st.integers(1, 59), max_size=9),
)
def test_parts_are_summarised_like_each_on_its_own(values: list[float], cuts: set[int]) -> None:
    starts = [0, *sorted(cut for cut in cuts if cut < len(values))]
    parts = np.split(np.array(values), starts[1:])
    assert summarise_parts(np.array(values), np.array(starts)) == [summarise(part) for part in parts]
