"""The events of a question: as the client asks for them (Span), and as parts of timelines (Range)."""

from __future__ import annotations

from typing import Any, NamedTuple

from rolling.timeline import Timeline


class Span(NamedTuple):
    """The events with `after` < time <= `until`, exact microseconds; of those the `last` ones, if that is given.

    Without `after` it reaches back over all that is live under `cutoff`: what is later, and of each series
    what is among the last events that it keeps. Without `until` it ends with the newest event."""

    cutoff: int
    after: int | None = None
    until: int | None = None
    last: int | None = None


class Range(NamedTuple):
    """The last `begin` events of a timeline without the last `end`. Good until the timeline changes."""

    timeline: Timeline[Any]
    begin: int
    end: int = 0
