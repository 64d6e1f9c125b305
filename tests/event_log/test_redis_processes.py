"""One log on Redis in many processes, which register series, end them and begin them anew at the same time."""

from __future__ import annotations

import multiprocessing
import random
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier

import numpy as np
import pytest

from event_log.batch import Batch
from event_log.errors import TooManyKeepers, TooManySeries
from event_log.log import Log
from event_log.redis import appending, connection
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from event_log.rules import Rules
from event_log.writes import Conditions
from tests.event_log.projection import Projection
from tests.event_log.stores import WALL
from tests.redis_server import shared
from times import HOUR, MINUTE

PROCESSES = 4
NAMES = 60
MOST = 40
RULES = Rules(10 * 365 * 24 * HOUR, 10**6, HOUR, MINUTE, MOST, 10)
Stored = list[tuple[str, float]]
Work = Callable[[str, int], Stored]
InProcesses = Callable[[Work, str], list[Stored]]
processes: list[Barrier] = []
"""The barrier that the processes wait for; one in each of them."""


@pytest.fixture
def url() -> str:
    """The URL of an empty log."""
    url = shared().url(f"name={secrets.token_hex(8)}")
    log = open_log(url)
    log.claim(RULES, "start")
    log.store.close()
    return url


def open_log(url: str) -> Log:
    return Log(RedisStore(parse_redis_url(url), max_bytes=2**30))


@pytest.fixture(scope="module")
def in_processes() -> Iterator[InProcesses]:
    """Return what each of the processes that do some work says it has stored."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, spawn, initializer=begin_process, initargs=(spawn.Barrier(PROCESSES),)) as pool:
        yield lambda work, url: list(pool.map(at_once, [work] * PROCESSES, [url] * PROCESSES, range(PROCESSES)))


def begin_process(barrier: Barrier) -> None:
    """Have a process wait for the others before each work, and for a Redis that is slow beside other tests."""
    connection.PATIENCE = appending.UNCERTAIN = 60.0
    processes.append(barrier)


def at_once(work: Work, url: str, number: int) -> Stored:
    """Do some work when all processes are there for it."""
    processes[0].wait(300)
    return work(url, number)


def followed(url: str) -> dict[str, list[float]]:
    """Return what a fresh host has: the values of each series. Another one has the same."""
    answers = []
    for _ in range(2):
        log = open_log(url)
        projection = Projection(log)
        projection.follow()
        answers.append({name: [value for _, _, value in events] for name, events in projection.live().items()})
        log.store.close()
    assert answers[0] == answers[1]
    return answers[0]


def check(url: str, stored: list[Stored]) -> dict[str, list[float]]:
    """All who read agree, and have what was acknowledged and nothing else, each under its own name."""
    found = followed(url)
    expected = sorted(one for some in stored for one in some)
    assert sorted((name, value) for name, values in found.items() for value in values) == expected
    return found


def batch(rows: Stored) -> Batch:
    names = [name for name, _ in rows]
    return Batch(names, np.arange(len(rows), dtype=np.uint32), WALL, np.array([value for _, value in rows]))


def register(url: str, number: int) -> Stored:
    """Register names that the others register too, in another order, until there are enough."""
    log, stored, rng = open_log(url), Stored(), random.Random(number)
    names = [f"name {i}" for i in range(NAMES)]
    rng.shuffle(names)
    for i, name in enumerate(names):
        rows = [(name, number + i / 100)] + [(names[i - 1], -number - i / 100 - 1)] * (i % 2)
        try:
            log.append(batch(rows))
        except TooManySeries:
            continue
        stored += rows
    log.store.close()
    return stored


def keep(url: str, number: int) -> Stored:
    """Give symbols a keep of their own, until there are enough."""
    log, stored = open_log(url), Stored()
    for i in range(20):
        rows = [(f"symbol {(number + i) % 15}", number + i / 100)]
        try:
            log.append(batch(rows), Conditions(keep=10**5, symbols=True))
        except TooManyKeepers:
            continue
        stored += rows
    log.store.close()
    return stored


def end(url: str, number: int) -> Stored:
    """Write to series that others end at any moment."""
    log, rng = open_log(url), random.Random(number)
    for i in range(60):
        name = f"name {rng.randrange(8)}"
        log.append_one(name, WALL, float(name.split()[1]))
        if i % 5 == number % 5:
            log.catch_up()
            if (series := log.machine.series.ids.get(name)) is not None:
                log.end_series(series)
    log.store.close()
    return []


def test_overlapping_names_are_registered_once_and_the_limit_holds_exactly(url: str, in_processes: InProcesses) -> None:
    assert len(check(url, in_processes(register, url))) == MOST
    log = open_log(url)
    log.catch_up()
    assert sorted(log.machine.series.ids.values()) == list(range(1, MOST + 1))  # without a gap
    with pytest.raises(TooManySeries):
        log.append_one("one more", WALL, 1.0)
    log.store.close()


def test_symbols_are_as_many_as_allowed_and_the_same_everywhere(url: str, in_processes: InProcesses) -> None:
    assert len(check(url, in_processes(keep, url))) == 10


def test_series_that_end_and_begin_anew_meanwhile_mix_no_events(url: str, in_processes: InProcesses) -> None:
    """An acknowledged event stands under its own name, or has gone with the series' end."""
    in_processes(end, url)
    for name, values in followed(url).items():
        assert set(values) <= {float(name.split()[1])}
