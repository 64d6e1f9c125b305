from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolling.percentiles import Percentiles, percent
from tests.rolling.model import percentiles_of

doubles = st.floats(allow_nan=False, allow_infinity=False)
percents = st.decimals(0, 100, places=4).map(lambda number: str(number).rstrip("0").rstrip(".") or "0")


@pytest.mark.parametrize(
    ("text", "share"), [("50", Fraction(1, 2)), ("99.9", Fraction(999, 1000)), ("0", 0), ("100", 1), ("0.0001", None)]
)
def test_a_percentage_is_read_as_decimal_digits(text: str, share: Fraction | None) -> None:
    assert percent(text) == (Fraction(1, 10**6) if share is None else share)


@pytest.mark.parametrize("text", ["", "-1", "100.1", "101", "1e1", "50%", "99.99999", ".5", "5.", " 5", "٥٠", "nan"])
def test_anything_else_is_no_percentage(text: str) -> None:
    with pytest.raises(ValueError):
        percent(text)


def test_a_rank_is_that_of_the_exact_fraction() -> None:
    """With q as a float, ceil(q * n) of the 7 % of 100 values is 8."""
    values = np.arange(1.0, 101.0)
    for number in range(1, 101):
        assert Percentiles((percent(str(number)),)).of(values) == [number]
    assert Percentiles((percent("0"),)).of(values) == [1]


@given(st.lists(doubles, max_size=30), st.lists(percents, max_size=4), st.booleans())
def test_percentiles_are_those_of_the_sorted_list(values: list[float], asked: list[str], linear: bool) -> None:
    wanted = Percentiles(tuple(percent(text) for text in asked), linear)
    assert wanted.of(np.sort(np.array(values))) == percentiles_of(values, wanted)


def test_between_two_values_is_rounded_once() -> None:
    tiny, third = 5e-324, Percentiles((Fraction(1, 3),), linear=True)
    assert third.of(np.array([tiny, 2 * tiny])) == [tiny]
    assert third.of(np.array([-1.7e308, 1.7e308])) == [float(Fraction(-1.7e308) + 2 * Fraction(1.7e308) / 3)]
    assert third.of(np.array([0.1, 0.1])) == [0.1]


def test_no_answer_is_minus_zero() -> None:
    for linear in (False, True):
        found = Percentiles((Fraction(0), Fraction(1, 2), Fraction(1)), linear).of(np.array([-0.0, -0.0]))
        assert [str(value) for value in found] == ["0.0"] * 3
