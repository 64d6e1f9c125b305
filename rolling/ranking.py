"""Rankings: the first of many series by any statistic, looked at some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import nsmallest

from rolling.steps import Steps

SERIES_AT_ONCE = 200
"""How many series are looked at in one portion."""

Score = Callable[[int], Steps[float | None]]
"""Finds the statistic of a series by its id."""


def ranking(
    series: Iterable[tuple[str, int]], score: Score, limit: int, *, descending: bool
) -> Steps[list[tuple[str, float | None]]]:
    """The first `limit` of these series, given by name and id, with their values, ties by name; those without a value
    come last. Each value is of the moment at which the series was looked at. Takes portions."""
    found: list[tuple[bool, float, str, float | None]] = []
    for number, (name, which) in enumerate(series):
        if number % SERIES_AT_ONCE == SERIES_AT_ONCE - 1:
            yield
        value = yield from score(which)
        order = 0.0 if value is None else -value if descending else value
        found.append((value is None, order, name, value))
    return [(name, value) for _, _, name, value in nsmallest(limit, found)]
