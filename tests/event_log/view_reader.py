"""A reader that has what the service has: a LogView, in small sizes."""

from __future__ import annotations

from collections.abc import Iterator

from event_log.base import EventLog, Place
from event_log.errors import HistoryChanged
from event_log.rules import Rules
from rolling.block import EARLIEST, Columns
from rolling.steps import finished
from tests.event_log.reader import Event, Truth
from tests.rolling.model import summary_of
from view.log_view import LogView


class ViewReader:
    """Asked as a Reader is."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._view = LogView(log, Rules(0, 0))

    @property
    def place(self) -> Place:
        return self._view.place

    @property
    def horizon(self) -> int:
        return self._view.view.horizon

    @property
    def rules(self) -> Rules:
        return self._view.rules

    def read(self, limit: int = 1_000_000) -> bool:
        try:
            events = self.log.read(self.place, limit)
            for _ in self._view.take(events):
                pass
        except HistoryChanged:
            self._view = LogView(self.log, Rules(0, 0))
            return True
        if not events.more:
            for _ in self._view.view.prune(self._view.level_horizon):
                pass
            self._view.view._check()
        return events.more

    def follow(self, limit: int = 1_000_000) -> None:
        while self.read(limit):
            pass

    def clean(self, horizon: int) -> bool:
        return self.log.clean(horizon, self._view.kept_since, self.place.position)

    def live(self) -> dict[int, tuple[str, list[Event]]]:
        found = {}
        for number, window in self._view.view.windows.items():
            events = list(_events(window.rows(window.live(self.horizon))))
            if events:
                found[number] = self._view.series[number].name, events
        return found

    def names(self) -> list[str]:
        """Of all series it knows."""
        return self._view.names()

    def check(self, truth: Truth) -> None:
        """Its series, all of them as one, and what it can tell from a position on."""
        names = {one.name: number for number, one in truth.series.items()}
        assert self._view.ids == names
        assert self._view.page("", 10, None) == sorted(names)
        recent = sorted(event for one in truth.series.values() for event in one.events if event[0] > self.horizon)
        for after in (EARLIEST, self.horizon + 20):
            tail = self._view.view.tail(None, after, 0, None, ends=False)
            assert tail.summary == summary_of([value for time, _, value in recent if time > after])
        for number, one in truth.series.items():
            self._check_replay(number, one.events, one.live(truth.horizon, truth.rules))

    def _newest(self) -> int:
        return self.place.position

    def _check_replay(self, number: int, ever: list[Event], live: list[Event]) -> None:
        window = self._view.view.windows[number]
        for after in (0, self.place.position // 2, self.place.position):
            found = list(_events(finished(window.behind(after, 3, self._newest))))
            assert found == sorted(found, key=lambda event: event[1])
            every = sorted((event for event in ever if event[1] > after), key=lambda event: event[1])
            if window.forgotten <= after:
                assert found == every[:3]
            assert {event for event in live if event[1] > after} <= set(
                _events(finished(window.behind(after, 10**6, self._newest)))
            )


def _events(columns: Columns) -> Iterator[Event]:
    return zip(*(column.tolist() for column in columns), strict=True)
