"""Access of others to a projection while the result of a read is being taken in."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from threading import Thread

import numpy as np
import pytest

from event_log.applied import Begun, Told
from event_log.batch import Batch
from event_log.compaction import compact
from event_log.errors import LogUnavailable
from event_log.log import Log
from event_log.memory_store import MemoryStore
from event_log.port import Chunk, Cursor
from event_log.rules import Rules
from rolling.span import Span
from rolling.window import RollingWindow
from tests.event_log.faulty_stores import LossyStore
from tests.event_log.stores import WALL, Clocks
from tests.rolling.model import summary_of
from times import HOUR, MINUTE, SECOND
from view import level as module
from view.housekeeping import Housekeeping
from view.level import Level, Listener
from view.projection import Projection

RULES = Rules(HOUR, 3, HOUR, MINUTE, 1000, 3)
EVENTS = 1200


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


class Store(LossyStore):
    """A lossy store that may be out of reach."""

    is_gone = False

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        if self.is_gone:
            raise LogUnavailable("out of reach")
        return super().read(cursor, limit)


@pytest.fixture
def store(clocks: Clocks) -> Store:
    return Store(clocks)


@pytest.fixture
def log(store: Store) -> Log:
    made = Log(store)
    made.claim(RULES, "a start")
    return made


@pytest.fixture
def listeners() -> list[Listener]:
    return []


@pytest.fixture
def level(log: Log, listeners: list[Listener]) -> Level:
    made = Level(log, listeners=listeners)
    with made:
        return made


def append(log: Log, seed: int = 1) -> list[float]:
    """One record, out of order, of many series."""
    generator = np.random.default_rng(seed)
    values = generator.normal(100, 15, EVENTS)
    which = generator.integers(0, 400, EVENTS).astype(np.uint32)
    which[:400] = np.arange(400)
    times = WALL - generator.integers(0, HOUR - 10 * SECOND, EVENTS)
    log.append(Batch([f"s{number}" for number in range(400)], which, times, values))
    return list(map(float, values))


def summary(level: Level) -> object:
    with level as projection:
        projection.view.check()
        return projection.view.figures(None, Span(WALL - HOUR, WALL - HOUR), ends=False).summary


def in_between(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], None]) -> list[int]:
    """Let something happen between any two steps; notes how many there were."""
    steps: list[int] = []

    def give_way() -> None:
        steps.append(1)
        happen()

    monkeypatch.setattr(module, "run_for", lambda work: next(work, "end") == "end")
    monkeypatch.setattr(module, "give_way", give_way)
    return steps


def test_it_is_level_with_what_was_acknowledged_before(log: Log, level: Level, store: Store) -> None:
    values = append(log)
    assert summary(level) == summary_of(values)
    values.append(3.0)
    Log(store).append_one("s1", WALL, 3.0)
    assert summary(level) == summary_of(values)


def test_nobody_finds_it_whole_in_between(log: Log, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    values = append(log)
    found: list[bool] = []
    steps = in_between(monkeypatch, lambda: found.append(level._lock_whole()))
    assert summary(level) == summary_of(values)
    assert len(steps) > 5
    assert not any(found)


def test_upkeep_waits_until_all_is_taken_in(log: Log, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    class Waits(Exception):
        """Somebody would wait."""

    def wait() -> None:
        raise Waits

    append(log)
    tried: list[int] = []

    def happen() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(level, "_catch_up", wait)
            for upkeep in (level.prune, lambda: Housekeeping(log, level, idle=0).tick(HOUR)):
                with pytest.raises(Waits):
                    upkeep()
        tried.append(1)

    in_between(monkeypatch, happen)
    with level:
        pass
    assert len(tried) > 5


@pytest.mark.parametrize("fault", [RuntimeError("a fault of ours"), LogUnavailable("gone"), MemoryError()])
def test_a_fault_in_the_middle_counts_nothing_twice(
    log: Log, level: Level, listeners: list[Listener], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    values = append(log)
    told: list[Told | Begun] = []
    listeners.append(told.append)
    take, steps = Projection.take, list[int]()

    def broken(projection: Projection, some: Told) -> Iterator[None]:
        for step in take(projection, some):
            yield step
            steps.append(1)
            if len(steps) == 5:
                raise fault

    monkeypatch.setattr(Projection, "take", broken)
    with pytest.raises(type(fault)):
        summary(level)
    assert summary(level) == summary_of(values)
    assert [isinstance(each, Begun) and each.same_history for each in told] == [True]


def test_another_history_takes_its_place_once_it_is_level(
    log: Log, level: Level, listeners: list[Listener], store: Store
) -> None:
    values = append(log)
    log.append_one("lost", WALL, 7.0)
    assert summary(level) == summary_of([*values, 7.0])
    told: list[Told | Begun] = []
    listeners.append(told.append)
    before = level.projection
    store.lose(1)
    assert summary(level) == summary_of(values)
    assert level.projection is not before
    assert [isinstance(each, Begun) and not each.same_history for each in told] == [True]
    assert level.projection.jumps


def test_one_that_begins_loads_a_checkpoint(log: Log, level: Level, store: Store) -> None:
    values = append(log)

    assert compact(store, level.judge)
    append(log, seed=2)
    fresh = Level(Log(store))
    assert not fresh.is_ready
    assert summary(fresh) == summary(level)
    assert [made.is_ready for made in (fresh, level)] == [True, True]
    assert fresh.projection.ids == level.projection.ids
    assert len(values) == EVENTS


def test_while_the_log_is_not_there_it_stays_as_it_was(log: Log, level: Level, store: Store) -> None:
    values = append(log)
    assert summary(level) == summary_of(values)
    Log(store).append_one("s1", WALL, 3.0)
    store.is_gone = True
    with pytest.raises(LogUnavailable):
        summary(level)
    with level.held() as projection:
        assert projection.view.figures(None, Span(WALL - HOUR, WALL - HOUR), ends=False).summary == summary_of(values)
    store.is_gone = False
    assert summary(level) == summary_of([*values, 3.0])


def test_listeners_are_told_of_each_portion_and_may_fail(log: Log, level: Level, listeners: list[Listener]) -> None:
    told: list[Told | Begun] = []

    def fail(each: Told | Begun) -> None:
        raise RuntimeError("a listener of ours")

    listeners.append(fail)
    listeners.append(told.append)
    log.append_one("a", WALL, 1.0)
    log.append_one("a", WALL, 2.0)
    with level:
        pass
    assert sum(len(each.steps) for each in told if isinstance(each, Told)) >= 2


def test_threads_ask_and_write_at_once(clocks: Clocks) -> None:
    log = Log(MemoryStore(clocks))  # the lossy one is for one thread
    log.claim(RULES, "a start")
    level = Level(log)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(100):
            position = log.append_one(f"t{number}", WALL, 1.0).position
            with level as projection:
                if projection.cursor.position < position:
                    wrong.append(position)

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    with level as projection:
        assert projection.view.ranges(None, Span(WALL - HOUR, WALL - HOUR, None, None))[0].begin == 600


def test_what_begins_anew_is_let_go_of_before_it_is_built_again(
    store: Store, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine whose workers all begin anew would need twice the memory otherwise."""
    level = Level(log)
    values = append(log)
    log.append_one("lost", WALL, 7.0)
    with level as projection:
        replaced = weakref.ref(projection)
    del projection
    alive: list[bool] = []
    steps = in_between(monkeypatch, lambda: alive.append(replaced() is not None))
    store.lose(1)
    assert summary(level) == summary_of(values)
    assert len(steps) > 5
    assert not any(alive)


def windows_in_memory() -> int:
    return sum(isinstance(made, RollingWindow) for made in gc.get_objects())


def test_what_was_replaced_is_freed_at_once(store: Store, log: Log) -> None:
    """Without a collection of cycles: `gc.freeze` would keep one for good."""
    level = Level(log)
    log.append(Batch(["a", "b"], np.array([0, 1] * 500, np.uint32), WALL, np.arange(1000.0)))
    with level as projection:
        assert len(projection.view.windows) == 2
        replaced = [weakref.ref(made) for made in (projection, projection.view, log.machine)]
    del projection
    gc.collect()
    before = windows_in_memory()
    gc.disable()
    try:
        log.retell()
        while level.advance():
            pass
        assert len(level.projection.view.windows) == 2
        assert [made() for made in replaced] == [None] * 3
        assert windows_in_memory() == before
    finally:
        gc.enable()
