"""Timestamps that are numbers: time since the epoch, in the unit that the magnitude tells."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from event_log.batch import Times
from times import EARLIEST, SECOND
from view.portions import giving_way

UNITS = ((10**11, "seconds", SECOND), (10**14, "milliseconds", 1000), (10**17, "microseconds", 1))
"""The absolute value below which a number is read in a unit, the unit, and its microseconds; above, nanoseconds."""
_NANOSECONDS = "nanoseconds"
_LARGEST = 2**63
_EXACT = 2**53
"""Every whole number up to it is a double."""
_FINE = 2**14
"""Seconds below which a double is finer than its product with a million can show exactly."""
_NUMBER = re.compile(r"[ \t\r\n]*-?(?:0|[1-9][0-9]*)(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?[ \t\r\n]*")


def epoch_time(number: float) -> int:
    """Return the microsecond nearest to a number of seconds, milliseconds, microseconds or nanoseconds since the epoch.
    Raises ValueError."""
    size = abs(number)
    unit, scale = next(((unit, scale) for below, unit, scale in UNITS if size < below), (_NANOSECONDS, 0))
    if not -_LARGEST <= number < _LARGEST:  # the end of the year 9999 is beyond 64 bits of nanoseconds
        raise ValueError(f"Beyond 64 bits; read as {unit} since the epoch.")
    if type(number) is int and scale:
        time = number * scale
    else:
        time = round(Fraction(number) * scale if scale else Fraction(number) / 1000)
    if time < EARLIEST:
        raise ValueError(f"Before the year 1; read as {unit} since the epoch.")
    return time


def epoch_times(numbers: Sequence[Any]) -> Times:
    """Return the `epoch_time` of each of these ints and floats, in a tenth of its time where they are alike.
    Raises ValueError or OverflowError if any is none."""
    kinds = set(map(type, numbers))
    if not kinds <= {int, float}:
        raise ValueError("not all are numbers")
    if kinds == {int}:
        times = _of_whole(np.array(numbers, np.int64))
    elif float in kinds and all(type(number) is float or abs(number) < _EXACT for number in numbers):
        column = np.array(numbers, np.float64)
        sizes = np.abs(column)
        if not (sizes < _LARGEST).all() or (sizes < _FINE).any():
            return _one_by_one(numbers)
        times = _of_doubles(column, sizes)
    else:
        return _one_by_one(numbers)
    if times.min() < EARLIEST:
        raise ValueError("Before the year 1.")
    return times


def _one_by_one(numbers: Sequence[Any]) -> Times:
    return np.array([epoch_time(number) for number in giving_way(numbers)], np.int64)


def _of_whole(column: NDArray[np.int64]) -> Times:
    sizes = np.abs(np.maximum(column, 1 - _LARGEST))  # of the smallest there is no absolute value in 64 bits
    times = _nearest_thousand(column) if sizes.max() >= UNITS[-1][0] else column
    for below, _, scale in reversed(UNITS):
        times = np.where(sizes < below, column * scale, times)  # where it is wrong, it is not used
    return times


def _nearest_thousand(column: NDArray[np.int64]) -> Times:
    """Return thousandths, to the nearest whole number and from the middle to the even one, as Python rounds."""
    whole, rest = np.divmod(column, 1000)
    up = (rest > 500) | ((rest == 500) & (whole % 2 == 1))
    times: Times = whole + up
    return times


def _of_doubles(column: NDArray[np.float64], sizes: NDArray[np.float64]) -> Times:
    """Each product is exact: what a double above `_FINE` has behind the point are 39 bits at most."""
    whole = np.floor(column)
    rest = column - whole
    whole_numbers = whole.astype(np.int64)
    times = _nearest_thousand(whole_numbers)
    for below, _, scale in reversed(UNITS):
        inside = sizes < below
        times = np.where(inside, whole_numbers * scale + _rounded(rest * scale, whole_numbers * scale), times)
    return times


def _rounded(rest: NDArray[np.float64], whole: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `rest` rounded to whole numbers: 0 or more; a half is rounded so that the sum with `whole` is even."""
    rounded = np.rint(rest).astype(np.int64)
    middle = (rest % 1 == 0.5) & ((whole + rounded) % 2 == 1)
    return np.where(middle, np.where(rounded > rest, rounded - 1, rounded + 1), rounded)


def numbers_in(cells: list[str]) -> list[Any]:
    """Return the numbers that cells are, where all are numbers as JSON writes them; else the cells."""
    if cells and _NUMBER.fullmatch(cells[0]):
        with suppress(orjson.JSONDecodeError):
            numbers: list[Any] = orjson.loads(f"[{','.join(cells)}]")
            if len(numbers) == len(cells) and set(map(type, numbers)) <= {int, float}:
                return numbers
    return cells


def number_in(cell: str) -> Any:
    """Return the number that a cell is, where it is one as JSON writes them; else the cell."""
    if not _NUMBER.fullmatch(cell):
        return cell
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return math.inf  # as 1e400
