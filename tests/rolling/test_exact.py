from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rolling.exact import MOST_LIMBS, SUMMED_SINGLY, WIDEST_ROW, summarise, summarise_rows
from tests.rolling.model import summary_of
from tests.rolling.test_summary import LARGEST, SMALLEST, finite, spread

likely = st.one_of(
    st.floats(-1e6, 1e6), st.integers(-(10**6), 10**6).map(float), st.sampled_from([0.0, -0.0, 0.1, 1e-3])
)
rows = st.one_of(
    st.lists(likely, min_size=1, max_size=80),
    st.lists(spread, min_size=1, max_size=80),
    st.lists(finite, min_size=1, max_size=80),
    st.lists(st.floats(-1e-300, 1e-300), min_size=1, max_size=80),
    st.lists(st.floats(1e270, 1e308), min_size=1, max_size=80),
)


@given(rows, st.integers(1, 90))
@example([SMALLEST] * 40, 40)
@example([SMALLEST, LARGEST] * 20, 7)
@example([LARGEST, -LARGEST, 1.0] * 20, 60)
@example([1e-310, 3e-320, -5e-324] * 20, 30)
@example([2.0**899, 2.0**-100] * 20, 30)
@example([2.0**-501, -(2.0**-520)] * 20, 30)
@example([0.0, -0.0] * 20, 40)
@example([1.0, 2.0**-52, 2.0**-300] * 20, 40)
def test_rows_at_once_equal_values_one_by_one(values: list[float], width: int) -> None:
    found = summarise_rows(np.array(values), width)
    assert found == [summary_of(values[i : i + width]) for i in range(0, len(values), width)]


@given(st.lists(likely, max_size=2 * SUMMED_SINGLY))
def test_a_few_values_and_many_go_different_ways_to_the_same_summary(values: list[float]) -> None:
    assert summarise(np.array(values)) == summary_of(values)


@pytest.mark.parametrize("value", [LARGEST, 2.0**52 - 0.5, (2.0**53 - 1) * 2.0**-60, 1 - 2.0**-53, 3 * SMALLEST])
def test_the_widest_row_of_the_largest_limbs_stays_exact(value: float) -> None:
    assert summarise(np.full(WIDEST_ROW, value)) == summary_of([value] * WIDEST_ROW)
    assert summarise(np.tile([value, -value], WIDEST_ROW // 2)) == summary_of([value, -value] * (WIDEST_ROW // 2))


def test_the_widest_row_of_large_odd_limbs_stays_exact() -> None:
    values = (2.0**53 - np.random.default_rng(4).integers(1, 1000, WIDEST_ROW) * 2.0**32).astype(np.float64)
    assert summarise(values) == summary_of(values.tolist())


@pytest.mark.parametrize("gap", [21 * (MOST_LIMBS - 1), 21 * MOST_LIMBS - 1, 21 * MOST_LIMBS, 21 * MOST_LIMBS + 1])
def test_more_limbs_than_allowed_fall_back_to_one_by_one(gap: int) -> None:
    values = [1.0, 2.0**-gap, -3.0] * 10
    assert summarise(np.array(values)) == summary_of(values)


def test_random_rows_of_many_magnitudes() -> None:
    random = np.random.default_rng(1)
    for power in (0, 1, 10, 30, 60, 150):
        values = random.normal(size=3000) * 10.0 ** random.integers(-power, power + 1, 3000)
        found = summarise_rows(values, 1024)
        assert found == [summary_of(values[i : i + 1024].tolist()) for i in (0, 1024, 2048)]
