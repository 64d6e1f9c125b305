"""Figures: what a question finds out about some events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rolling.summary import Summary
from rolling.timeline import Row

End = tuple[int, float] | None
"""The time and value of an event."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The summary of some events; the first and the last of them, and their percentiles, if wanted."""

    summary: Summary
    first: End = None
    last: End = None
    percentiles: Sequence[float | None] = ()


def figures_of(summary: Summary, first: Row | None, last: Row | None) -> Figures:
    """The figures of events with these ends."""
    return Figures(summary, end_of(first), end_of(last))


def end_of(row: Row | None) -> End:
    """The time and value of an event."""
    return row and (row[0], row[2])
