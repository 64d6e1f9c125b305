"""Histograms against a plain count, while events come and go."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import pytest

from rolling import histogram, scan
from rolling.block import Values
from rolling.histogram import Histogram, at_bounds, in_bins
from rolling.span import Span
from rolling.steps import Steps, finished
from tests.rolling.model import Row
from tests.rolling.test_last_of_all import happen, quiet
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


def in_portions(steps: Steps[Histogram], pair: Pair, generator: random.Random) -> Histogram:
    portions = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Histogram = end.value
            return found
        portions += 1
        happen(pair, generator, 300, portions)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("bounds", "bins"), [([0.0, 2.0, 2.5, 10.0, 99.0], 0), ([-5.0], 0), (None, 1), (None, 7)])
@pytest.mark.parametrize("rounds", [0, 3])
def test_it_is_that_of_the_last_moment(
    bounds: list[float] | None, bins: int, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "ROUNDS", rounds)
    divide = in_bins(bins) if bounds is None else at_bounds(bounds)
    for seed in range(3):
        for after, last in ((0, None), (None, 60), (None, 10**6), (150, 30)):
            generator = random.Random(seed)
            pair = quiet(seed, 12, moments=300)
            cutoff = pair.model.horizon
            found = in_portions(pair.view.histogram(None, Span(cutoff, after, None, last), divide), pair, generator)
            assert_counts(found, pair.model.rows(None, after, cutoff, last), bounds, bins)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("series", [None, 0])
def test_what_is_greater_than_all_may_come_each_time(series: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some attempts nobody is let in any more."""
    for size, value in (("PORTION", 64), ("SMALLEST", 1)):
        monkeypatch.setattr(scan, size, value)
    pair = Pair.keeping(0, 0)
    pair.add([(i % 2, i, float(i)) for i in range(1, 900)])
    steps = pair.view.histogram(series, Span(0, 90), in_bins(9))
    portions = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found = end.value
            break
        portions += 1
        pair.add([(0, 900, 1000.0 * 2**portions)])
    assert portions > histogram.ATTEMPTS
    assert_counts(found, pair.model.rows(series, 90, 0, None), None, 9)


def test_bounds_are_rounded_once_and_equal_ones_are_one() -> None:
    generator = random.Random(1)
    for _ in range(60):
        values = [generator.choice([5e-324, 1e308, -1e308, 0.1, 0.3, 7.0, generator.uniform(-1, 1)]) for _ in range(2)]
        number = generator.choice([1, 2, 3, 10, 1000])
        assert in_bins(number)(min(values), max(values)) == bins_of(values, number)
    assert in_bins(1000)(0.3, 0.3) == [0.3]
    assert str(in_bins(2)(-5e-324, 5e-324)[0]) == str(in_bins(2)(-5e-324, 0.0)[0]) == "0.0"


def test_a_unit_takes_no_more_room_than_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand series with a thousand bounds would else take hundreds of megabytes."""
    batches: list[scan._Batch] = []
    plain = scan.Census._batch

    def kept(self: scan.Census, pieces: Sequence[Values]) -> scan._Batch:
        batches.append(plain(self, pieces))
        return batches[-1]

    monkeypatch.setattr(scan.Census, "_batch", kept)
    pair = Pair.keeping(*[None] * 50)
    pair.add([(i % 50, 1 + i, float(i)) for i in range(150)])
    divide = at_bounds([float(i) for i in range(1000)])
    found = finished(pair.view.histogram(None, Span(10**6, None, None, 150), divide))
    assert sum(found.counts) == sum(sum(batch.numbers) for batch in batches) == 150
    assert sum(len(batch.places) for batch in batches) == 150


def test_no_event_has_no_bounds() -> None:
    view = Pair.keeping(0).view
    for divide in (at_bounds([1.0]), in_bins(5)):
        found = finished(view.histogram(None, Span(0, 0), divide))
        assert (list(found.bounds), found.counts) == ([], [0])
