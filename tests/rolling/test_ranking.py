from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.ranking import first_by

values = st.lists(st.none() | st.integers(-2, 2).map(float) | st.sampled_from([-0.0, 1e308, -1e308, 5e-324]))


@given(values, st.none() | st.integers(1, 5), st.booleans())
def test_a_ranking_is_that_of_the_sorted_list(values: list[float | None], limit: int | None, descending: bool) -> None:
    with_value = [(-value if descending else value, place) for place, value in enumerate(values) if value is not None]
    places = [place for _, place in sorted(with_value)]
    places += [place for place, value in enumerate(values) if value is None]
    assert first_by(values, limit, descending=descending) == places[:limit]


@pytest.mark.parametrize("descending", [False, True])
def test_no_series_make_no_ranking(descending: bool) -> None:
    assert first_by([], 3, descending=descending) == []


@pytest.mark.parametrize("descending", [False, True])
def test_ties_stay_in_order_however_many(descending: bool) -> None:
    values = [None, 1.0] * 5000
    assert first_by(values, None, descending=descending) == [*range(1, 10_000, 2), *range(0, 10_000, 2)]
