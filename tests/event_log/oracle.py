"""Reference model of a log of events, worked out from the rules alone, with nothing clever in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

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
    """All series; told of every event and change in log order."""

    def __init__(self, keep_last: int) -> None:
        self.keep_last = keep_last
        self.horizon = 0
        self.position = 0
        self.series: dict[str, OneSeries] = {}
        self.keepers: set[str] = set()

    def add(self, rows: list[tuple[str, int, float]], keep: int | None = None) -> None:
        for name in dict.fromkeys(name for name, _, _ in rows):
            if name not in self.series:
                self.series[name] = OneSeries(self.keep_last if keep is None else keep)
                if keep is not None:
                    self.keepers.add(name)
            elif keep is not None and (name not in self.keepers or self.series[name].keep < keep):
                self.position += 1
                self.keepers.add(name)
                self._change(name, keep)
        for name, time, value in rows:
            self.position += 1
            self.series[name].events.append((time, self.position, value))
            self.series[name].events.sort()

    def changes(self, rows: list[tuple[str, int, float]], keep: int) -> int:
        """Return how many positions the changes of a keep take that come before these events."""
        names = {name for name, _, _ in rows} & self.series.keys()
        return sum(name not in self.keepers or self.series[name].keep < keep for name in names)

    def claim(self, keep_last: int) -> None:
        """Have all series without a keep of their own keep `keep_last` events from now on."""
        if keep_last == self.keep_last:
            return
        self.position += 1
        self.keep_last = keep_last
        for name in self.series.keys() - self.keepers:
            self._change(name, keep_last)

    def end(self, name: str) -> None:
        """The series is no more."""
        self.position += 1
        del self.series[name]
        self.keepers.discard(name)

    def _change(self, name: str, keep: int) -> None:
        """Have the series keep `keep` events from now on, save those that have died already."""
        one = self.series[name]
        one.events = one.live(self.horizon)
        one.keep = keep

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
