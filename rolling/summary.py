"""The summary of some events: count, exact sums, min, max; and the statistics they give.

A finite double is a whole multiple of 2**-1074, and its square of 2**-2148. So both sums are plain
integers on those two fixed scales: merging is integer addition, which no order can change.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isqrt

SCALE = 1074
"""Sums count units of 2**-SCALE, sums of squares units of 2**-(2 * SCALE)."""


def exact(value: float) -> tuple[int, int]:
    """A finite double and its square, exactly, in units of 2**-SCALE and 2**-(2 * SCALE)."""
    numerator, denominator = value.as_integer_ratio()
    shift = SCALE + 1 - denominator.bit_length()
    return numerator << shift, numerator * numerator << 2 * shift


class Summary:
    """Count, exact sum, exact sum of squares, min and max of some events. Mutable; merges in place."""

    __slots__ = ("count", "maximum", "minimum", "squares", "total")

    def __init__(
        self, count: int = 0, total: int = 0, squares: int = 0, minimum: float = inf, maximum: float = -inf
    ) -> None:
        self.count = count
        self.total = total
        self.squares = squares
        self.minimum = minimum
        self.maximum = maximum

    def add(self, value: float, units: int, square: int) -> None:
        """Take in one value, given with its `exact(value)` so that those are worked out once."""
        self.count += 1
        self.total += units
        self.squares += square
        if value < self.minimum:
            self.minimum = value
        if value > self.maximum:
            self.maximum = value

    def merge(self, other: Summary) -> None:
        """Take in all that `other` summarises."""
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        if other.minimum < self.minimum:
            self.minimum = other.minimum
        if other.maximum > self.maximum:
            self.maximum = other.maximum

    def merge_all(self, others: Iterable[Summary]) -> None:
        """`merge` for many, at half the price each."""
        count, total, squares = self.count, self.total, self.squares
        minimum, maximum = self.minimum, self.maximum
        for other in others:
            count += other.count
            total += other.total
            squares += other.squares
            if other.minimum < minimum:
                minimum = other.minimum
            if other.maximum > maximum:
                maximum = other.maximum
        self.count, self.total, self.squares = count, total, squares
        self.minimum, self.maximum = minimum, maximum

    def copy(self) -> Summary:
        """An independent summary of the same events."""
        return Summary(self.count, self.total, self.squares, self.minimum, self.maximum)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Summary(count={self.count}, sum={self.sum}, min={self.minimum}, max={self.maximum})"

    # Each statistic is the exact result rounded once, or None where it does not exist or is beyond the doubles.

    @property
    def sum(self) -> float | None:
        return _ratio(self.total, 1 << SCALE)

    @property
    def mean(self) -> float | None:
        return _ratio(self.total, self.count << SCALE) if self.count else None

    @property
    def variance(self) -> float | None:
        """Population variance."""
        if not self.count:
            return None
        return _ratio(self._spread(), self.count**2 << 2 * SCALE)

    @property
    def stddev(self) -> float | None:
        """Population standard deviation."""
        if not self.count:
            return None
        return _root_of_ratio(self._spread(), self.count**2 << 2 * SCALE)

    @property
    def min(self) -> float | None:
        return self.minimum + 0.0 if self.count else None  # -0.0 becomes 0.0: else it would depend on which came first

    @property
    def max(self) -> float | None:
        return self.maximum + 0.0 if self.count else None

    def _spread(self) -> int:
        """count**2 times the variance, in units of 2**-(2 * SCALE)."""
        return self.count * self.squares - self.total**2


def _ratio(numerator: int, denominator: int) -> float | None:
    try:
        return numerator / denominator  # Python rounds the quotient of two ints correctly
    except OverflowError:
        return None


def _root_of_ratio(numerator: int, denominator: int) -> float | None:
    """The square root, rounded once: 109 bits of it, with all that is cut off noted in the last bit
    (round to odd), leave the rounding to 53 bits, or fewer for a subnormal, as if nothing were cut."""
    shift = (numerator.bit_length() - denominator.bit_length() - 109) // 2
    if shift >= 0:
        return _ratio(_odd_root(numerator, denominator << 2 * shift) << shift, 1)
    return _ratio(_odd_root(numerator << -2 * shift, denominator), 1 << -shift)


def _odd_root(numerator: int, denominator: int) -> int:
    root = isqrt(numerator // denominator)
    return root | (root * root * denominator != numerator)
