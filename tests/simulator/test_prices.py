from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean, median, stdev

import pytest

from simulator.prices import DRAWS, Draws, Prices, Walk


def walk(name: str = "ITEM_00", seed: int | str = 7, step: float = 0.5, decimals: int = 2, start: float = 100) -> Walk:
    return Walk(name, seed, (start, start), step, decimals)


def prices(one: Prices, count: int = 50) -> list[float]:
    return [one.next_price() for _ in range(count)]


def draws(distribution: str, spread: float = 0.5, name: str = "ITEM_00", seed: int | str = 7) -> Draws:
    return Draws(name, seed, (100, 100), distribution, spread, 2)


def test_the_same_seed_and_name_give_the_same_prices() -> None:
    assert prices(walk()) == prices(walk())
    assert prices(walk()) != prices(walk(seed=8))
    assert prices(walk()) != prices(walk("ITEM_01"))


def test_prices_do_not_depend_on_the_process() -> None:
    assert prices(walk(), 3) == [100.25, 100.63, 101.0]


def test_no_step_is_larger_than_asked() -> None:
    assert all(abs(b - a) <= 0.51 for a, b in pairwise(prices(walk(), 5000)))  # 0.5, and each price rounded


def test_prices_turn_back_at_zero() -> None:
    low = prices(walk(start=0, step=3), 2000)
    assert min(low) >= 0
    assert max(low) > 3


def test_steps_below_the_last_decimal_add_up() -> None:
    assert len(set(prices(walk(step=0.004), 5000))) > 5


def test_a_walk_starts_within_its_range() -> None:
    first = {Walk(f"ITEM_{k}", 1, (50, 60), 0, 2).next_price() for k in range(50)}
    assert len(first) > 30
    assert 50 <= min(first) < max(first) <= 60


@pytest.mark.parametrize("distribution", DRAWS)
def test_draws_come_from_the_seed_and_the_name_alone(distribution: str) -> None:
    assert prices(draws(distribution)) == prices(draws(distribution))
    assert prices(draws(distribution)) != prices(draws(distribution, seed=8))
    assert prices(draws(distribution)) != prices(draws(distribution, name="ITEM_01"))


def test_draws_do_not_depend_on_the_process() -> None:
    drawn = [prices(draws(distribution), 3) for distribution in ("normal", "lognormal", "pareto")]
    assert drawn == [[140.4, 89.69, 32.83], [149.78, 90.2, 51.08], [199.51, 286.37, 277.04]]


@pytest.mark.parametrize("distribution", DRAWS)
def test_draws_without_spread_are_all_the_start(distribution: str) -> None:
    assert set(prices(draws(distribution, 0))) == {100}


@pytest.mark.parametrize("distribution", DRAWS)
def test_the_widest_spread_stays_finite(distribution: str) -> None:
    assert all(map(math.isfinite, prices(Draws("x", 1, (1e15, 1e15), distribution, 10, 2), 5000)))


def test_normal_prices_lie_around_the_start() -> None:
    drawn = prices(draws("normal", 0.1), 10_000)
    assert mean(drawn) == pytest.approx(100, abs=0.5)
    assert stdev(drawn) == pytest.approx(10, rel=0.05)


def test_logarithms_of_lognormal_prices_are_normal() -> None:
    drawn = prices(draws("lognormal"), 10_000)
    assert median(drawn) == pytest.approx(100, rel=0.05)
    assert stdev(map(math.log, drawn)) == pytest.approx(0.5, rel=0.05)


def test_pareto_prices_have_the_start_as_their_least_and_a_long_tail() -> None:
    drawn = sorted(prices(draws("pareto"), 10_000))
    assert drawn[0] >= 100
    assert drawn[5000] == pytest.approx(100 * 2**0.5, rel=0.05)
    assert drawn[9900] == pytest.approx(100 * 100**0.5, rel=0.2)
