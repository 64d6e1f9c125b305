"""All projections of a log agree, with each other and with the rules, whatever was written and compacted, and when.

Several services, each with a log object of its own as if in a process of its own, write, follow and compact in any
order; some are replaced by fresh ones; compactions are broken off in the middle.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

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

from event_log import applied, single_flight
from event_log.compaction import Verdict, compact
from event_log.log import Log
from event_log.writes import Conditions
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock, Shared
from tests.event_log.oracle import Oracle, sums, sums_of
from tests.event_log.projection import Projection
from tests.event_log.stores import STORES, Clocks, StoreKind
from tests.event_log.stores import WALL as START
from times import MINUTE, SECOND

RETENTION = MINUTE
Row = tuple[str, int, float]
"""Series, time and value of one event."""
SERVICES = 3
NAMES = ("AAPL", "BTC/USD", "température")

services = st.integers(0, SERVICES - 1)
ages = st.one_of(st.integers(-10 * SECOND, 70 * SECOND), st.sampled_from([0, RETENTION - 1, RETENTION, SECOND]))
keeps = st.sampled_from([0, 1, 3, 20, 10**6])
values = st.one_of(st.integers(-9, 9).map(float), st.floats(-1e9, 1e9), st.sampled_from([0.1, 1e300, 5e-324, -0.0]))
events = st.lists(st.tuples(st.sampled_from(NAMES), ages, values), min_size=1, max_size=12)


class Broken(Exception):
    """Stands for the death of the process that compacts."""


class Agreement(RuleBasedStateMachine):
    """The log, its services, and an oracle that is told of all that is accepted."""

    make: Callable[[Path, Clocks], StoreKind]

    @initialize(keep_last=keeps, portion=st.sampled_from([1, 5, 200_000]))
    def open(self, keep_last: int, portion: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock(START)
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(applied, "CHUNK", portion)
        self.patch.setattr(single_flight, "give_way", lambda: None)
        self.kind = type(self).make(Path(self.folder.name), Shared(self.clock))
        self.store = self.kind.open()
        self.starts = 0
        self.oracle = Oracle(keep_last)
        self.settings = Settings(retention=RETENTION, window=RETENTION, keep_last=keep_last)
        self.services = [self.fresh() for _ in range(SERVICES)]

    def fresh(self) -> EventService:
        """A worker made by the last start."""
        made = EventService(self.kind.sibling(self.store), self.settings, self.clock, start=str(self.starts))
        made.start()
        return made

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
        now = max(self.clock(), self.log_horizon() + 1)
        accepted = self.services[which].add_many([name], None, None, np.array(some), Conditions(keep=keep))
        self.note([(name, now, value) for value in some], accepted.position, keep)

    @rule(keep_last=keeps)
    def start_anew(self, keep_last: int) -> None:
        """Others settings are in force from now on; older workers live on."""
        self.learn_horizon()
        self.starts += 1
        self.settings = replace(self.settings, keep_last=keep_last)
        self.fresh()
        self.oracle.claim(keep_last)
        self.oracle.position = self.store.end().position

    @rule(which=services, name=st.sampled_from(NAMES))
    def end(self, which: int, name: str) -> None:
        ended = self.services[which].end_series(name)
        assert ended.was_there == (name in self.oracle.series)
        if ended.was_there:
            self.oracle.end(name)
        assert ended.position >= self.oracle.position
        self.oracle.position = ended.position

    def write(self, service: EventService, rows: list[Row]) -> None:
        names = list(dict.fromkeys(name for name, _, _ in rows))
        indexes = np.array([names.index(name) for name, _, _ in rows], np.uint32)
        times = np.array([time for _, time, _ in rows], np.int64)
        cutoff = max(self.clock() - RETENTION, self.log_horizon())
        accepted = service.add_many(names, indexes, times, np.array([value for _, _, value in rows]))
        stored = [row for row in rows if row[1] > cutoff]
        assert (accepted.stored, accepted.expired) == (len(stored), len(rows) - len(stored))
        self.note(stored, accepted.position)

    def note(self, rows: list[Row], position: int, keep: int | None = None) -> None:
        self.learn_horizon()
        if rows:  # positions have holes where one had to try again
            assert position - len(rows) >= self.oracle.position
            self.oracle.position = position - len(rows) - (keep is not None and self.oracle.changes(rows, keep))
            self.oracle.add(rows, keep)
            assert position == self.oracle.position

    def log_horizon(self) -> int:
        log = self.services[0].log
        log.catch_up()
        return log.machine.horizon

    def learn_horizon(self) -> None:
        self.oracle.horizon = max(self.oracle.horizon, self.log_horizon())

    @rule(microseconds=st.one_of(st.integers(-MINUTE, 2 * MINUTE), st.sampled_from([1, SECOND, RETENTION])))
    def pass_time(self, microseconds: int) -> None:
        self.clock.advance(microseconds)

    @rule(which=services)
    def tick(self, which: int) -> None:
        self.services[which].tick()

    @rule(which=services, other=services, rows=events, keep=st.none() | keeps)
    def compact_while_another_writes(self, which: int, other: int, rows: list[Row], keep: int | None) -> None:
        service = self.services[which]

        def judge(number: int) -> Verdict:
            if keep is not None:
                self.write_and_keep(other, rows[0][0], [rows[0][2]], keep)
            else:
                self.write_many(other, rows)
            return service.level().judge(number)

        compact(service.store, judge)

    @rule(which=services)
    def clean(self, which: int) -> None:
        while self.services[which].tick():
            pass

    @rule(which=services)
    def compact(self, which: int) -> None:
        service = self.services[which]
        assert compact(service.store, service.level().judge)

    @rule(which=services)
    def forget(self, which: int) -> None:
        """Let the store forget what was compacted."""
        self.clock.advance(11 * MINUTE)
        self.services[which].store.sync()

    @rule(which=services)
    def die_while_compacting(self, which: int) -> None:
        def die(number: int) -> Verdict:
            raise Broken

        with suppress(Broken):
            compact(self.services[which].store, die)
        self.services[which] = self.fresh()

    @rule(which=services)
    def replace(self, which: int) -> None:
        self.services[which] = self.fresh()

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
        assert answer.position >= self.oracle.position
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
        if not hasattr(self, "store"):
            return
        told = Projection(Log(self.kind.sibling(self.store)))
        told.follow()
        stored = Counter((name, time, value) for name, rows in told.live().items() for time, _, value in rows)
        live = Counter(
            (name, time, value) for name, one in self.oracle.series.items() for time, _, value in one.live(told.horizon)
        )
        assert live == stored

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.patch.undo()
            self.kind.close()
            self.folder.cleanup()


def horizon_of(service: EventService) -> int:
    return service.level().projection.view.horizon


@pytest.mark.no_cover
@pytest.mark.parametrize("name", STORES)
@pytest.mark.soak(examples=(6, 200))
def test_all_services_agree_with_the_rules(name: str, examples: int) -> None:
    machine = type("AgreementOfOneKind", (Agreement,), {"make": staticmethod(STORES[name])})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )
