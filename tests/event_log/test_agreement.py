"""All views of a log agree, with each other and with the rules, whatever was written and cleaned, and when.

Several services, each with a log object of its own as if in a process of its own, write, follow and clean
in any order; some are replaced by fresh ones; cleaning is broken off in the middle.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from event_log.base import START as BEGIN
from event_log.base import EventLog, KeptSince, Terms
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from tests.event_log.logs import LOGS, START, Kind, Row
from tests.event_log.oracle import Oracle, sums, sums_of
from tests.event_log.reader import rows_behind
from times import MINUTE, SECOND
from view import catching_up, replica
from view.portions import Pace

RETENTION = MINUTE
SERVICES = 3
NAMES = ("AAPL", "BTC/USD", "température")

services = st.integers(0, SERVICES - 1)
ages = st.one_of(st.integers(-10 * SECOND, 70 * SECOND), st.sampled_from([0, RETENTION - 1, RETENTION, SECOND]))
keeps = st.sampled_from([0, 1, 3, 20, 10**6])
values = st.one_of(st.integers(-9, 9).map(float), st.floats(-1e9, 1e9), st.sampled_from([0.1, 1e300, 5e-324, -0.0]))
events = st.lists(st.tuples(st.sampled_from(NAMES), ages, values), min_size=1, max_size=12)


class Broken(Exception):
    """Stands for the death of the process that cleans."""


class Interrupted:
    """A log that has others go first just before it cleans, or dies in the middle of it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.before: Callable[[], None] | None = None
        self.patience: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def clean(self, horizon: int, kept_since: KeptSince, position: int) -> bool:
        before, self.before = self.before, None
        if before is not None:
            before()

        def impatient(series: int) -> tuple[int, int]:
            if self.patience is not None:
                self.patience -= 1
                if self.patience < 0:
                    raise Broken
            return kept_since(series)

        return self._log.clean(horizon, impatient, position)


