"""Several series as one, against lists sorted anew: while events come and go, of every kind of span and question."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling import several
from rolling.histogram import at_bounds
from rolling.percentiles import Percentiles, percent
from rolling.reading import Reading
from rolling.several import first_and_last, summarised
from rolling.span import Span
from tests.rolling.model import assert_tail, percentiles_of, summary_of
from tests.rolling.test_histogram import assert_counts
from tests.rolling.test_history import check
from tests.rolling.test_last_of_several import happen, quiet
from tests.rolling.test_view import KEEPS, Event, Pair, events_from

WANTED = Percentiles((percent("0"), percent("37.5"), percent("100")), linear=True)
SOME = st.lists(st.integers(0, len(KEEPS) - 1), max_size=4, unique=True).map(sorted)
PORTIONS = st.lists(st.one_of(events_from(1, 60, 12), events_from(1, 200, 70), events_from(30, 32, 60)), max_size=6)
BOUNDS = [-2.0, 0.0, 1.0, 10.0]


def pair_of(portions: Sequence[list[Event]], horizon: int) -> Pair:
    pair = Pair.keeping(*KEEPS)
    for events in portions:
        pair.add(events)
    pair.prune(horizon)
    return pair


@pytest.mark.no_cover
@pytest.mark.usefixtures("small_blocks")
@given(
    PORTIONS,
    SOME,
    st.integers(0, 60),
    st.none() | st.integers(0, 210),
    st.none() | st.integers(1, 120),
    st.none() | st.integers(0, 210),
)
def test_they_are_what_the_sorted_list_of_all_of_them_is(
    portions: list[list[Event]], chosen: list[int], horizon: int, after: int | None, last: int | None, until: int | None
) -> None:
    pair = pair_of(portions, horizon)
    rows = pair.model.rows(chosen, after, horizon, last, until)
    span = Span(horizon, after, until, last)
    found = pair.view.figures(chosen, span, ends=True, wanted=WANTED)
    assert_tail(found, rows)
    assert found.percentiles == percentiles_of([value for _, _, value in rows], WANTED)
    assert_counts(pair.view.histogram(chosen, span, at_bounds(BOUNDS)), rows, BOUNDS, 0)


@pytest.mark.no_cover
@pytest.mark.usefixtures("small_blocks")
@given(
    PORTIONS,
    SOME,
    st.integers(0, 60),
    st.integers(0, 100),
    st.integers(0, 210),
    st.lists(st.integers(-5, 215), max_size=30).map(sorted),
)
def test_each_step_of_a_history_holds_what_the_sorted_list_has_there(
    portions: list[list[Event]], chosen: list[int], horizon: int, after: int, until: int, edges: list[int]
) -> None:
    check(pair_of(portions, horizon), chosen, after, until, edges)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("after", "last"), [(None, 60), (250, None), (250, 100), (None, 10**6)])
def test_an_answer_is_of_the_first_moment(after: int | None, last: int | None) -> None:
    def question(reading: Reading, span: Span) -> object:
        points = reading.history([*range(0, 12, 2)], 100, 290, [*range(90, 310, 10)], ends=True, wanted=WANTED)
        return reading.figures([*range(1, 12, 2)], span, ends=True, wanted=WANTED), points

    for seed in range(3):
        pair = quiet(seed, 12, moments=300)
        cutoff = pair.model.horizon
        rows = pair.model.rows([*range(1, 12, 2)], after, cutoff, last)
        held = pair.hold()
        asked = partial(question, span=Span(cutoff, after, None, last))
        wanted = asked(held.view)
        found, pauses = held.ask_while(partial(happen, pair, random.Random(seed), 300), asked)
        assert pauses > 20
        assert found == wanted
        assert_tail(found[0], rows)  # type: ignore[index]
        held.close()


@pytest.mark.parametrize("at_once", [10, 2**19])
def test_steps_of_many_events_and_of_few_have_their_percentiles(
    at_once: int, sizes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(several, "AT_ONCE", at_once)
    monkeypatch.setattr(several, "FEW", 50)
    generator = random.Random(at_once)
    pair = Pair.keeping(0, 0, 0)
    pair.add([(i % 3, min(generator.randrange(1, 400), 200), generator.uniform(-1, 1)) for i in range(2000)])
    check(pair, [0, 2], 3, 500, [*range(0, 500, 7)])


def test_values_of_any_size_add_up_over_more_than_a_row() -> None:
    """More at once than products of doubles stay exact for."""
    pair, generator = Pair.keeping(0, 0, 0), random.Random(1)
    pair.add([(i % 3, i // 40, generator.uniform(-1, 1) * 10 ** generator.randrange(-9, 9)) for i in range(30_000)])
    values = [value for _, _, value in pair.model.rows([0, 2], 300, 0, None)]
    ranges = pair.view.ranges([0, 2], Span(0, 300))
    assert summarised(ranges, lambda: None) == summary_of(values)
    [point] = pair.view.history([0, 2], 300, 10**6, [301, 10**6])
    assert point.summary == summary_of(values)


def test_whole_series_are_merged_without_reading_them() -> None:
    pair = Pair.keeping(0, 0, 0)
    pair.add([(i % 3, 10 + i // 3, float(i)) for i in range(300)])
    before = [window.summary for window in pair.view.windows.values()]
    for window in pair.view.windows.values():
        window.first._values = None  # nothing could be read
    for after in (0, 9):
        assert pair.view.figures_of(pair.view.ranges([0, 1], Span(0, after)), ends=False).summary.count == 200
    assert pair.view.ranges([0, 1], Span(0, 109)) == []
    assert [window.summary for window in pair.view.windows.values()] == before


def test_nothing_has_neither_ends_nor_statistics() -> None:
    assert first_and_last([], lambda: None) == (None, None)
    assert summarised([], lambda: None) == summary_of([])
