"""What others may do to a view, and see of it, while what a read has brought is being taken in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from event_log import redis_questions, redis_reading
from event_log.base import START, Events
from event_log.errors import HistoryChanged, LogUnavailable
from event_log.memory import MemoryLog
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from tests.event_log.logs import RedisKind
from tests.rolling.model import summary_of
from times import HOUR, SECOND
from view import replica
from view.log_view import LogView

SETTINGS = Settings(keep_last=3, idle=0)
EVENTS = 3000


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(SETTINGS.max_series)


@pytest.fixture
def service(log: MemoryLog, clock: FakeClock) -> EventService:
    return EventService(log, SETTINGS, clock)


def store(service: EventService, seed: int = 1) -> list[float]:
    """One record, out of order, of many series."""
    generator = np.random.default_rng(seed)
    values = generator.normal(100, 15, EVENTS)
    which = generator.integers(0, 400, EVENTS).astype(np.uint32)
    times = service.clock() - generator.integers(0, HOUR - 10 * SECOND, EVENTS)
    service.add_many([f"s{number}" for number in range(400)], which, times, values)
    return list(map(float, values))


def in_between(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], None]) -> list[int]:
    """Let something happen between any two steps; notes how many there were."""
    steps: list[int] = []

    def give_way() -> None:
        steps.append(1)
        happen()

    monkeypatch.setattr(replica, "run_for", lambda work: next(work, "end") == "end")
    monkeypatch.setattr(replica, "give_way", give_way)
    return steps


def test_a_record_is_taken_in_in_many_steps_and_nobody_finds_the_view_whole_in_between(
    service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = store(service)
    found: list[bool] = []

    def look() -> None:
        found.append(service._replica._lock_whole())

    steps = in_between(monkeypatch, look)
    assert service.statistics().summary == summary_of(values)
    assert len(steps) > 5
    assert not any(found)
    service._replica.seen.view._check()


class Waits(Exception):
    """Somebody would wait until all is taken in."""


def wait() -> None:
    raise Waits


def test_neither_a_glance_nor_upkeep_touches_a_view_that_is_not_whole(
    service: EventService, log: MemoryLog, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(service)
    clock.advance(HOUR // 2)
    seen = service._replica.seen

    def happen() -> None:
        horizon = seen.view.horizon
        log.clean(clock() - HOUR, seen.kept_since, seen.place.position)
        service._replica.glance()
        with monkeypatch.context() as patch:
            patch.setattr(service._replica, "_catch_up", wait)
            for upkeep in (service._replica.prune, lambda: service._replica.maintain(0, 0)):
                with pytest.raises(Waits):
                    upkeep()
        assert seen.view.horizon == horizon

    steps = in_between(monkeypatch, happen)
    service._replica.advance()
    assert len(steps) > 5
    monkeypatch.setattr(replica, "give_way", lambda: None)
    service._replica.advance()
    service._replica.prune()
    assert seen.view.horizon == clock() - HOUR
    seen.view._check()


class Broken:
    """Takes in as ever, but for one fault in the middle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
        self.steps = 0
        take = LogView.take

        def broken(view: LogView, events: Events) -> Iterator[None]:
            for step in take(view, events):
                yield step
                self.steps += 1
                if self.steps == 5:
                    raise fault

        monkeypatch.setattr(LogView, "take", broken)


@pytest.mark.parametrize("fault", [RuntimeError("a fault of ours"), LogUnavailable("gone"), MemoryError()])
def test_a_fault_in_the_middle_of_a_record_counts_nothing_twice(
    service: EventService, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    values = store(service)
    broken = Broken(monkeypatch, fault)
    told: list[object] = []
    service.listen(told.append)
    with pytest.raises(type(fault)):
        service.statistics()
    assert service.statistics().summary == summary_of(values)
    assert broken.steps > 5
    assert service.generation == 1
    assert told == [None]
    service._replica.seen.view._check()


def test_another_history_in_the_middle_of_a_record_is_read_anew_within_the_same_question(
    service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = store(service)
    Broken(monkeypatch, HistoryChanged("a series has ended meanwhile"))
    assert service.statistics().summary == summary_of(values)
    assert service.generation == 1


def test_a_view_is_whole_once_it_hears_that_there_are_no_more_kept_events(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (redis_questions, redis_reading):
        monkeypatch.setattr(module, "CHUNKS", 1)  # a reading that is full ends with the last one
    with closing(RedisKind(tmp_path)) as logs:
        log = logs.open()
        service = EventService(log, SETTINGS, clock)
        service.add_many(["a"], None, None, np.array([1.0, 2.0]))
        service.statistics()
        clock.advance(2 * HOUR)
        service.tick()
        assert len(log.read(START)) == 2
        later = EventService(logs.sibling(log), SETTINGS, clock)
        while later.advance():
            assert not later._replica.ready
        with monkeypatch.context() as patch:
            patch.setattr(later._replica, "_catch_up", wait)
            with later._replica.held() as seen:  # else questions would go round and round
                assert seen.place.position == 2
        assert later.statistics("a", last=3).summary == summary_of([1.0, 2.0])


def test_another_history_is_read_by_one_at_a_time(
    service: EventService, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryLog, "far", True)
    values = store(service)
    service.statistics()
    service.statistics()
    assert service._replica._catch_up._abreast()

    def other(*args: object) -> Events:
        raise HistoryChanged("restored")

    with monkeypatch.context() as patch:
        patch.setattr(log, "read", other)
        assert service.advance()
    assert not service._replica._catch_up._abreast()
    assert service.statistics().summary == summary_of(values)


def test_while_the_log_is_not_there_the_view_stays_as_it_was(
    service: EventService, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = store(service)
    service.statistics()
    values += store(service, 2)

    def gone(*args: object) -> Events:
        raise LogUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(log, "read", gone)
        with pytest.raises(LogUnavailable):
            service.statistics()
        with service._replica.held() as seen:  # what is there is whole, if not level
            assert seen.view.tail(None, 0, 0, None, ends=False).summary.count == EVENTS
    assert service.statistics().summary == summary_of(values)
    assert service.generation == 0
