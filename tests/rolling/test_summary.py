from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import copysign, inf

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rolling.summary import SCALE, Summary, exact
from tests.rolling.model import assert_summarises, summary_of

LARGEST = 1.7976931348623157e308
SMALLEST = 5e-324

finite = st.floats(allow_nan=False, allow_infinity=False)
spread = st.builds(
    lambda sign, digits, power: sign * digits * 10.0**power,
    st.sampled_from([-1, 1]),
    finite.map(lambda value: abs(value) % 10 if abs(value) < 1e300 else 1.5),
    st.integers(-30, 30),
)
"""Mixed signs over 60 orders of magnitude."""
values = st.lists(st.one_of(finite, spread, st.sampled_from([0.0, -0.0, SMALLEST, -SMALLEST, 1e308, -1e308, 0.1])))


def summarised(numbers: list[float]) -> Summary:
    summary = Summary()
    for number in numbers:
        summary.add(number, *exact(number))
    return summary


@given(finite)
@example(SMALLEST)
@example(-SMALLEST)
@example(LARGEST)
@example(-0.0)
def test_a_double_and_its_square_are_whole_numbers_of_units(value: float) -> None:
    assert exact(value) == (Fraction(value) * 2**SCALE, Fraction(value) ** 2 * 2 ** (2 * SCALE))


@given(values)
@example([SMALLEST])
@example([SMALLEST, 0.0])
@example([SMALLEST, SMALLEST, 0.0])
@example([LARGEST, LARGEST])
@example([LARGEST, -LARGEST])
@example([LARGEST, LARGEST, -LARGEST])
@example([1e16, 1.0, -1e16])
@example([1e308, 5e-324, -1e308])
@example([1e-162, 3e-162])
@example([-0.0, 0.0])
@example([0.1] * 10)
@example([2.0**53 - 2, 2.0**53, 1 - 2.0**53, 3 - 2.0**53])  # a hair above the middle of two doubles
@example([1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16])
def test_statistics_are_the_exact_ones_rounded_once(numbers: list[float]) -> None:
    assert_summarises(summarised(numbers), numbers)


@given(values, values)
def test_merging_is_the_same_as_adding(some: list[float], others: list[float]) -> None:
    merged = summarised(some)
    merged.merge(summarised(others))
    assert merged == summarised(some + others) == summary_of(some + others)


@given(st.lists(values, max_size=4))
def test_no_order_of_merging_matters(groups: list[list[float]]) -> None:
    seen = []
    for order in permutations(groups):
        merged = Summary()
        for group in order:
            merged.merge(summarised(group))
        seen.append(merged)
    assert all(other == seen[0] for other in seen)


@pytest.mark.parametrize("numbers", [[0.0, -0.0], [-0.0, 0.0], [-0.0]])
def test_minus_zero_is_zero_whichever_came_first(numbers: list[float]) -> None:
    summary = summarised(numbers)
    for zero in (summary.min, summary.max, summary.sum, summary.mean, summary.variance, summary.stddev):
        assert zero is not None
        assert copysign(1.0, zero) == 1.0


def test_an_empty_summary_has_a_sum_of_zero_and_nothing_else() -> None:
    assert_summarises(Summary(), [])


def test_a_result_beyond_the_doubles_is_none() -> None:
    summary = summarised([LARGEST, LARGEST, -LARGEST, -LARGEST, LARGEST])
    assert summary.sum == LARGEST
    assert summary.variance is None
    assert summary.stddev == LARGEST * 0.9797958971132712
    assert summarised([LARGEST, LARGEST]).sum is None


def test_a_copy_is_independent() -> None:
    summary = summarised([1.0])
    copy = summary.copy()
    copy.add(2.0, *exact(2.0))
    assert (summary.count, copy.count) == (1, 2)
    assert summary != copy


def test_equality_is_about_what_is_summarised() -> None:
    assert Summary() == Summary(0, 0, 0, inf, -inf)
    assert Summary() != 0
    with pytest.raises(TypeError):
        hash(Summary())


def test_repr_shows_the_statistics() -> None:
    assert repr(summarised([1.0, 2.5])) == "Summary(count=2, sum=3.5, min=1.0, max=2.5)"
