"""Prices of the simulated instruments: random walks and draws, reproducible from a seed and a name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random


class Prices(ABC):
    """One instrument's prices, one after the other.

    Its generator comes from the seed and the name alone, so its prices depend neither on the other
    instruments nor on the threads. Not thread-safe: an instrument belongs to one thread.
    """

    def __init__(self, name: str, seed: int | str, start: tuple[float, float], decimals: int) -> None:
        self.name = name
        self._random = Random(f"{seed}/{name}")  # text is hashed with SHA-512: the same on every machine
        self._price = self._random.uniform(*start)
        self._decimals = decimals

    def next_price(self) -> float:
        """The next price. Only the answer is rounded, so steps smaller than its last decimal still add up."""
        return round(self._draw(), self._decimals)

    @abstractmethod
    def _draw(self) -> float: ...


class Walk(Prices):
    """Uniform steps of at most `largest_step` from price to price, turned back at zero."""

    def __init__(
        self, name: str, seed: int | str, start: tuple[float, float], largest_step: float, decimals: int
    ) -> None:
        super().__init__(name, seed, start, decimals)
        self._largest_step = largest_step

    def _draw(self) -> float:
        self._price = abs(self._price + self._random.uniform(-self._largest_step, self._largest_step))
        return self._price


class Draws(Prices):
    """Prices that know nothing of each other, drawn around the first by one of DRAWS; `spread` says how far."""

    def __init__(
        self, name: str, seed: int | str, start: tuple[float, float], distribution: str, spread: float, decimals: int
    ) -> None:
        super().__init__(name, seed, start, decimals)
        self._drawn = DRAWS[distribution]
        self._spread = spread

    def _draw(self) -> float:
        return self._drawn(self._random, self._price, self._spread)


def _normal(random: Random, middle: float, spread: float) -> float:
    return random.normalvariate(middle, spread * middle)


def _lognormal(random: Random, middle: float, spread: float) -> float:
    return middle * math.exp(random.normalvariate(0.0, spread))


def _pareto(random: Random, least: float, spread: float) -> float:
    return float(least * (1.0 - random.random()) ** -spread)


DRAWS: dict[str, Callable[[Random, float, float], float]] = {
    "normal": _normal,
    "lognormal": _lognormal,
    "pareto": _pareto,
}
"""One draw by name: around a middle, or above a least price. A spread of 0 gives nothing else."""
WALK = "walk"
DISTRIBUTIONS = (WALK, *DRAWS)
