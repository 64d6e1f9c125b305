"""Several workers, one store with faults and clocks that step, in one thread: one generator of random numbers decides
all.

Whenever a worker calls the store another one may go first, so that every race between two calls can come about. An
oracle is told of each record in the order of the log. A seed replays a whole run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np
import pytest

from event_log.batch import Batch
from event_log.compaction import compact
from event_log.errors import HistoryChanged, LogError, LogUnavailable, OverBudget
from event_log.log import Log
from event_log.outcomes import Repeated, Stored, TryAgain, Void
from event_log.port import Behind
from event_log.rules import Rules
from event_log.tables import Change
from event_log.writes import PLAIN, Budget, Conditions, Once, Owner, Write
from tests.event_log.faulty_stores import Interleaved, LossyStore, Scheduler
from tests.event_log.projection import Projection
from tests.event_log.stores import Clocks
from times import HOUR, MINUTE, SECOND

NAMES = [f"s{number}" for number in range(7)]
DEPTH = 3
"""Maximum number of workers in the middle of a call."""


class Workers(Scheduler):
    """All that a seed decides."""

    def __init__(
        self,
        seed: int,
        *,
        workers: int = 3,
        faults: float = 0.02,
        losses: bool = False,
        projection: Callable[[Log], Projection] = Projection,
    ) -> None:
        self.random = Random(seed)
        self.clocks = Clocks()
        self.store = LossyStore(self.clocks)
        self.faults = faults
        self.losses = losses
        self.projection = projection
        self.depth = 0
        self.busy: set[int] = set()
        self.counts: dict[str, int] = {}
        self.starts = 0
        self.held: dict[int, tuple[str, int]] = {}
        self.stores: dict[int, Interleaved] = {}
        self.projections = [self.start(number) for number in range(workers)]

    def start(self, number: int) -> Projection:
        """A worker that begins anew."""
        store = Interleaved(self, number)
        projection = self.projection(Log(store))
        self.stores[number] = store
        return projection

    def run(self, steps: int) -> None:
        self.clocks.advance(SECOND)
        faults, self.faults, self.depth = self.faults, 0.0, DEPTH
        self.projections[0].log.claim(self.rules(), "the first")
        self.faults, self.depth = faults, 0
        for _ in range(steps):
            self.step(self.random.randrange(len(self.projections)))
        self.check()

    def step(self, worker: int) -> None:
        """Let one worker do something."""
        if worker in self.busy:
            return
        self.busy.add(worker)
        try:
            name, weight = zip(*WEIGHTS.items(), strict=True)
            chosen = self.random.choices(name, weight)[0]
            with suppress(LogUnavailable):
                getattr(self, f"do_{chosen}")(worker)
                self.projections[worker].log.machine.check()
                self.counts[chosen] = self.counts.get(chosen, 0) + 1
        finally:
            self.busy.remove(worker)

    def interleave(self, worker: int) -> None:
        """Called before each call of the store by a worker."""
        del worker
        if self.depth < DEPTH and self.random.random() < 0.3:
            self.depth += 1
            try:
                self.step(self.random.randrange(len(self.projections)))
            finally:
                self.depth -= 1

    # What workers do.

    def do_write(self, worker: int) -> None:
        """A batch, perhaps under conditions."""
        batch, conditions, expired = self.batch(), self.conditions(), self.random.randrange(3)
        self.write(worker, Write(batch, conditions, expired), lambda log: log.append(batch, conditions, expired))

    def do_one(self, worker: int) -> None:
        """One event without conditions."""
        name, time, value = self.random.choice(NAMES), self.time(), self.random.random()
        write = Write(Batch([name], None, time, np.array([value])))
        self.write(worker, write, lambda log: log.append_one(name, time, value))

    def write(self, worker: int, write: Write, append: Callable[[Log], Stored]) -> None:
        """Write, and check the worker's answer against the oracle: for the record that was decided, or where none was
        appended, as things stand."""
        store = self.stores[worker]
        store.begin_write()
        try:
            outcome: Stored | LogError = append(self.projections[worker].log)
        except LogUnavailable:
            raise
        except LogError as refusal:
            outcome = refusal
            self.note(refusal)
        if store.outcome is not None and not isinstance(store.outcome, TryAgain):
            assert_equal(outcome, store.outcome)
        elif isinstance(outcome, Stored):
            assert outcome.stored in (0, len(write.batch))
            assert outcome.stored or not self.store.oracle.rows(write)
            assert outcome.stored + outcome.expired == len(write.batch) + write.expired
        else:
            with pytest.raises(LogError) as refused:
                self.store.oracle.look(write, self.store.time())
            assert_equal(outcome, refused.value)

    def do_claim(self, worker: int) -> None:
        self.starts += self.random.random() < 0.8
        self.projections[worker].log.claim(self.rules(), f"start {self.starts}")

    def do_end(self, worker: int) -> None:
        projection = self.projections[worker]
        if projection.series:
            quiet = self.random.choice([None, projection.position, projection.position - 3])
            projection.log.end_series(self.random.choice(sorted(projection.series)), quiet)

    def do_horizon(self, worker: int) -> None:
        self.projections[worker].log.raise_horizon(self.clocks.wall + self.random.choice([0, 0, 0, 2 * HOUR, -HOUR]))

    def do_lease(self, worker: int) -> None:
        """Nobody has a lease that another one still holds."""
        log, name = self.projections[worker].log, self.random.choice("lm")
        number = log.lease(name, self.random.choice([0, 10, 60]))
        if number is None:
            self.note(Void())
        elif not self.losses:
            assert self.store.oracle.leases[name][:2] == (log.holder, number)
        self.held[worker] = (name, number or 1)

    def do_change(self, worker: int) -> None:
        """Each change leaves the row that it says, or none of them is done."""
        log = self.projections[worker].log
        rows = log.machine.tables.rows("t")
        changes = []
        for key in self.random.sample("abc", self.random.choice([1, 2])):
            leaves = rows[key].position if key in rows else 0
            changes.append(Change("t", key, self.random.choice([None, "x", "y"]), leaves))
        try:
            position = log.change(changes, self.random.choice([None, self.held.get(worker)]))
        except Void as void:
            self.note(void)
            return
        assert self.losses or self.store.oracle.position >= position
        self.counts["changed"] = self.counts.get("changed", 0) + 1

    def do_read(self, worker: int) -> None:
        self.projections[worker].read()

    def do_follow(self, worker: int) -> None:
        self.projections[worker].follow()

    def do_compact(self, worker: int) -> None:
        projection = self.projections[worker]
        with suppress(Behind, HistoryChanged):
            compact(projection.log.store, projection.judge)

    def do_adopt(self, worker: int) -> None:
        with suppress(Behind):
            self.projections[worker].log.adopt()

    def do_restart(self, worker: int) -> None:
        self.projections[worker] = self.start(worker)

    def do_sync(self, worker: int) -> None:
        self.projections[worker].log.store.sync()

    def do_pass(self, worker: int) -> None:
        """Let time pass; perhaps a clock is set."""
        del worker
        self.clocks.advance(self.random.choice([SECOND // 10, SECOND, MINUTE, 11 * MINUTE]))
        if self.random.random() < 0.1:
            self.clocks.wall += self.random.choice([2 * HOUR, -2 * HOUR, SECOND // 2])

    def do_lose(self, worker: int) -> None:
        del worker
        if self.losses:
            self.store.lose(self.random.randrange(4))

    # What they write.

    def time(self) -> int:
        return self.store.time() - self.random.choice([0, SECOND, MINUTE, HOUR // 2, HOUR, 2 * HOUR])

    def batch(self) -> Batch:
        names = self.random.sample(NAMES, self.random.randrange(1, 4))
        count = self.random.randrange(len(names), 8)
        indexes = np.array(
            [*range(len(names)), *self.random.choices(range(len(names)), k=count - len(names))], np.uint32
        )
        times: Any = self.time()
        if self.random.random() < 0.7:
            times = np.array([self.time() for _ in range(count)], np.int64)
        return Batch(
            names, indexes if len(names) > 1 else None, times, np.array([self.random.random() for _ in indexes])
        )

    def conditions(self) -> Conditions:
        random = self.random
        if random.random() < 0.3:
            return PLAIN
        keep = random.choice([None, None, 1, 3])
        symbols = keep is not None and random.random() < 0.5
        digest = hashlib.blake2b(bytes([random.randrange(20)]), digest_size=16).digest()
        once = random.choice([None, Once(digest, digest[::-1])])
        budget = random.choice([None, None, Budget(random.choice("xy"), random.choice([0.0, 0.5, 3.0]), 10)])
        owner = random.choice([None, None, Owner("o", 2)])
        return Conditions(keep, symbols, once, budget, owner)

    def rules(self) -> Rules:
        random = self.random
        return Rules(random.choice([HOUR, MINUTE]), random.choice([0, 2, 5]), HOUR, MINUTE, random.choice([5, 6]), 2)

    # What must hold.

    def note(self, refusal: LogError) -> None:
        name = type(refusal).__name__
        self.counts[name] = self.counts.get(name, 0) + 1

    def check(self) -> None:
        """All workers, and one that begins now, come to what the oracle says."""
        self.faults, self.depth = 0.0, DEPTH
        self.projections.append(self.start(len(self.projections)))
        oracle = self.store.oracle
        for projection in self.projections:
            projection.follow()
            machine = projection.log.machine
            machine.check()
            assert projection.number == oracle.number == machine.cursor.number
            assert projection.position == oracle.position
            assert projection.jumps == machine.jumps == oracle.jumps[-16:]
            assert projection.rules == oracle.rules == machine.rules
            assert projection.horizon == oracle.horizon == machine.horizon
            assert projection.live() == oracle.live()
            assert machine.series.ids == oracle.ids
            assert dict(machine.leases.items()) == oracle.leases
            for tables in (machine.tables, projection.tables):
                assert {(table, key): row for table, key, row in tables} == oracle.table_rows
            assert machine.done.forgotten == oracle.forgotten
            for number in range(20):
                key = hashlib.blake2b(bytes([number]), digest_size=16).digest()
                assert projection.log.recall(key) == oracle.recall(key, projection.log.store.time())


WEIGHTS = {
    "write": 30,
    "one": 20,
    "claim": 2,
    "end": 3,
    "horizon": 6,
    "lease": 3,
    "change": 6,
    "read": 10,
    "follow": 4,
    "compact": 6,
    "adopt": 4,
    "restart": 2,
    "sync": 3,
    "pass": 8,
    "lose": 1,
}


def assert_equal(outcome: Stored | LogError, expected: Stored | LogError) -> None:
    """Assert that two outcomes are the same."""
    assert type(outcome) is type(expected)
    if isinstance(outcome, Repeated) and isinstance(expected, Repeated):
        assert outcome.done == expected.done
    elif isinstance(outcome, OverBudget) and isinstance(expected, OverBudget):
        assert outcome.retry_after == pytest.approx(expected.retry_after)
    elif isinstance(outcome, Stored):
        assert outcome == expected
