"""Percentiles: which ranks a question needs, and what the values found there make.

Nearest rank is the ceil(q * n)-th smallest of n values, at least the first: always the value of an event. Linear
interpolation takes the rank q * (n - 1), an exact fraction, between its two neighbours, and rounds once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from rolling.block import Values

_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,4}))?", re.ASCII)


def percent(text: str) -> Fraction:
    """The share that a percentage of up to four decimals is, read as decimal digits: ceil(q * n) with q as a float
    is wrong once in five thousand. Raises ValueError for anything else, or above 100."""
    found = _PERCENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a percentage with at most four decimals")
    share = Fraction(text) / 100
    if share > 1:
        raise ValueError(f"{text!r} is more than 100")
    return share


class Percentiles(NamedTuple):
    """The percentiles of a question, as shares between 0 and 1."""

    shares: tuple[Fraction, ...]
    linear: bool = False

    def ranks(self, count: int) -> list[int]:
        """Return the ranks, from 0 on and ascending, that are needed of `count` values."""
        if not count:
            return []
        if not self.linear:
            return sorted({_nearest(share, count) for share in self.shares})
        lower = {int(share * (count - 1)) for share in self.shares}
        return sorted(lower | {min(rank + 1, count - 1) for rank in lower})

    def values(self, count: int, found: Mapping[int, float]) -> list[float | None]:
        """Return the percentiles of `count` values by those at the needed ranks; None for each where there are none."""
        if not count:
            return [None] * len(self.shares)
        if not self.linear:
            return [found[_nearest(share, count)] for share in self.shares]
        return [_between(share * (count - 1), count, found) for share in self.shares]

    def of(self, ascending: Values) -> list[float | None]:
        """The percentiles of these values."""
        count = len(ascending)
        return self.values(count, {rank: float(ascending[rank]) + 0.0 for rank in self.ranks(count)})


def _nearest(share: Fraction, count: int) -> int:
    return max(-(-share.numerator * count // share.denominator), 1) - 1  # the ceiling, without a new Fraction


def _between(rank: Fraction, count: int, found: Mapping[int, float]) -> float:
    lower = int(rank)
    low, high = found[lower], found[min(lower + 1, count - 1)]
    part = rank - lower
    if not part or low == high:
        return low
    return float(Fraction(low) + (Fraction(high) - Fraction(low)) * part) + 0.0  # a tiny one may round to -0.0
