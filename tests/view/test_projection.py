"""The projection over exact windows comes to what the oracle says, whatever several workers do: see
`tests.event_log.simulation`."""

from __future__ import annotations

import numpy as np
import pytest

from event_log import series
from event_log.applied import Begun, Told
from event_log.codec import Columns
from event_log.compaction import Threshold, Verdict
from event_log.errors import HistoryChanged
from event_log.port import Cursor
from event_log.rules import Rules
from event_log.series import Series
from event_log.steps import Began, Horizon, KeepChange, Rows, RulesChange, SeriesEnd, Step
from tests.event_log import projection as naive
from tests.event_log.log_oracle import EARLIEST, Event, OneSeries
from tests.event_log.simulation import Workers
from times import HOUR, MINUTE
from view import projection as module
from view.projection import Projection

ENOUGH = 40
"""Number of seeds by which the fault planted below has been found."""
STEPS = 60
RULES = Rules(HOUR, 2, HOUR, MINUTE, 100, 3)


class OverWindows(naive.Projection):
    """The projection of the service in place of the naive one."""

    def _begin(self) -> None:
        super()._begin()
        self.over = Projection()

    def read(self) -> bool:
        try:
            told = self.log.read()
        except Begun:
            self._begin()
            return True
        for _ in self.over.take(told):
            pass
        self.number, self.position = told.cursor.number, told.cursor.position
        self.rules, self.jumps, self.tables = self.over.rules, self.over.jumps, self.over.tables
        self.horizon = self.over.view.horizon or EARLIEST
        self.series = dict.fromkeys(self.over.series, OneSeries("", None))
        assert self.over.ids == {series.name: number for number, series in self.over.series.items()}
        assert self.over.view.windows.keys() <= self.over.series.keys()
        return told.more

    def live(self) -> dict[str, list[Event]]:
        return {name: self._live(number) for name, number in self.over.ids.items()}

    def _live(self, number: int) -> list[Event]:
        window = self.over.view.windows.get(number)
        if window is None:
            return []
        times, positions, values = window.rows(window.live(self.over.view.horizon))
        return list(zip(times.tolist(), positions.tolist(), values.tolist(), strict=True))

    def judge(self, number: int) -> Verdict:
        self.follow()
        if self.number < number:
            raise HistoryChanged("what was to be judged is lost")
        thresholds: dict[int, Threshold] = {}
        for _ in self.over.judge(thresholds):
            pass
        return Verdict(self.over.view.horizon, thresholds)


def run(seeds: int, *, losses: bool = False) -> None:
    for seed in range(seeds):
        workers = Workers(seed, losses=losses, projection=OverWindows)
        try:
            workers.run(STEPS)
        except BaseException as fault:
            fault.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("losses", [False, True])
@pytest.mark.soak(seeds=(15, 300))
def test_it_comes_to_what_the_oracle_says(losses: bool, seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOGETHER", 3)
    run(seeds, losses=losses)


def test_a_projection_that_forgets_what_is_dead_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Projection, "_threshold", lambda projection, series: module.ALL_LIVE)
    with pytest.raises(AssertionError):
        run(ENOUGH)


def told(*steps: Step) -> Told:
    return Told(steps, Cursor(0, 9, 9), more=False)


def taken(*steps: Step) -> Projection:
    made = Projection()
    for _ in made.take(told(RulesChange(0, EARLIEST, RULES), *steps)):
        pass
    return made


def events(count: int, start: int = 1, series: int = 1) -> Columns:
    positions = np.arange(start, start + count)
    return Columns(positions, np.full(count, series, np.uint32), positions * MINUTE, np.ones(count))


def test_names_are_sorted_and_paged() -> None:
    began = [Began(number, Series(name, 0, 0.0)) for number, name in enumerate(["b", "a2", "a1", "c"], 1)]
    found = taken(*began, SeriesEnd(7, 4, "c"))
    assert found.names() == ["a1", "a2", "b"]
    assert found.page("a", 1, None) == ["a1"]
    assert found.page("a", None, "a1") == ["a2"]
    assert (found.ended.at("c"), found.ended.at("a1")) == (7, 0)


def test_of_names_that_ended_long_ago_it_is_known_that_they_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST_ENDED", 2)
    steps: list[Step] = []
    for number in range(1, 5):
        steps += [Began(number, Series(str(number), 0, 0.0)), SeriesEnd(10 * number, number, str(number))]
    found = taken(*steps)
    assert [found.ended.at(name) for name in ("1", "2", "3", "4", "never seen")] == [20, 20, 30, 40, 20]


def test_few_events_are_taken_in_without_columns_to_the_same_end() -> None:
    began, some = Began(1, Series("a", 0, 0.0)), events(20)
    rows = Rows(list(zip(*(column.tolist() for column in some), strict=True)))
    by_columns, by_rows = taken(began, some), taken(began, rows)
    for found in (by_columns, by_rows):
        assert [column.tolist() for column in found.view.windows[1].rows(20)] == [
            some.times.tolist(),
            some.positions.tolist(),
            some.values.tolist(),
        ]


def test_what_is_judged_dead_has_left_with_the_position_it_had() -> None:
    found = taken(Began(1, Series("a", 0, 0.0)), events(10), Horizon(6 * MINUTE))
    thresholds: dict[int, Threshold] = {}
    for _ in found.judge(thresholds):
        pass
    assert thresholds == {1: Threshold(6 * MINUTE + 1, 0, 6)}
    more = taken(Began(1, Series("a", 0, 0.0)), events(10), Horizon(20 * MINUTE), KeepChange(11, 20 * MINUTE, 1, 8))
    for _ in more.judge(thresholds):
        pass
    assert thresholds == {1: Threshold(9 * MINUTE, 9, 8)}


def test_it_goes_on_in_steps() -> None:
    began = [Began(number, Series(str(number), 0, 0.0)) for number in range(1, 3000)]
    assert sum(1 for _ in Projection().take(told(*began, events(100_000)))) > 12
