"""Restarts of Redis, and what they cost: it comes back with all, some or none of what it had."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from event_log.batch import Batch
from event_log.errors import LogUnavailable
from event_log.log import Log
from event_log.port import JUMP
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from event_log.rules import Rules
from tests.event_log.projection import Projection
from tests.event_log.stores import WALL
from tests.redis_server import RedisServer
from tests.servers import until
from times import HOUR, MINUTE

RULES = Rules(10 * 365 * 24 * HOUR, 10**6, HOUR, MINUTE, 100, 3)
WRITERS = 4
Open = Callable[[RedisServer], Log]


@pytest.fixture
def open_log() -> Iterator[Open]:
    """Opens the log as another host has it."""
    stores: list[RedisStore] = []

    def open_log(server: RedisServer) -> Log:
        stores.append(RedisStore(parse_redis_url(server.url("name=log")), max_bytes=2**30))
        return Log(stores[-1])

    yield open_log
    for store in stores:
        store.close()


def that_keeps_all() -> RedisServer:
    """Return a Redis whose append-only file has all that was answered. One that syncs every second may put off what it
    writes while a sync is under way."""
    return RedisServer(aof="always")


class Writer(Thread):
    """Appends events that all differ in value, alone and in batches, until it is stopped."""

    def __init__(self, log: Log, number: int) -> None:
        super().__init__(daemon=True)
        self.log = log
        self.sent: set[float] = set()
        self.acknowledged: dict[float, int] = {}
        """The position of each event that was."""
        self._values = count(number, WRITERS)
        self._series = f"series {number % 3}"
        self._stopped = Event()

    def run(self) -> None:
        while not self._stopped.is_set():
            values = [float(next(self._values)) for _ in range(1 + len(self.acknowledged) % 3)]
            self.sent.update(values)
            try:
                last = self._append(values)
            except LogUnavailable:
                continue
            self.acknowledged |= zip(reversed(values), range(last, last - len(values), -1), strict=False)

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def _append(self, values: list[float]) -> int:
        if len(values) == 1:
            return self.log.append_one(self._series, WALL, values[0]).position
        return self.log.append(Batch([self._series], None, WALL, np.array(values))).position


def stored(projection: Projection) -> dict[float, int]:
    """The position of each event by its value."""
    projection.follow()
    events = [event for one in projection.series.values() for event in one.events]
    found = {value: position for _, position, value in events}
    assert len(found) == len(events)
    return found


def values(log: Log) -> list[float]:
    """In the order of the log."""
    found = stored(Projection(log))
    return sorted(found, key=found.__getitem__)


def fill(log: Log, start: int, end: int) -> list[int]:
    """The positions of these events."""
    return [log.append_one("a", WALL, float(number)).position for number in range(start, end)]


def says_lost(log: Log, position: int | str) -> bool:
    """Return whether the loss is told that began behind this position."""
    said = log.store.notice() or ""
    return re.search(rf"has lost what stood behind position {position}, on all hosts alike", said) is not None


def appended(server: RedisServer) -> Path:
    """The append-only file that is being written."""
    (path,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    return path


def back_up(server: RedisServer) -> Path:
    """A copy of all that Redis has on its disk."""
    copy = server.directory / "backup"
    shutil.copytree(server.directory / "appendonlydir", copy)
    return copy


def restore(server: RedisServer, copy: Path) -> None:
    """Stop Redis, put the copy in the place of what it has, and start it again."""
    server.kill()
    shutil.rmtree(server.directory / "appendonlydir")
    shutil.copytree(copy, server.directory / "appendonlydir")
    server.start()


def cut_power(server: RedisServer, synced: int) -> None:
    """Leave of the append-only file what had been synced, and a torn piece of what had not."""
    server.kill()
    with appended(server).open("r+b") as file:
        file.truncate(synced + 11)
    server.start()


@pytest.mark.parametrize("fsync", ["always", "everysec"])
@pytest.mark.soak(kills=(2, 60))
def test_a_redis_that_is_killed_again_and_again_keeps_what_it_acknowledged(
    fsync: str, open_log: Open, kills: int
) -> None:
    with RedisServer(aof=fsync) as server:
        log = open_log(server)
        log.claim(RULES, "start")
        reader = Projection(open_log(server))
        reader.follow()
        writers = [Writer(open_log(server), number) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(kills):
            told = sum(len(writer.acknowledged) for writer in writers)
            until(lambda: sum(len(writer.acknowledged) for writer in writers) > told + 50, "some writes")  # noqa: B023
            server.restart()
        for writer in writers:
            writer.stop()
            writer.log.catch_up()
        found = stored(reader)
        assert found == stored(fresh := Projection(log))
        assert len(fresh.live()) == 3
        lost = {p for writer in writers for p in (writer.acknowledged.items() - found.items())}
        # Where the disk is slow Redis itself puts off what it syncs every second, for two at most.
        assert not lost or fsync == "everysec"
        assert all(any(begin < position < end for begin, end in fresh.jumps) for _, position in lost)
        assert found.keys() <= set().union(*(writer.sent for writer in writers))
        assert says_lost(log, ".*") == bool(lost)


def test_what_a_power_cut_costs_is_lost_on_all_hosts_alike_and_said(open_log: Open) -> None:
    with that_keeps_all() as server:
        log, ahead, behind = (open_log(server) for _ in range(3))
        log.claim(RULES, "start")
        first = fill(log, 0, 30)
        late, early = Projection(behind), Projection(ahead)
        late.follow()
        synced = appended(server).stat().st_size
        lost = fill(log, 30, 80)
        early.follow()
        cut_power(server, synced)
        again = fill(behind, 100, 110)
        assert again[0] >= lost[-1] + JUMP
        fresh = Projection(open_log(server))
        for each in (early, late, fresh):
            each.follow()
        assert (early.begun, late.begun) == (1, 0)
        assert early.live() == late.live() == fresh.live()
        assert values(log) == [float(number) for number in (*range(30), *range(100, 110))]
        for one in (early, late, fresh):
            assert [begin < position <= end for begin, end in one.jumps for position in lost] == [True] * 50
            assert says_lost(one.log, first[-1])


@pytest.mark.parametrize("first", [True, False])
def test_what_nobody_had_read_but_its_writer_is_said_to_be_lost_too(open_log: Open, first: bool) -> None:
    with that_keeps_all() as server:
        log, other = open_log(server), open_log(server)
        log.claim(RULES, "start")
        last = fill(log, 0, 30)[-1]
        other.catch_up()
        synced = appended(server).stat().st_size
        fill(log, 30, 31)
        cut_power(server, synced)
        fill(log if first else other, 40, 41)
        fill(log, 50, 51)
        for one in (log, other):
            one.catch_up()
            assert says_lost(one, last)


def test_an_older_backup_is_noticed_and_no_position_of_what_it_lacks_comes_again(open_log: Open) -> None:
    with that_keeps_all() as server:
        log = open_log(server)
        log.claim(RULES, "start")
        first = fill(log, 0, 20)
        backup = back_up(server)
        given = fill(log, 20, 40)
        for number in range(3):  # each a jump that the backup knows nothing of
            server.restart()
            given += fill(log, 100 * number, 100 * number + 50)
        reader = Projection(open_log(server))
        reader.follow()
        restore(server, backup)
        newcomer = open_log(server)  # a host that was started since, and has seen none of it
        newcomer.claim(RULES, "another start")
        again = fill(newcomer, 1000, 1200)
        assert again[0] > max(given)
        reader.follow()
        assert reader.begun == 1
        assert reader.live() == live(newcomer)
        assert values(log) == [float(number) for number in (*range(20), *range(1000, 1200))]
        assert says_lost(log, first[-1])


def test_a_loss_is_said_also_where_it_is_noticed_before_anybody_writes(open_log: Open) -> None:
    with that_keeps_all() as server:
        log, other = open_log(server), open_log(server)
        log.claim(RULES, "start")
        first = fill(log, 0, 20)
        backup = back_up(server)
        given = fill(log, 20, 40)
        readers = [Projection(log), Projection(other)]
        for reader in readers:
            reader.follow()
        restore(server, backup)
        for reader in readers:
            reader.follow()
            assert reader.begun == 1
            assert says_lost(reader.log, first[-1])
        assert fill(log, 40, 41)[0] > given[-1]
        for reader in readers:
            reader.follow()
            assert reader.begun == 1


def test_a_backup_of_another_log_is_noticed_too(open_log: Open) -> None:
    with that_keeps_all() as server:
        log = open_log(server)
        log.claim(RULES, "start")
        backup = back_up(server)
        fill(log, 0, 10)
        with server.client() as client:
            client.flushall()
        given = fill(log, 10, 30)
        reader = Projection(log)
        reader.follow()
        before = reader.begun
        restore(server, backup)
        again = fill(log, 30, 40)
        assert again[0] > given[-1]
        reader.follow()
        assert reader.begun == before + 1
        assert sorted(stored(reader)) == [float(number) for number in range(30, 40)]
        assert says_lost(log, ".*")


def test_what_flushall_costs_is_said_too(open_log: Open) -> None:
    with RedisServer() as server:
        log = open_log(server)
        log.claim(RULES, "start")
        reader = Projection(open_log(server))
        given = fill(log, 0, 10)
        reader.follow()
        with server.client() as client:
            client.flushall()
        newcomer = open_log(server)
        newcomer.claim(RULES, "another start")
        first = fill(newcomer, 10, 11)
        reader.follow()
        assert reader.begun == 1
        assert first[0] < given[-1] < fill(newcomer, 11, 12)[0]  # from when somebody knew on
        for one in (log, newcomer):
            one.catch_up()
            assert says_lost(one, "[0-9]")


def test_a_log_that_is_read_where_there_is_none_any_more_begins_beyond_what_was_given(open_log: Open) -> None:
    with RedisServer() as server:
        log = open_log(server)
        log.claim(RULES, "start")
        given = fill(log, 0, 5)
        projection = Projection(log)
        projection.follow()
        with server.client() as client:
            client.flushall()
        projection.follow()
        assert log.store.end().position >= given[-1] + JUMP  # before anybody has written again
        assert fill(log, 9, 10)[0] > log.store.end().position - 2
        assert says_lost(log, 0)
        assert values(log) == [9.0]


@pytest.mark.soak(restarts=(60, 300))
def test_many_restarts_leave_the_log_readable(open_log: Open, restarts: int) -> None:
    with RedisServer() as server, server.client() as client:
        log = open_log(server)
        log.claim(RULES, "start")
        reader = Projection(open_log(server))
        for number in range(restarts):
            _, _, history = client.hget("{log}:log:head", "mark").split()
            client.hset("{log}:log:head", "mark", b"4 another-start " + history)
            fill(log, number, number + 1)
            if number == restarts // 2:
                reader.follow()
        reader.follow()
        assert values(log) == [float(number) for number in range(restarts)]
        assert len(stored(reader)) == restarts
        assert reader.begun == 0


def test_connections_that_outlive_a_demotion_and_a_promotion_have_positions_jump_once(open_log: Open) -> None:
    with RedisServer() as server, server.client() as client:
        log, other = open_log(server), open_log(server)
        log.claim(RULES, "start")
        fill(log, 0, 1)
        client.replicaof("127.0.0.1", "1")
        client.replicaof("NO", "ONE")
        for number in range(1, 12):
            fill((other, log)[number % 2], number, number + 1)
        assert values(log) == [float(number) for number in range(12)]
        projection = Projection(other)
        projection.follow()
        assert len(projection.jumps) == 1


def live(log: Log) -> dict[str, list[tuple[int, int, float]]]:
    """All that a fresh host would answer with."""
    projection = Projection(log)
    projection.follow()
    return projection.live()
