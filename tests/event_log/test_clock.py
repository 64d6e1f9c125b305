"""Two workers over one log and a clock that misbehaves: they agree, and nothing breaks."""

from __future__ import annotations

import numpy as np
import pytest

from event_log.port import RecordStore
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from tests.event_log.stores import WALL as START
from tests.event_log.stores import StoreKind
from times import HOUR, MINUTE, SECOND


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def store(kind: StoreKind) -> RecordStore:
    return kind.open()


@pytest.fixture
def workers(kind: StoreKind, store: RecordStore, clock: FakeClock) -> list[EventService]:
    """Two of them, in whose series nothing outlives the retention."""
    return [EventService(kind.sibling(store), Settings(keep_last=0), clock, start="one") for _ in range(2)]


def counts(workers: list[EventService], window: int = HOUR) -> list[int]:
    return [worker.statistics(window=window).summary.count for worker in workers]


@pytest.mark.parametrize("cleaner", [None, 0, 1])
def test_an_event_at_the_very_edge_is_in_all_views_or_in_none(
    workers: list[EventService], clock: FakeClock, cleaner: int | None
) -> None:
    workers[0].add("a", START, 1.0)
    workers[1].add_many(["a", "b"], np.array([0, 1], np.uint32), np.array([START, START + 1]), np.array([2.0, 3.0]))
    for moment, live in ((START + HOUR - 1, 3), (START + HOUR, 1), (START + HOUR + 1, 0)):
        clock.now = moment
        if cleaner is not None:
            while workers[cleaner].tick():
                pass
        assert counts(workers) == [live, live]


def test_a_clock_set_back_by_a_minute_breaks_nothing(workers: list[EventService], clock: FakeClock) -> None:
    workers[0].add("a", START - HOUR + 2 * MINUTE, 1.0)
    workers[0].add("a", START, 2.0)
    while workers[0].tick():
        pass
    clock.advance(-MINUTE)
    accepted = [worker.add("a", time, 3.0) for worker in workers for time in (None, START - 2 * MINUTE)]
    assert [one.stored for one in accepted] == [1] * 4
    assert counts(workers) == [6, 6]
    assert counts(workers, MINUTE) == [3, 3]  # the event dated after the clock counts at once
    while any(worker.tick() for worker in workers):
        pass
    assert counts(workers) == [6, 6]
    clock.advance(HOUR)
    assert counts(workers) == [1, 1]
    while any(worker.tick() for worker in workers):
        pass
    assert counts(workers) == [1, 1]


def test_what_was_cleaned_stays_gone_when_the_clock_is_set_back(
    workers: list[EventService], clock: FakeClock, kind: StoreKind, store: RecordStore
) -> None:
    workers[0].add("a", START, 1.0)
    workers[0].add("a", START + MINUTE, 2.0)
    clock.advance(HOUR + SECOND)
    while workers[0].tick():
        pass
    clock.advance(-MINUTE)
    fresh = EventService(kind.sibling(store), Settings(keep_last=0), clock, start="one")
    assert counts([*workers, fresh]) == [1, 1, 1]
    assert workers[1].add("a", START, 3.0).stored == 0
