from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.ranking import first_by

values = st.lists(st.tuples(st.text(max_size=2), st.none() | st.integers(-2, 2).map(float)), unique_by=lambda v: v[0])


@given(values, st.integers(1, 5), st.booleans())
def test_a_ranking_is_that_of_the_sorted_list(
    values: list[tuple[str, float | None]], limit: int, descending: bool
) -> None:
    with_value = [(value, name) for name, value in values if value is not None]
    ordered = sorted(with_value, key=lambda pair: (-pair[0] if descending else pair[0], pair[1]))
    names = [name for _, name in ordered] + sorted(name for name, value in values if value is None)
    assert first_by(values, limit, descending=descending) == names[:limit]


@pytest.mark.parametrize("descending", [False, True])
def test_no_series_make_no_ranking(descending: bool) -> None:
    assert first_by([], 3, descending=descending) == []
