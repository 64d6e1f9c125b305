"""Many ask at a time, in threads, while one writes: a question on a snapshot holds the lock but in its pauses."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import numpy as np
import pytest

from event_log.memory_store import MemoryStore
from event_service import EventService
from rolling.epochs import NONE
from rolling.percentiles import Percentiles, percent
from settings import Settings
from tests.conftest import FakeClock
from tests.rolling.sizes import small
from times import HOUR, MINUTE
from view import asking
from view.answers import Extras, Order, Scope

NAMES = [f"s{number:02}" for number in range(12)]
ENDS = Percentiles((percent("0"), percent("100")))
ROUNDS = 8


def statistics(service: EventService) -> tuple[int, int]:
    """The number of events that an answer has, and the number that there were at its position."""
    found = service.statistics(window=HOUR, percentiles=ENDS)
    assert list(found.percentiles) == [found.summary.min, found.summary.max]
    return found.summary.count, found.position


def history(service: EventService) -> tuple[int, int]:
    found = service.history(window=HOUR, step=MINUTE, extras=Extras(percentiles=ENDS))
    for _, figures in found.points:
        assert list(figures.percentiles) == [figures.summary.min, figures.summary.max]
    return sum(figures.summary.count for _, figures in found.points), found.position


def ranking(service: EventService) -> tuple[int, int]:
    order = Order(lambda figures: figures.summary.count, True)
    infos, _, position = service.ranking("", 100, None, Scope(window=HOUR), order, Extras(percentiles=ENDS))
    assert [info.figures and info.figures.summary.count for info in infos] == [info.count for info in infos]
    return sum(info.count for info in infos), position


def replay(service: EventService) -> tuple[int, int]:
    found = service.replay("s00", 0, 10**6)
    return len(found.times) * len(NAMES), found.position


def test_each_answer_is_of_one_position_whoever_else_asks_and_writes(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = EventService(MemoryStore(clock.moment), Settings(idle=0), clock)
    ids = np.arange(60 * len(NAMES), dtype=np.uint32) % len(NAMES)

    def write(number: int, ids: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> None:
        times = clock() - np.random.default_rng(number).integers(0, 50 * MINUTE, len(ids))
        service.add_many(NAMES, ids, times, np.random.default_rng(number).normal(0, 1, len(ids)))

    asking_over = threading.Event()

    def ask() -> None:
        for question in islice(cycle((statistics, history, ranking, replay)), ROUNDS):
            count, position = question(service)
            assert count == position

    def write_on() -> None:
        number = 1
        while not asking_over.is_set():
            number += 1
            write(number, ids[: len(NAMES)])
            service.advance()
            time.sleep(0.001)

    with small():
        write(1, ids)
        monkeypatch.setattr(asking, "SECONDS", 0.0005)
        monkeypatch.setattr(asking, "give_way", lambda: time.sleep(0))
        with ThreadPoolExecutor(5) as pool:
            writing, asked = pool.submit(write_on), [pool.submit(ask) for _ in range(4)]
            try:
                for one in asked:
                    one.result(timeout=300)
            finally:
                asking_over.set()
            writing.result(timeout=300)
        with service.level() as projection:
            projection.snapshots.settle()
            assert projection.view.epochs.frozen == NONE
            projection.view.check()
