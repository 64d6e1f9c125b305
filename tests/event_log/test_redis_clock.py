"""Time on Redis: its clock bounds what a host may have expire, and a host whose own is off says so."""

from __future__ import annotations

import re
import secrets
import time

import pytest

from event_log.log import Log
from event_log.port import JUMP, Guard, Record
from event_log.redis import clock
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from event_log.rules import Rules
from tests.event_log.stores import Clocks
from tests.event_log.test_stores import everything
from tests.redis_server import shared
from times import HOUR, MINUTE, SECOND, wall_clock

RULES = Rules(HOUR, 3, HOUR, MINUTE, 100, 3)


@pytest.fixture
def name() -> str:
    return secrets.token_hex(8)


def opened(name: str, clocks: Clocks | None = None) -> RedisStore:
    return RedisStore(parse_redis_url(shared().url(f"name={name}")), max_bytes=2**30, clock=clocks)


@pytest.mark.parametrize(
    ("off", "told"), [(2 * HOUR, r"7,(199|200)\.\d s ahead of"), (-5 * SECOND, r"[45]\.\d s behind")]
)
def test_a_host_whose_clock_is_off_says_so_and_goes_by_that_of_redis(
    monkeypatch: pytest.MonkeyPatch, name: str, off: int, told: str
) -> None:
    store, other = opened(name), opened(name)
    monkeypatch.setattr(clock, "wall_clock", lambda: wall_clock() + off)
    store.sync()
    said = store.notice() or ""
    monkeypatch.undo()
    other.sync()
    assert pytest.approx(wall_clock(), abs=MINUTE) == store.corrected(wall_clock() + off)
    assert re.search(rf"the clock of this host is {told} that of Redis at .*, which counts for the log", said)
    assert "clock of this host" not in (other.notice() or "")
    assert other.corrected(77) == 77
    assert abs(store.time() - other.time()) < 10 * SECOND
    for each in (store, other):
        each.close()


def test_no_host_has_events_expire_that_are_alive_by_the_clock_of_redis(name: str) -> None:
    log, other = Log(opened(name)), Log(opened(name))
    log.claim(RULES, "start")
    now = log.store.time()
    log.append_one("a", now, 1.0)
    log.catch_up()
    assert log.raise_horizon(now + 2 * HOUR)
    other.catch_up()
    assert other.machine.horizon <= other.store.time() - HOUR
    assert other.append_one("a", now - 30 * MINUTE, 2.0).stored == 1
    for each in (log, other):
        each.store.close()


def test_a_leap_at_a_start_is_followed_only_after_ten_minutes(name: str) -> None:
    clocks = Clocks()
    store = opened(name, clocks)
    record = Record(1, b"", timed=True)
    before = store.append(record, Guard(store.manifest().cursor.history))
    with shared().client() as client:  # as if it had been started anew since
        _, _, history = client.hget(store.keys.head.decode(), "mark").split()
        client.hset(store.keys.head.decode(), "mark", b"4 another-start " + history)
    start = clocks.wall
    clocks.advance(2 * HOUR)
    store.check()
    assert store.end().position >= before.position + JUMP
    found = []
    for minutes in (1, 8, 2):
        clocks.advance(minutes * MINUTE)
        store.sync()
        store.append(record, Guard(store.manifest().cursor.history))
        found.append(everything(store)[-1].time - start)
        assert store.time() == start + found[-1]
    assert found == [MINUTE, 9 * MINUTE, 2 * HOUR + 11 * MINUTE]
    store.close()


def test_the_time_of_the_log_goes_on_between_two_looks(name: str) -> None:
    store = opened(name)
    first = store.time()
    time.sleep(0.002)
    assert 2000 <= store.time() - first < 60 * SECOND
    store.close()