class Agreement(RuleBasedStateMachine):
    """The log, its services, and an oracle that is told of all that is accepted."""

    make: Callable[[Path], Kind]

    @initialize(keep_last=keeps, portion=st.sampled_from([1, 5, 200_000]))
    def open(self, keep_last: int, portion: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock(START)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(replica, "Pace", partial(Pace, portion, portion, portion))
        self.patch.setattr(catching_up, "give_way", lambda: None)
        self.kind = type(self).make(Path(self.folder.name))
        self.log = self.kind.open()
        self.starts = 0
        self.oracle = Oracle(keep_last)
        self.settings = Settings(retention=RETENTION, window=RETENTION, keep_last=keep_last)
        self.services = [self.fresh() for _ in range(SERVICES)]
        self.services[0].start()

    def fresh(self) -> EventService:
        """A worker made by the last start."""
        log: Any = Interrupted(self.kind.sibling(self.log))
        return EventService(log, self.settings, self.clock, start=str(self.starts))

    @rule(which=services, name=st.sampled_from(NAMES), age=ages, value=values)
    def write_one(self, which: int, name: str, age: int, value: float) -> None:
        time = self.clock() - age
        accepted = self.services[which].add(name, time, value)
        self.note([(name, time, value)] if accepted.stored else [], accepted.position)

    @rule(which=services, rows=events)
    def write_many(self, which: int, rows: list[Row]) -> None:
        self.write(self.services[which], [(name, self.clock() - age, value) for name, age, value in rows])

    @rule(which=services, name=st.sampled_from(NAMES), some=st.lists(values, min_size=1, max_size=8), keep=keeps)
    def write_and_keep(self, which: int, name: str, some: list[float], keep: int) -> None:
        now = self.clock()
        accepted = self.services[which].add_many([name], None, None, np.array(some), Terms(keep=keep))
        self.note([(name, now, value) for value in some], accepted.position, keep)

    @rule(keep_last=keeps)
    def start_anew(self, keep_last: int) -> None:
        """Others settings are in force from now on; older workers live on."""
        self.learn_horizon()
        self.starts += 1
        self.settings = replace(self.settings, keep_last=keep_last)
        self.fresh().start()
        self.oracle.claim(keep_last)
        assert self.log.position() == self.oracle.position

    @rule(which=services, name=st.sampled_from(NAMES))
    def end(self, which: int, name: str) -> None:
        ended = self.services[which].end_series(name)
        assert ended.was_there == (name in self.oracle.series)
        if ended.was_there:
            self.oracle.end(name)
        assert ended.position == self.oracle.position

    def write(self, service: EventService, rows: list[Row]) -> None:
        names = list(dict.fromkeys(name for name, _, _ in rows))
        indexes = np.array([names.index(name) for name, _, _ in rows], np.uint32)
        times = np.array([time for _, time, _ in rows], np.int64)
        now = self.clock()
        accepted = service.add_many(names, indexes, times, np.array([value for _, _, value in rows]))
        cutoff = max(now - RETENTION, horizon_of(service))
        stored = [row for row in rows if row[1] > cutoff]
        assert (accepted.stored, accepted.expired) == (len(stored), len(rows) - len(stored))
        self.note(stored, accepted.position)

    def note(self, rows: list[Row], position: int, keep: int | None = None) -> None:
        self.learn_horizon()
        self.oracle.add(rows, keep)
        assert position == self.oracle.position

    def learn_horizon(self) -> None:
        self.oracle.horizon = max(self.oracle.horizon, self.log.read(BEGIN, 1).horizon)

    @rule(microseconds=st.one_of(st.integers(-MINUTE, 2 * MINUTE), st.sampled_from([1, SECOND, RETENTION])))
    def pass_time(self, microseconds: int) -> None:
        self.clock.advance(microseconds)

    @rule(which=services)
    def tick(self, which: int) -> None:
        self.services[which].tick()

    @rule(which=services, other=services, rows=events, keep=st.none() | keeps)
    def clean_while_another_writes(self, which: int, other: int, rows: list[Row], keep: int | None) -> None:
        def write() -> None:
            if keep is not None:
                self.write_and_keep(other, rows[0][0], [rows[0][2]], keep)
            else:
                self.write_many(other, rows)

        self.log_of(which).before = write
        self.clean(which)
        self.log_of(which).before = None

    @rule(which=services)
    def clean(self, which: int) -> None:
        while self.services[which].tick():
            pass

    @rule(which=services, patience=st.integers(0, 3))
    def die_while_cleaning(self, which: int, patience: int) -> None:
        self.log_of(which).patience = patience
        with suppress(Broken):
            self.clean(which)
        self.services[which] = self.fresh()

    @rule(which=services)
    def replace(self, which: int) -> None:
        self.services[which] = self.fresh()

    def log_of(self, which: int) -> Interrupted:
        log: Any = self.services[which].log
        assert isinstance(log, Interrupted)
        return log

    @rule(
        which=services,
        name=st.none() | st.sampled_from(NAMES),
        window=st.none() | st.integers(1, RETENTION),
        last=st.none() | st.integers(1, 30),
    )
    def ask(self, which: int, name: str | None, window: int | None, last: int | None) -> None:
        for service in (self.services[which], self.fresh()):
            self.compare(service, name, window, last)

    def compare(self, service: EventService, name: str | None, window: int | None, last: int | None) -> None:
        answer = service.statistics(name, window=window, last=last, edges=True)
        assert answer.position == self.oracle.position
        self.oracle.horizon = horizon_of(service)
        now = self.clock()
        if name is not None and name not in self.oracle.series:
            expected = []
        elif window is None and last is not None:
            expected = self.oracle.live(name, now - RETENTION)
        else:
            expected = self.oracle.within(name, now - (RETENTION if window is None else window))
        if last is not None:
            expected = expected[-last:]
        assert sums_of(answer.summary) == sums(expected)
        assert answer.first == ((expected[0][0], expected[0][2]) if expected else None)
        assert answer.last == ((expected[-1][0], expected[-1][2]) if expected else None)

    @rule(which=services)
    def list_series(self, which: int) -> None:
        for service in (self.services[which], self.fresh()):
            infos, _, _ = service.series()
            self.oracle.horizon = horizon_of(service)
            live = {name: self.oracle.live(name, self.clock() - RETENTION) for name in sorted(self.oracle.series)}
            assert [(info.name, info.count) for info in infos] == [(name, len(live[name])) for name in live]
            for name, rows in live.items():
                history = service.events(name, 1000)
                assert history is not None
                assert list(zip(history[0].tolist(), history[1].tolist(), strict=True)) == [
                    (time, value) for time, _, value in rows[-1000:]
                ]

    @invariant()
    def every_live_event_is_in_the_log(self) -> None:
        if not hasattr(self, "log"):
            return
        stored = Counter(row for _, row in rows_behind(self.log))
        horizon = self.log.read(BEGIN, 1).horizon
        live = Counter(
            (name, time, value) for name, one in self.oracle.series.items() for time, _, value in one.live(horizon)
        )
        assert not live - stored

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.patch.undo()
            self.kind.close()
            self.folder.cleanup()


def horizon_of(service: EventService) -> int:
    return service._replica.seen.view.horizon


@pytest.mark.no_cover
@pytest.mark.parametrize("name", LOGS)
@pytest.mark.soak(examples=(6, 200))
def test_all_services_agree_with_the_rules(name: str, examples: int) -> None:
    machine = type("AgreementOfOneKind", (Agreement,), {"make": staticmethod(LOGS[name])})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )
