"""A projection of the log with nothing clever in it: it is told only what the log tells."""

from __future__ import annotations

from bisect import bisect_left, insort

from event_log.applied import Begun
from event_log.codec import Columns
from event_log.compaction import Threshold, Verdict
from event_log.errors import HistoryChanged
from event_log.log import Log
from event_log.rules import UNCLAIMED
from event_log.series import Ends
from event_log.steps import Began, Horizon, Jump, KeepChange, Rows, RulesChange, SeriesEnd, Step, TableChange
from event_log.tables import Tables
from tests.event_log.log_oracle import EARLIEST, Event, OneSeries


class Projection:
    """Is told only what the log tells."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.begun = -1
        self._begin()

    def _begin(self) -> None:
        self.begun += 1
        self.rules = UNCLAIMED
        self.horizon = EARLIEST
        self.number = 0
        self.position = 0
        self.series: dict[int, OneSeries] = {}
        self.jumps: list[tuple[int, int]] = []
        self.tables = Tables()

    def read(self) -> bool:
        """Take in what comes next; says whether there is more."""
        try:
            told = self.log.read()
        except Begun:
            self._begin()
            return True
        for step in told.steps:
            self._take(step)
        assert told.cursor.number >= self.number
        self.number, self.position = told.cursor.number, told.cursor.position
        return told.more

    def follow(self) -> None:
        while self.read():
            pass

    def _take(self, step: Step) -> None:
        if isinstance(step, Columns):
            for row in zip(*(column.tolist() for column in step), strict=True):
                self._add(*row)
        elif isinstance(step, Rows):
            for row in step.rows:
                self._add(*row)
        elif isinstance(step, Began):
            assert step.series not in self.series
            one = OneSeries(step.entry.name, step.entry.keep, step.entry.owner)
            one.dead_before, one.forgotten = step.dead_before, step.forgotten
            self.series[step.series] = one
        elif isinstance(step, KeepChange):
            assert step.horizon == self.horizon
            self.series[step.series].prune(self.horizon, self.rules.keep_last)
            self.series[step.series].keep = step.keep
        elif isinstance(step, RulesChange):
            for one in self.series.values():
                one.prune(self.horizon, self.rules.keep_last)
            self.rules = step.rules
        elif isinstance(step, SeriesEnd):
            assert self.series.pop(step.series).name == step.name
        elif isinstance(step, Horizon):
            assert step.horizon > self.horizon
            self.horizon = step.horizon
        elif isinstance(step, TableChange):
            assert step.position > self.position or not self.number
            self.tables.put(step.table, step.key, step.value, step.position)
        elif isinstance(step, Ends):
            assert not self.number
        else:
            assert isinstance(step, Jump)
            self.jumps.append((step.start, step.to))

    def _add(self, position: int, number: int, time: int, value: float) -> None:
        one = self.series[number]
        event = (time, position, value)
        at = bisect_left(one.events, event)
        assert one.events[at : at + 1] != [event]
        if event[:2] >= one.dead_before:
            insort(one.events, event)

    def live(self) -> dict[str, list[Event]]:
        """The live events of each series that lives."""
        found = {one.name: one.live(self.horizon, self.rules.keep_last) for one in self.series.values()}
        assert len(found) == len(self.series)
        return found

    def judge(self, number: int) -> Verdict:
        """Say what is dead for good, as a compaction asks."""
        self.follow()
        if self.number < number:
            raise HistoryChanged("what was to be judged is lost")
        for one in self.series.values():
            one.prune(self.horizon, self.rules.keep_last)
        return Verdict(
            self.horizon, {id_: Threshold(*one.dead_before, one.forgotten) for id_, one in self.series.items()}
        )
