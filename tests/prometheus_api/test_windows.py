"""Windows that overlap, as each would be worked out alone."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import inf, isnan, nan
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from prometheus import quantiles, windows
from prometheus.source import Samples
from prometheus.windows import FUNCTIONS, over, quantile
from rolling.exact import summarise
from rolling.summary import Summary


def values_of(kind: str, rng: np.random.Generator, size: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values that are all different, of which most are equal, that spread widely, or that need many limbs."""
    if kind == "different":
        return rng.normal(100, 10, size)
    if kind == "equal":
        return rng.choice([1.0, 1.0, 1.0, 2.5, -3.0], size)
    if kind == "wide":
        return np.power(10.0, rng.uniform(-300, 300, size))
    return rng.integers(-5, 900, size).astype(np.float64)


@pytest.fixture(params=["different", "equal", "wide", "whole"])
def samples(request: pytest.FixtureRequest) -> list[Samples]:
    rng = np.random.default_rng(7)
    return [
        Samples(np.sort(rng.integers(0, 10_000, size)), values_of(request.param, rng, size))
        for size in (1_500, 0, 1, 30)
    ]


ENDS = np.arange(0, 12_000, 371)


def checked(samples: list[Samples], width: int, function: windows.Function) -> Any:
    """The values in each window, as (row, step, them, what the function says)."""
    found, there = over(samples, ENDS, width, function)
    for row, (times, values) in enumerate(samples):
        for step, end in enumerate(ENDS.tolist()):
            inside = values[(times > end - width) & (times <= end)]
            assert there[row, step] == bool(len(inside))
            if len(inside):
                yield step, inside, found[row, step]


@pytest.mark.parametrize("width", [50, 371, 4_000])
@pytest.mark.parametrize("q", [0.0, 0.5, 0.987, 1.0])
def test_a_quantile_is_that_of_its_window(samples: list[Samples], width: int, q: float) -> None:
    shares = np.full(len(ENDS), q)
    for _, inside, found in checked(samples, width, quantile(shares, lambda: None)):
        rank = q * (len(inside) - 1)
        low = int(rank)
        below, above = np.sort(inside)[[low, min(low + 1, len(inside) - 1)]]
        assert found == below * (1 - (rank - low)) + above * (rank - low)


def test_each_step_has_its_own_quantile_and_none_beyond_0_and_1(samples: list[Samples]) -> None:
    shares = np.resize([-1.0, 2.0, nan, 0.0, 1.0], len(ENDS))
    for step, inside, found in checked(samples, 4_000, quantile(shares, lambda: None)):
        expected = [-inf, inf, nan, inside.min(), inside.max()][step % 5]
        assert found == expected or (isnan(found) and isnan(expected))


def test_windows_that_overlap_much_share_their_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("each window was looked at alone")

    monkeypatch.setattr(quantiles, "_picker", fail)
    values = np.arange(1000.0)
    begins = np.arange(0, 100)
    found = quantiles.quantiles(values, begins, begins + 900, np.full(100, 0.5), lambda: None)
    assert found.tolist() == [begin + 449.5 for begin in begins.tolist()]
    with pytest.raises(AssertionError):
        quantiles.quantiles(values, begins, begins + 1, np.full(100, 0.5), lambda: None)


@pytest.mark.parametrize("width", [50, 371, 4_000])
def test_sums_are_those_of_each_window_rounded_once(samples: list[Samples], width: int) -> None:
    statistics: dict[str, Callable[[Summary], float | None]] = {
        "sum_over_time": lambda summary: summary.sum,
        "avg_over_time": lambda summary: summary.mean,
        "stdvar_over_time": lambda summary: summary.variance,
        "stddev_over_time": lambda summary: summary.stddev,
    }
    found = {name: checked(samples, width, FUNCTIONS[name]) for name in statistics}
    for rows in zip(*found.values(), strict=True):
        summary = summarise(rows[0][1])
        for (name, statistic), (_, _, value) in zip(statistics.items(), rows, strict=True):
            expected = statistic(summary)
            assert value == (inf if expected is None else expected), name


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_sum_beyond_the_doubles_is_infinite(sign: float) -> None:
    samples = [Samples(np.arange(9), np.full(9, sign * 1.7e308))]
    [found], _ = over(samples, np.array([8]), 9, FUNCTIONS["sum_over_time"])
    assert found.tolist() == [sign * inf]


@pytest.mark.parametrize("width", [50, 371, 4_000])
def test_extremes_and_ends_are_those_of_each_window(samples: list[Samples], width: int) -> None:
    expected: dict[str, Callable[[list[float]], float]] = {
        "min_over_time": min,
        "max_over_time": max,
        "first_over_time": lambda inside: inside[0],
        "last_over_time": lambda inside: inside[-1],
        "count_over_time": len,
        "present_over_time": lambda inside: 1,
    }
    for name, of in expected.items():
        for _, inside, found in checked(samples, width, FUNCTIONS[name]):
            assert found == of(inside.tolist()), name


def test_many_values_are_summed_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "VALUES_A_STEP", 5_000)
    values = np.random.default_rng(3).normal(1, 1, 40_000)
    [found], _ = over([Samples(np.arange(40_000), values)], np.array([39_999]), 40_000, FUNCTIONS["sum_over_time"])
    assert Fraction(found[0]) == Fraction(float(sum(map(Fraction, values.tolist()))))
    assert found[0] != fmean(values) * 2
