"""What readers of a log must come to, by the letter of `event_log/base.py`, with nothing clever in it.

A Reader takes what a log tells. A Truth is told of each write and change itself. Caught up, they are equal.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from event_log.base import START, Change, EventLog, Events, Place
from event_log.errors import HistoryChanged
from event_log.rules import Rules
from event_log.steps import KeepChange, RulesChange, SeriesEnd

EARLIEST, LATEST = -(2**63), 2**63 - 1
Event = tuple[int, int, float]
"""Time, position, value; events compare as they are ordered."""


@dataclass
class OneSeries:
    """The events of one series that may still matter, in order of time and arrival."""

    name: str
    keep: int | None = None
    events: list[Event] = field(default_factory=list)

    def live(self, horizon: int, rules: Rules) -> list[Event]:
        keep = rules.keep_last if self.keep is None else self.keep
        first_kept = max(0, len(self.events) - keep)
        return [event for i, event in enumerate(self.events) if i >= first_kept or event[0] > horizon]


class State:
    """All series by id, and how changes shape them."""

    def __init__(self) -> None:
        self.rules = Rules(0, 0)
        self.horizon = 0
        self.series: dict[int, OneSeries] = {}

    def change(self, change: Change) -> None:
        if isinstance(change, SeriesEnd):
            self.series.pop(change.series, None)
            return
        for number, one in self.series.items():
            if (isinstance(change, RulesChange) and one.keep is None) or (
                isinstance(change, KeepChange) and change.series == number
            ):
                one.events = one.live(change.horizon, self.rules)
        if isinstance(change, RulesChange):
            self.rules = change.rules
        else:
            self.series[change.series].keep = change.keep

    def live(self) -> dict[int, tuple[str, list[Event]]]:
        """The live events of each series; series without any are left out."""
        found = {number: (one.name, one.live(self.horizon, self.rules)) for number, one in self.series.items()}
        return {number: (name, events) for number, (name, events) in found.items() if events}

    def kept_since(self, number: int) -> tuple[int, int]:
        """As `EventLog.clean` asks."""
        one = self.series.get(number)
        if one is None:
            return EARLIEST, 0
        keep = self.rules.keep_last if one.keep is None else one.keep
        if not keep:
            return LATEST, 0
        return one.events[-keep][:2] if keep <= len(one.events) else (EARLIEST, 0)


class Truth(State):
    """Is told of everything that is done, in order."""

    def add(self, number: int, name: str, keep: int | None, events: list[Event]) -> None:
        one = self.series.setdefault(number, OneSeries(name, keep))
        for event in events:
            insort(one.events, event)


class Reader(State):
    """Is told only what the log tells. Begins anew where the log says so."""

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self.log = log
        self.place: Place = START
        self.restarts = 0

    def read(self, limit: int = 1_000_000) -> bool:
        """Take in one portion; whether there was more."""
        try:
            events = self.log.read(self.place, limit)
        except HistoryChanged:
            restarts = self.restarts + 1
            self.__init__(self.log)  # type: ignore[misc]
            self.restarts = restarts
            return True
        self._check(events)
        self._take(events)
        return events.more

    def follow(self, limit: int = 1_000_000) -> None:
        """Take in all there is."""
        while self.read(limit):
            pass

    def check(self, truth: Truth) -> None:
        """Nothing beyond what it knows to be live."""

    def clean(self, horizon: int) -> bool:
        """One step of cleaning, for which this reader speaks."""
        return self.log.clean(horizon, self.kept_since, self.place.position)

    def clean_all(self, horizon: int) -> None:
        """Clean until nothing is left to do."""
        self.follow()
        while self.clean(horizon):
            pass
        self.follow()

    def _check(self, events: Events) -> None:
        """What holds for any portion."""
        positions = events.positions.tolist()
        assert len(positions) == len(events.ids) == len(events.times) == len(events.values)
        assert events.horizon >= self.horizon
        assert all(self.place.position < position for position in positions)
        if events.kept:
            assert not len(events) or events.times.max() <= events.horizon
            for number in set(events.ids.tolist()):
                own = events.positions[events.ids == number].tolist()
                assert own == sorted(set(own))
        else:
            assert positions == sorted(set(positions))
            assert all(position <= events.place.position for position in positions)
        changes = [change.position for change in events.changes]
        assert changes == sorted(set(changes))
        assert not changes or self.place.position < changes[0] <= changes[-1] <= events.place.position
        assert not set(changes) & set(positions)
        assert (events.rules is not None) <= (self.place.position == 0)

    def _take(self, events: Events) -> None:
        if events.rules is not None:
            self.rules = events.rules
        rows = list(zip(*(column.tolist() for column in (events.positions, events.ids, events.times)), strict=True))
        values = events.values.tolist()
        for change in events.changes:
            for row, value in zip(rows, values, strict=True):
                if row[0] < change.position:
                    self._add(row, value)
            later = [i for i, row in enumerate(rows) if row[0] > change.position]
            rows, values = [rows[i] for i in later], [values[i] for i in later]
            if isinstance(change, KeepChange):
                self._know(change.series)
            self.change(change)
        for row, value in zip(rows, values, strict=True):
            self._add(row, value)
        self.place = events.place
        self.horizon = events.horizon

    def _add(self, row: tuple[int, int, int], value: float) -> None:
        position, number, time = row
        insort(self._know(number).events, (time, position, value))

    def _know(self, number: int) -> OneSeries:
        if number not in self.series:
            entry = self.log.series[number]
            self.series[number] = OneSeries(entry.name, entry.keep)
        return self.series[number]


def rows_behind(
    log: EventLog, place: Place = START, limit: int = 1_000_000
) -> list[tuple[int, tuple[str, int, float]]]:
    """All events behind a place, each with its position, read in portions of about `limit`."""
    found: list[tuple[int, tuple[str, int, float]]] = []
    more = True
    while more:
        events = log.read(place, limit)
        names = [log.series[number].name for number in events.ids.tolist()]
        rows = zip(names, events.times.tolist(), events.values.tolist(), strict=True)
        found.extend(zip(events.positions.tolist(), rows, strict=True))
        place, more = events.place, events.more
    return found


def changes_behind(log: EventLog, place: Place = START) -> list[Change]:
    """All changes behind a place."""
    found: list[Change] = []
    more = True
    while more:
        events = log.read(place)
        found.extend(events.changes)
        place, more = events.place, events.more
    return found
