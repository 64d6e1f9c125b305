"""Rankings: the first of many series by any statistic."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest


def first_by(values: Iterable[tuple[str, float | None]], limit: int, *, descending: bool) -> list[str]:
    """The names of the first `limit` by value, ties by name; those without a value come last."""
    ordered = ((value is None, _order(value, descending=descending), name) for name, value in values)
    return [name for _, _, name in nsmallest(limit, ordered)]


def _order(value: float | None, *, descending: bool) -> float:
    if value is None:
        return 0.0
    return -value if descending else value
