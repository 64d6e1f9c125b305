"""One log on Redis in many processes, which register series, end them and begin them anew at the same time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from event_log.base import Terms
from event_log.errors import TooManyKeepers, TooManySeries
from event_log.redis.url import parse_redis_url
from event_log.redis_log import RedisLog
from event_log.rules import Rules
from tests.event_log.logs import START as NOW
from tests.event_log.logs import batch, ids
from tests.event_log.reader import Reader, rows_behind
from tests.event_log.test_processes import ended, in_child
from tests.redis_server import shared

RULES = Rules(10**9, 1000)
PROCESSES = 6
NAMES = 60
MOST = 40
Stored = list[tuple[str, float]]


@pytest.fixture
def url() -> str:
    """Of an empty log."""
    url = shared().url("name=processes")
    with shared().client() as client:
        for key in client.keys("{processes}:*"):
            client.delete(key)
    log = open_log(url)
    log.claim(RULES, "start")
    log.close()
    return url


def open_log(url: str) -> RedisLog:
    return RedisLog(parse_redis_url(url), max_bytes=2**30, max_series=MOST)


def in_processes(folder: Path, work: Callable[[int], Stored]) -> list[Stored]:
    """What each of the processes that do this work says it has stored."""

    def run(number: int) -> None:
        (folder / str(number)).write_text(json.dumps(work(number)))

    assert ended(*[in_child(lambda number=number: run(number)) for number in range(PROCESSES)])  # type: ignore[misc]
    return [[(name, value) for name, value in json.loads((folder / str(n)).read_text())] for n in range(PROCESSES)]


def check(url: str, stored: list[Stored]) -> RedisLog:
    """All who read agree, and have what was acknowledged and nothing else, each under its own name."""
    log, other = open_log(url), open_log(url)
    readers = [Reader(log), Reader(other)]
    for reader in readers:
        reader.follow(100)
    assert readers[0].live() == readers[1].live()
    assert dict(log.series.items()) == dict(other.series.items())
    found = [(name, value) for _, (name, _, value) in rows_behind(log)]
    assert sorted(found) == sorted(one for some in stored for one in some)
    other.close()
    return log


def test_overlapping_names_are_registered_once_and_the_limit_holds_exactly(url: str, tmp_path: Path) -> None:
    def work(number: int) -> Stored:
        log, stored, rng = open_log(url), [], random.Random(number)
        names = [f"name {i}" for i in range(NAMES)]
        rng.shuffle(names)
        for i, name in enumerate(names):
            rows = [(name, NOW, number + i / 100)] + [(names[i - 1], NOW, -number - i / 100)] * (i % 2)
            try:
                log.append(batch(rows))
            except TooManySeries:
                continue
            stored += [(name, value) for name, _, value in rows]
        log.close()
        return stored

    log = check(url, in_processes(tmp_path, work))
    assert sorted(log.series) == list(range(MOST))  # exactly so many, without a gap
    assert len(ids(log)) == MOST
    with pytest.raises(TooManySeries):
        log.append_one("one more", NOW, 1.0)
    log.close()


def test_symbols_are_as_many_as_allowed_and_the_same_everywhere(url: str, tmp_path: Path) -> None:
    def work(number: int) -> Stored:
        log, stored = open_log(url), []
        for i in range(20):
            name = f"symbol {(number + i) % 15}"
            try:
                log.append(batch([(name, NOW, number + i / 100)]), Terms(keep=10**6, most_keepers=10))
            except TooManyKeepers:
                continue
            stored.append((name, number + i / 100))
        log.close()
        return stored

    log = check(url, in_processes(tmp_path, work))
    assert len(log.series) == 10
    assert {entry.keep for entry in log.series.values()} == {10**6}
    log.close()


def test_series_that_end_and_begin_anew_meanwhile_mix_no_events(url: str, tmp_path: Path) -> None:
    """What is acknowledged stands under its own name, or has gone with the series' end."""

    def work(number: int) -> Stored:
        log, rng = open_log(url), random.Random(number)
        for i in range(60):
            name = f"name {rng.randrange(8)}"
            log.append_one(name, NOW, float(name.split()[1]))
            if i % 5 == number % 5:
                log.end_series(ids(log)[name])
        log.close()
        return []

    in_processes(tmp_path, work)
    log = open_log(url)
    reader = Reader(log)
    reader.follow(50)
    live = reader.live()
    assert len({name for name, _ in live.values()}) == len(live)
    for name, events in live.values():
        assert {value for _, _, value in events} == {float(name.split()[1])}
    assert all(value == float(name.split()[1]) for _, (name, _, value) in rows_behind(log))
    log.close()
