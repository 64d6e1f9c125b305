"""The settings that shape answers. Those in force are the log's own: all who read it at one position agree."""

from __future__ import annotations

from typing import NamedTuple


class Rules(NamedTuple):
    """Durations in microseconds."""

    retention: int
    keep_last: int
    window: int
    max_future: int
    max_series: int
    max_symbols: int


UNCLAIMED = Rules(2**62, 0, 2**62, 2**62, 10_000, 0)
"""The rules of a log in which no start of the service has put any in force: nothing expires."""
