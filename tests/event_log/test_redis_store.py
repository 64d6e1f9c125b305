"""The store on Redis where Redis is restarted, loses what was newest, breaks connections off, or is full."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from event_log import codec
from event_log.batch import Batch
from event_log.errors import HistoryChanged, LogDamaged, LogFull, LogUncertain
from event_log.log import Log
from event_log.outcomes import Repeated, Stored
from event_log.port import JUMP, Guard, Manifest, Record
from event_log.redis import appending
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from event_log.rules import Rules
from event_log.writes import Conditions, Once
from tests.event_log.projection import Projection
from tests.event_log.relay import Relay
from tests.event_log.stores import WALL, Clocks
from tests.redis_server import RedisServer, shared
from tests.servers import until
from times import HOUR, MINUTE, SECOND

RULES = Rules(24 * 365 * 10 * HOUR, 3, HOUR, MINUTE, 100, 3)
KEY = Conditions(once=Once(b"k" * 16, b"b" * 16))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


def some(count: int = 1, name: str = "a") -> Batch:
    return Batch([name], None, WALL, np.arange(float(count)))


def at(
    server: RedisServer, query: str = "name=log", by: Relay | RedisServer | None = None, max_bytes: int = 2**30
) -> RedisStore:
    return RedisStore(parse_redis_url((by or server).url(query)), max_bytes=max_bytes)


def everything(log: Log) -> list[tuple[int, float]]:
    """Position and value of each event of the series `a`."""
    projection = Projection(log)
    projection.follow()
    return sorted((position, value) for _, position, value in projection.series[1].events)


def at_once(work: Callable[[int], None], count: int) -> None:
    """Do work in threads; raises what one raises."""
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, range(count)))


def new(max_bytes: int = 2**30) -> RedisStore:
    return at(shared(), f"name={secrets.token_hex(8)}", max_bytes=max_bytes)


def test_after_a_restart_readers_go_on_where_they_were(server: RedisServer) -> None:
    log, other = Log(at(server)), Log(at(server))
    log.claim(RULES, "a start")
    reader, projection = Projection(other), Projection(log)
    log.append(some(3))
    reader.follow()
    with server.client() as client:
        client.config_set("appendfsync", "always")
    before = log.append(some(2), KEY)
    server.kill()
    server.start()
    after = log.append(some(4))
    assert after.position >= before.position + JUMP
    for each in (reader, projection):
        each.follow()
        assert each.begun == 0
        assert each.jumps == [(before.position, after.position - 4)]
        assert len(each.live()["a"]) == 9
    with pytest.raises(Repeated):
        other.append(some(7), KEY)
    log.store.close()
    other.store.close()


def test_where_something_was_lost_those_who_had_read_it_begin_anew() -> None:
    with RedisServer(aof=None) as server:
        log, other = Log(at(server)), Log(at(server))
        log.claim(RULES, "a start")
        behind, reader = Projection(other), Projection(log)
        log.append(some(3))
        behind.follow()
        with server.client() as client:
            client.save()
        lost = log.append(some(2, "b"))
        reader.follow()
        server.kill()
        server.start()
        # To a plain write the ids of the lost history mean nothing.
        found = log.append(some(4, "c"))
        assert found.position >= lost.position + JUMP
        for each in (reader, behind):
            each.follow()
            assert {name: len(events) for name, events in each.live().items()} == {"a": 3, "c": 4}
        assert (reader.begun, behind.begun) == (1, 0)
        assert log.append(some(1, "b")).position > found.position
        log.store.close()
        other.store.close()


class TestLostAnswers:
    def test_an_append_whose_answer_was_lost_is_found(self) -> None:
        with Relay(shared().port) as relay:
            store = at(shared(), f"name={secrets.token_hex(8)}", relay)
            log = Log(store)
            log.claim(RULES, "a start")
            relay.cuts = 1
            assert log.append(some(3), KEY) == Stored(3, 0, 3)
            relay.cuts = 1
            assert log.append(some(2)) == Stored(2, 0, 5)
            assert relay.cuts == 0
            assert len(everything(log)) == 5
            store.close()

    def test_what_lies_in_a_connection_that_broke_is_never_carried_out(self, impatient: None) -> None:
        """Its answer does not come in time; it is sent again over another one, and gets through much later."""
        with Relay(shared().port) as relay:
            store = at(shared(), f"name={secrets.token_hex(8)}", relay)
            log = Log(store)
            log.claim(RULES, "a start")
            log.append(some(1))
            relay.hold()
            assert log.append(some(2)).position == 3
            assert relay.held > 0
            relay.release()
            assert log.append(some(1)).position == 4
            assert len(everything(log)) == 4
            store.close()

    def test_all_who_went_together_are_found_where_they_stand(self) -> None:
        with Relay(shared().port) as relay:
            store = at(shared(), f"name={secrets.token_hex(8)}", relay)
            log = Log(store)
            log.claim(RULES, "a start")
            log.append(some(1))
            given: list[tuple[float, int]] = []

            def work(number: int) -> None:
                for value in range(number, 400, 8):
                    if value == 200:
                        relay.cuts += 1
                    given.append((float(value), log.append_one("a", WALL, float(value)).position))

            at_once(work, 8)
            stored = {value: position for position, value in everything(log)[1:]}
            assert stored == dict(given)
            assert len(stored) == 400
            store.close()


class TestReplicas:
    def test_without_them_nothing_is_acknowledged_and_no_repetition_either(
        self, server: RedisServer, lonely: None
    ) -> None:
        log = Log(at(server))
        log.claim(RULES, "a start")
        log.append(some(3), KEY)
        waiting = Log(at(server, "name=log&wait=1"))
        with pytest.raises(LogUncertain):
            waiting.append(some(3))
        waiting.catch_up()
        with pytest.raises(LogUncertain):
            waiting.append(some(3), KEY)
        log.store.close()
        waiting.store.close()

    def test_a_repetition_waits_for_what_it_rests_on(
        self, server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with RedisServer("--replicaof", "127.0.0.1", str(server.port)) as replica:
            with server.client() as client:
                client.config_set("repl-diskless-sync-delay", 0)
                until(lambda: client.info("replication")["connected_slaves"] == 1, "the replica")
                until(lambda: client.wait(1, 100) == 1, "the replica to be level")
            log, other = Log(at(server, "name=log&wait=1")), Log(at(server, "name=log&wait=1"))
            log.claim(RULES, "a start")
            assert log.append(some(3), KEY).stored == 3
            other.catch_up()
            with pytest.raises(Repeated):
                other.append(some(3), KEY)
            replica.kill()
            monkeypatch.setattr(appending, "COPY_MILLISECONDS", 50)
            third = Log(at(server, "name=log&wait=1"))
            third.catch_up()
            with pytest.raises(LogUncertain):
                third.append(some(3), KEY)
            for each in (log, other, third):
                each.store.close()


def test_a_history_that_was_replaced_confirms_nothing_of_the_one_before(server: RedisServer, lonely: None) -> None:
    log = Log(at(server))
    log.claim(RULES, "a start")
    log.catch_up()
    waiting = at(server, "name=log&wait=1")
    waiting.manifest()
    with server.client() as client:
        format_, stamp, _ = client.hget("{log}:log:head", "mark").split()
        client.hset("{log}:log:head", "mark", b" ".join([format_, stamp, b"77"]))
    with pytest.raises(HistoryChanged):
        waiting.confirm(waiting.end()._replace(position=99))
    for store in (log.store, waiting):
        store.close()


def test_a_full_one_still_takes_what_makes_room() -> None:
    store = new(max_bytes=64 * 1024)
    log = Log(store)
    log.claim(RULES, "a start")
    with suppress(LogFull):
        for _ in range(100):
            log.append(some(100))
    with pytest.raises(LogFull, match="LOG_MAX_BYTES"):
        log.append(some(100))
    log.claim(RULES._replace(retention=HOUR), "another start")
    log.catch_up()
    assert log.raise_horizon(store.time())
    assert log.end_series(1) is not None
    store.close()


def test_keys_of_another_program_are_left_alone(server: RedisServer) -> None:
    with server.client() as client:
        client.rpush("{log}:log:stream", "something else")
    store = at(server)
    with pytest.raises(LogDamaged, match="another program"):
        Log(store)
    store.close()


def test_what_a_swap_leaves_behind_is_dropped_in_steps() -> None:
    clocks = Clocks()
    url = parse_redis_url(shared().url(f"name={secrets.token_hex(8)}"))
    store = RedisStore(url, max_bytes=2**30, clock=clocks)
    history = store.manifest().cursor.history
    for number in range(3000):
        store.append(Record(codec.SINGLE, codec.pack_single(1, WALL, float(number)), 1), Guard(history))
    cursor = store.read(store.manifest().cursor, 2500).cursor
    while cursor.number < 2500:
        cursor = store.read(cursor, 2500 - cursor.number).cursor
    assert store.swap(Manifest(1, cursor))
    clocks.advance(601 * SECOND)
    other = RedisStore(url, max_bytes=2**30, clock=clocks)  # whoever swapped may have ended long ago
    other.sync()
    other.close()
    with shared().client() as client:
        assert client.xlen(store.keys.stream.decode()) == 501  # the one of the cursor stays
    assert store.read(store.manifest().cursor, 10).cursor.number == 2510
    store.close()


def test_no_more_than_some_megabytes_come_along_with_an_append() -> None:
    store = new()
    other = RedisStore(store.url, max_bytes=2**30)
    cursor = store.manifest().cursor
    guard = Guard(cursor.history)
    for _ in range(2):
        for _ in range(12):
            other.append(Record(codec.BATCH, bytes(2**20), 1), guard)
        while store.read(cursor, 10**6).cursor != cursor:
            cursor = store.read(cursor, 10**6).cursor
    for _ in range(12):
        other.append(Record(codec.BATCH, bytes(2**20), 1), guard)
    store.append(Record(codec.BATCH, b"", 1), guard)
    came = store.read(cursor, 10**6)
    assert 1 <= came.cursor.number - cursor.number <= 6
    assert came.more
    store.close()
    other.close()


def test_one_at_a_time_has_the_right_to_compact() -> None:
    store = new()
    other = RedisStore(store.url, max_bytes=2**30)
    store.manifest()
    assert store.may_compact(600)
    assert store.may_compact(600)
    assert not other.may_compact(600)
    with shared().client() as client:
        assert 500_000 < client.pttl(store.keys.lease) <= 600_000
        client.pexpire(store.keys.lease, 1)
    until(lambda: other.may_compact(600), "the lease to end")
    assert not store.may_compact(600)
    store.close()
    other.close()
