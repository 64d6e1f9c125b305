"""Exact sums of many doubles at once.

Each value is cut into limbs, multiples of one unit a limb, small enough that float64 products and sums
of a whole row of them stay below 2**53 and so are exact. The sums of the limbs, and of their products
with one another, then give every sum and every sum of squares; integers put them together.
Values that spread over more than MOST_LIMBS limbs are rare, and summed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations_with_replacement
from math import frexp, ldexp

import numpy as np
from numpy.typing import NDArray

from rolling.summary import SCALE, Summary, exact

LIMB_BITS = 21
WIDEST_ROW = 4096
"""Products of two limbs take up to 2**40; 2**12 of them still add up exactly."""
MOST_LIMBS = 16
SUMMED_SINGLY = 24
"""Maximum number of values that are quicker summed one by one."""

_Floats = NDArray[np.float64]
Digits = NDArray[np.int64]


def summarise(values: _Floats) -> Summary:
    """The summary of up to WIDEST_ROW finite values."""
    if len(values) <= SUMMED_SINGLY:
        return _one_by_one(values)
    return summarise_rows(values, len(values))[0]


def summarise_rows(values: _Floats, width: int) -> list[Summary]:
    """A summary for each `width` values in a row (the last may be shorter). Needs at least one value."""
    return summarise_parts(values, np.arange(0, len(values), width))


def _one_by_one(values: _Floats) -> Summary:
    summary = Summary()
    for value in values.tolist():
        summary.add(value, *exact(value))
    return summary


def summarise_parts(values: _Floats, starts: NDArray[np.intp], *, squares: bool = True) -> list[Summary]:
    """A summary for the values from each of these places up to the next; the first is 0, none is met twice, and no
    part may be longer than WIDEST_ROW. Without `squares` it may lack the sum of squares, which costs half of it."""
    cut = cut_up(values)
    if cut is None:
        return [_one_by_one(part) for part in np.split(values, starts[1:])]
    limbs, unit = cut
    totals, squared = limb_sums(limbs, lambda row: np.add.reduceat(row, starts), squares=squares)
    counts = np.diff(starts, append=len(values)).tolist()
    minima = np.minimum.reduceat(values, starts).tolist()
    maxima = np.maximum.reduceat(values, starts).tolist()
    columns = counts, _join(totals, unit), _join(squared, 2 * unit), minima, maxima
    return [Summary(*row) for row in zip(*columns, strict=True)]


def limb_sums(
    limbs: list[_Floats], add: Callable[[_Floats], _Floats], *, squares: bool = True
) -> tuple[Digits, Digits]:
    """The digits of sums and of sums of squares, the largest first, a column for each sum that `add` makes of a row:
    each of at most WIDEST_ROW values."""
    size = len(limbs)
    totals = np.array([add(limb) for limb in limbs]).astype(np.int64)
    squared = np.zeros((2 * size - 1, totals.shape[1]), np.int64)
    for i, j in combinations_with_replacement(range(size if squares else 0), 2):
        products = add(limbs[i] * limbs[j]).astype(np.int64)
        squared[i + j] += products if i == j else 2 * products
    return totals, squared


def cut_up(values: _Floats) -> tuple[list[_Floats], int] | None:
    """The limbs of these values, and the scale of the last, as `join` wants it; None when there would be too many."""
    top = frexp(float(np.abs(values).max()))[1]
    shift = 0
    if not -500 < top < 900:  # else the constants of _limbs leave the range of doubles
        shift = top
        scaled = np.ldexp(values, -shift)
        if not np.array_equal(np.ldexp(scaled, shift), values):
            return None
        values = scaled
    limbs = _limbs(values, top - shift)
    return None if limbs is None else (limbs, SCALE + top + 1 - LIMB_BITS * len(limbs))


def _limbs(values: _Floats, top: int) -> list[_Floats] | None:
    """Limbs of LIMB_BITS bits, the largest first: whole numbers of 2**(top + 1 - LIMB_BITS * (i + 1))."""
    limbs = []
    rest = values.copy()
    for i in range(MOST_LIMBS):
        unit = top + 1 - LIMB_BITS * (i + 1)
        # Adding and taking away 1.5 * 2**52 units rounds to a whole number of units; the rest is exact.
        rounder = ldexp(1.5, 52 + unit)
        limb = rest + rounder
        limb -= rounder
        rest -= limb
        limb *= ldexp(1.0, -unit)
        limbs.append(limb)
        if not rest.any():
            return limbs
    return None


def _join(digits: Digits, unit: int) -> list[int]:
    return [join(column, unit) for column in digits.T.tolist()]


def join(digits: Iterable[int], unit: int) -> int:
    """Return limb sums, the largest first, as one integer; the last digit counts 2**unit."""
    whole = 0
    for digit in digits:
        whole = (whole << LIMB_BITS) + digit
    return whole << unit if unit >= 0 else whole >> -unit  # below 2**-SCALE all bits are 0
