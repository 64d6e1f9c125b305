"""What a log of events must answer, worked out from the rules alone, with nothing clever in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from event_service import KEPT_BY_SYMBOLS
from rolling.summary import SCALE, Summary

Event = tuple[int, int, float]
"""Time, position, value."""


@dataclass
class OneSeries:
    """The events of one series that may still matter, in order of time and arrival."""

    keep: int
    events: list[Event] = field(default_factory=list)

    def live(self, cutoff: int) -> list[Event]:
        first_kept = max(0, len(self.events) - self.keep)
        return [event for i, event in enumerate(self.events) if i >= first_kept or event[0] > cutoff]


class Oracle:
    """All series; told of every event and symbol in log order."""

    def __init__(self, keep_last: int) -> None:
        self.keep_last = keep_last
        self.horizon = 0
        self.position = 0
        self.series: dict[str, OneSeries] = {}
        self.symbols: set[str] = set()

    def add(self, rows: list[tuple[str, int, float]], *, symbol: bool = False) -> None:
        for name in dict.fromkeys(name for name, _, _ in rows):
            self.series.setdefault(name, OneSeries(self.keep_last))
            if symbol and name not in self.symbols:
                self._raise(name)
        for name, time, value in rows:
            self.position += 1
            self.series[name].events.append((time, self.position, value))
            self.series[name].events.sort()

    def _raise(self, name: str) -> None:
        """From now on the series keeps everything, save what has died already."""
        self.symbols.add(name)
        one = self.series[name]
        one.events = one.live(self.horizon)
        one.keep = max(KEPT_BY_SYMBOLS, self.keep_last)

    def live(self, name: str | None, cutoff: int) -> list[Event]:
        """The live events of one series or of all, in order."""
        cutoff = max(cutoff, self.horizon)
        if name is not None:
            return self.series[name].live(cutoff)
        return sorted(event for one in self.series.values() for event in one.live(cutoff))

    def within(self, name: str | None, after: int) -> list[Event]:
        """The events of a window, whose edge may not lie behind the horizon."""
        after = max(after, self.horizon)
        series = self.series.values() if name is None else [self.series[name]]
        return sorted(event for one in series for event in one.events if event[0] > after)


def sums(events: list[Event]) -> tuple[int, Fraction, Fraction]:
    """Count, sum and sum of squares of these events."""
    values = [Fraction(value) for _, _, value in events]
    return len(values), sum(values, Fraction()), sum((value * value for value in values), Fraction())


def sums_of(summary: Summary) -> tuple[int, Fraction, Fraction]:
    """The same as a Summary holds them."""
    return summary.count, Fraction(summary.total, 1 << SCALE), Fraction(summary.squares, 1 << 2 * SCALE)
