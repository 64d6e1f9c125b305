"""Histograms against a plain count, while events come and go."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial

import pytest

from rolling.histogram import Histogram, at_bounds, in_bins
from rolling.span import Span
from tests.rolling.model import Row
from tests.rolling.test_last_of_several import happen, quiet
from tests.rolling.test_view import Pair


def counted(values: list[float], bounds: list[float]) -> list[int]:
    """The plain way: each value looked at for each bound."""
    return [
        sum((not i or bounds[i - 1] <= value) and (i == len(bounds) or value < bounds[i]) for value in values)
        for i in range(len(bounds) + 1)
    ]


def bins_of(values: list[float], number: int) -> list[float]:
    if not values:
        return []
    low, high = Fraction(min(values)), Fraction(max(values))
    return sorted({float(low + Fraction(i) * (high - low) / number) for i in range(1, number)})


def assert_counts(found: Histogram, rows: list[Row], bounds: list[float] | None, bins: int) -> None:
    values = [value for _, _, value in rows]
    expected = bins_of(values, bins) if bounds is None else bounds if values else []
    assert list(found.bounds) == expected
    assert found.counts == counted(values, expected)
    assert sum(found.counts) == len(values)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("bounds", "bins"), [([0.0, 2.0, 2.5, 10.0, 99.0], 0), ([-5.0], 0), (None, 1), (None, 7)])
def test_it_is_that_of_the_first_moment(bounds: list[float] | None, bins: int) -> None:
    divide = in_bins(bins) if bounds is None else at_bounds(bounds)
    for seed in range(3):
        for after, last in ((0, None), (None, 60), (None, 10**6), (150, 30)):
            pair = quiet(seed, 12, moments=300)
            cutoff = pair.model.horizon
            rows = pair.model.rows(None, after, cutoff, last)
            held, span = pair.hold(), Span(cutoff, after, None, last)
            found, _ = held.ask_while(
                partial(happen, pair, random.Random(seed), 300),
                lambda reading, span=span: reading.histogram(None, span, divide),  # type: ignore[misc]
            )
            assert_counts(found, rows, bounds, bins)
            held.close()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("series", [None, 0])
def test_what_is_greater_than_all_may_come_each_time(series: int | None) -> None:
    pair = Pair.keeping(0, 0)
    pair.add([(i % 2, i, float(i)) for i in range(1, 900)])
    rows = pair.model.rows(series, 90, 0, None)
    held = pair.hold()
    found, pauses = held.ask_while(
        lambda pauses: pair.add([(0, 900, 1000.0 * 2**pauses)]),
        lambda reading: reading.histogram(series, Span(0, 90), in_bins(9)),
    )
    assert pauses > 5
    assert_counts(found, rows, None, 9)


def test_bounds_are_rounded_once_and_equal_ones_are_one() -> None:
    generator = random.Random(1)
    for _ in range(60):
        values = [generator.choice([5e-324, 1e308, -1e308, 0.1, 0.3, 7.0, generator.uniform(-1, 1)]) for _ in range(2)]
        number = generator.choice([1, 2, 3, 10, 1000])
        assert in_bins(number)(min(values), max(values)) == bins_of(values, number)
    assert in_bins(1000)(0.3, 0.3) == [0.3]
    assert str(in_bins(2)(-5e-324, 5e-324)[0]) == str(in_bins(2)(-5e-324, 0.0)[0]) == "0.0"


def test_no_event_has_no_bounds() -> None:
    view = Pair.keeping(0).view
    for divide in (at_bounds([1.0]), in_bins(5)):
        found = view.histogram(None, Span(0, 0), divide)
        assert (list(found.bounds), found.counts) == ([], [0])
