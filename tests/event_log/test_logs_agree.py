"""Several writers at once, over every store: whatever races they run, all come to the same state."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Barrier, Thread

import numpy as np
import pytest

from event_log.batch import Batch
from event_log.checkpoint import pack
from event_log.compaction import compact
from event_log.errors import LogError, LogUnavailable
from event_log.log import Log
from event_log.outcomes import Repeated, Stored
from event_log.rules import Rules
from event_log.writes import PLAIN, Budget, Conditions, Once
from tests.event_log.projection import Projection
from tests.event_log.stores import STORES, WALL, Clocks, StoreKind
from times import HOUR, MINUTE

WRITERS = 4
EACH = 60
RULES = Rules(HOUR, 3, HOUR, MINUTE, 6, 3)


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreKind]:
    made = STORES[request.param](tmp_path, Clocks())
    yield made
    made.close()


def at_once(work: list[Thread]) -> None:
    for thread in work:
        thread.start()
    for thread in work:
        thread.join(60)
    assert not any(thread.is_alive() for thread in work)


def state(log: Log) -> bytes:
    """All that a machine has come to."""
    with log.lock:
        return pack(log.machine, {})


def test_all_come_to_the_same_whatever_races_they_run(kind: StoreKind) -> None:
    first = kind.open()
    logs = [Log(first), *(Log(kind.sibling(first)) for _ in range(WRITERS - 1))]
    logs[0].claim(RULES, "a start")
    projections, begin, outcomes = [Projection(log) for log in logs], Barrier(WRITERS), Counter[str]()
    digests = [hashlib.blake2b(bytes([number]), digest_size=16).digest() for number in range(EACH)]
    stored: list[tuple[bytes, Stored]] = []

    def work(writer: int) -> None:
        random, log = Random(writer), logs[writer]
        begin.wait()
        for number in range(EACH):
            once = Once(digests[number], digests[number])
            conditions = random.choice([PLAIN, Conditions(once=once), Conditions(budget=Budget("b", 1.0, 50))])
            name = random.choice("abcdefgh")
            try:
                done = log.append(Batch([name], None, WALL, np.full(random.randrange(1, 4), float(writer))), conditions)
                if conditions.once is not None:
                    stored.append((conditions.once.key, done))
            except LogUnavailable:
                raise
            except LogError as refusal:
                outcomes[type(refusal).__name__] += 1
            if number % 20 == 10:
                log.end_series(random.randrange(1, 8))
            if number % 25 == 5:
                compact(log.store, projections[writer].judge)
                log.adopt()

    at_once([Thread(target=work, args=(writer,)) for writer in range(WRITERS)])
    assert {"Repeated", "TooManySeries", "OverBudget"} <= outcomes.keys()
    assert len({key for key, _ in stored}) == len(stored)
    fresh = Log(kind.sibling(first))
    projections.append(Projection(fresh))
    for projection in projections:
        projection.follow()
    for projection in projections:
        assert state(projection.log) == state(fresh)
        assert projection.live() == projections[0].live()
    for key, done in stored:
        with pytest.raises(Repeated) as repeated:
            fresh.append(Batch(["a"], None, WALL, np.ones(1)), Conditions(once=Once(key, key)))
        assert repeated.value.done[1:] == done
