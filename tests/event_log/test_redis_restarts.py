"""What it costs when Redis ends, and comes back with all, some or none of what it had."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from threading import Event, Thread

import pytest

from event_log.base import Place
from event_log.errors import HistoryChanged, LogUnavailable
from event_log.redis.url import parse_redis_url
from event_log.redis_log import RedisLog
from event_log.rules import Rules
from tests.event_log.logs import START as NOW
from tests.event_log.logs import batch
from tests.event_log.reader import Reader, rows_behind
from tests.redis_server import RedisServer
from tests.servers import until

RULES = Rules(10**9, 10**6)
WRITERS = 4
Open = Callable[[RedisServer], RedisLog]


@pytest.fixture
def open_log() -> Iterator[Open]:
    """Opens the log as another host has it."""
    logs: list[RedisLog] = []

    def open_log(server: RedisServer) -> RedisLog:
        logs.append(RedisLog(parse_redis_url(server.url()), max_bytes=2**30))
        return logs[-1]

    yield open_log
    for log in logs:
        log.close()


class Writer(Thread):
    """Appends events that all differ in value, alone and in batches, until it is stopped."""

    def __init__(self, log: RedisLog, number: int) -> None:
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
            return self.log.append_one(self._series, NOW, values[0])
        return self.log.append(batch([(self._series, NOW, value) for value in values]))


@pytest.mark.parametrize("fsync", ["always", "everysec"])
@pytest.mark.soak(kills=(4, 60))
def test_a_redis_that_is_killed_again_and_again_keeps_what_it_acknowledged(
    fsync: str, open_log: Open, kills: int
) -> None:
    with RedisServer(aof=fsync) as server:
        log = open_log(server)
        log.claim(RULES, "start")
        reader = Reader(open_log(server))
        reader.follow()
        writers = [Writer(open_log(server), number) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for _ in range(kills):
            told = [len(writer.acknowledged) for writer in writers]
            until(lambda: sum(len(writer.acknowledged) for writer in writers) > sum(told) + 50, "some writes")  # noqa: B023
            server.restart()
        for writer in writers:
            writer.stop()
            writer.log.read(Place())
        reader.follow()
        stored = {value: position for position, (_, _, value) in rows_behind(log)}
        assert len(reader.live()) == 3
        assert sum(len(events) for _, events in reader.live().values()) == len(rows_behind(log)) == len(stored)
        lost = {p for writer in writers for p in (writer.acknowledged.items() - stored.items())}
        # Where the disk is slow Redis itself puts off what it syncs every second, for two at most.
        assert not lost or fsync == "everysec"
        assert all(any(begin < position < end for begin, end in log.jumps) for _, position in lost)
        assert stored.keys() <= set().union(*(writer.sent for writer in writers))
        assert len(log.jumps) == kills or (lost and len(log.jumps) < kills)
        assert ("has lost what stood behind" in (log.notice() or "")) == bool(lost)


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


def values(log: RedisLog) -> list[float]:
    return [value for _, (_, _, value) in rows_behind(log)]


def fill(log: RedisLog, start: int, end: int) -> list[int]:
    """The positions of these events."""
    return [log.append_one("a", NOW, float(number)) for number in range(start, end)]


def test_what_a_power_cut_costs_is_lost_on_all_hosts_alike_and_said(
    open_log: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer() as server:
        log, ahead, behind = (open_log(server) for _ in range(3))
        log.claim(RULES, "start")
        fill(log, 0, 30)
        late, early = Reader(behind), Reader(ahead)
        late.follow()
        synced = appended(server).stat().st_size
        lost = fill(log, 30, 80)
        early.follow()
        cut_power(server, synced)
        with caplog.at_level(logging.WARNING):
            again = fill(behind, 100, 110)
        assert [line for line in caplog.messages if "positions jump" in line] == [
            f"Redis at 127.0.0.1:{server.port} was started or promoted: positions jump, so that none comes again"
        ]
        assert again[0] > lost[-1]
        with pytest.raises(HistoryChanged, match="does not have what was read up to position 80"):
            ahead.read(early.place)
        early.follow()
        late.follow()
        assert (early.restarts, late.restarts) == (1, 0)
        fresh = Reader(open_log(server))
        fresh.follow()
        assert early.live() == late.live() == fresh.live()
        assert values(log) == [float(number) for number in (*range(30), *range(100, 110))]
        for one in (log, ahead, behind):
            one.read(Place())
            assert [begin < position <= end for begin, end in one.jumps for position in lost] == [True] * 50
            assert "has lost what stood behind position 30, on all hosts alike" in (one.notice() or "")


@pytest.mark.parametrize("first", [True, False])
def test_what_nobody_had_read_but_its_writer_is_said_to_be_lost_too(open_log: Open, first: bool) -> None:
    with RedisServer() as server:
        log, other = open_log(server), open_log(server)
        log.claim(RULES, "start")
        fill(log, 0, 30)
        synced = appended(server).stat().st_size
        fill(log, 30, 31)
        cut_power(server, synced)
        fill(log if first else other, 40, 41)
        fill(log, 50, 51)
        for one in (log, other):
            one.read(Place())
            one.read(Place())
            assert "has lost what stood behind position 30, on all hosts alike" in (one.notice() or "")


def test_an_older_backup_is_noticed_and_no_position_of_what_it_lacks_comes_again(open_log: Open) -> None:
    with RedisServer() as server:
        log = open_log(server)
        log.claim(RULES, "start")
        fill(log, 0, 20)
        backup = back_up(server)
        given = fill(log, 20, 40)
        for number in range(3):  # each a jump that the backup knows nothing of
            server.restart()
            given += fill(log, 100 * number, 100 * number + 50)
        reader = Reader(open_log(server))
        reader.follow()
        restore(server, backup)
        newcomer = open_log(server)  # a host that was started since, and has seen none of it
        newcomer.claim(RULES, "another start")
        again = fill(newcomer, 1000, 1200)
        assert again[0] > max(given)
        with pytest.raises(HistoryChanged):
            reader.log.read(reader.place)
        reader.follow()
        fresh = Reader(newcomer)
        fresh.follow()
        assert reader.restarts == 1
        assert reader.live() == fresh.live()
        assert values(log) == [float(number) for number in (*range(20), *range(1000, 1200))]
        assert "has lost what stood behind position 20, on all hosts alike" in (log.notice() or "")


def test_who_may_not_ask_for_the_time_jumps_far_too(open_log: Open) -> None:
    with RedisServer() as server:
        log = open_log(server)
        log.claim(RULES, "start")
        fill(log, 0, 1)
        with server.client() as client:
            client.hset("{tidemark}:head", mapping={"stamp": "of another start", "position": 2**32 - 1})
            client.execute_command("ACL", "SETUSER", "default", "-time")
        assert fill(log, 1, 2) == [2**33]


def test_a_loss_is_said_also_where_it_is_noticed_before_anybody_writes(open_log: Open) -> None:
    with RedisServer() as server:
        log, other = open_log(server), open_log(server)
        log.claim(RULES, "start")
        fill(log, 0, 20)
        backup = back_up(server)
        given = fill(log, 20, 40)
        readers = [Reader(log), Reader(other)]
        for reader in readers:
            reader.follow()
        restore(server, backup)
        for reader in readers:
            reader.follow()
            assert reader.restarts == 1
            reader.log.read(Place())
            assert "has lost what stood behind position 20, on all hosts alike" in (reader.log.notice() or "")
        assert fill(log, 40, 41)[0] > given[-1]
        for reader in readers:
            reader.follow()
            assert reader.restarts == 1


def test_a_backup_of_another_log_is_noticed_too(open_log: Open) -> None:
    with RedisServer() as server:
        log = open_log(server)
        log.claim(RULES, "start")
        backup = back_up(server)
        fill(log, 0, 10)
        with server.client() as client:
            client.flushall()
        given = fill(log, 10, 30)
        reader = Reader(log)
        reader.follow()
        restore(server, backup)
        again = fill(log, 30, 40)
        assert again[0] > given[-1]
        reader.follow()
        assert reader.restarts == 1
        assert values(log) == [float(number) for number in range(30, 40)]
        assert "has lost" in (log.notice() or "")


def test_what_flushall_costs_is_said_too(open_log: Open) -> None:
    with RedisServer() as server:
        log = open_log(server)
        log.claim(RULES, "start")
        reader = Reader(open_log(server))
        given = fill(log, 0, 10)
        reader.follow()
        with server.client() as client:
            client.flushall()
            log._reading.say_lost(0, 10)  # one who noticed a moment before
            assert client.keys() == []
        newcomer = open_log(server)
        newcomer.claim(RULES, "another start")
        first = fill(newcomer, 10, 11)
        reader.follow()
        assert reader.restarts == 1
        assert first[0] < given[-1] < fill(newcomer, 11, 12)[0]  # from when somebody knew on
        for one in (log, newcomer):
            one.read(Place())
            assert re.search("has lost what stood behind position [01], on all hosts alike", one.notice() or "")


def test_more_restarts_than_jumps_are_remembered_leave_the_log_readable(open_log: Open) -> None:
    with RedisServer() as server, server.client() as client:
        log = open_log(server)
        log.claim(RULES, "start")
        reader = Reader(open_log(server))
        for number in range(300):
            client.hset("{tidemark}:head", "stamp", "of another start")
            fill(log, number, number + 1)
            if number == 150:
                reader.follow()
        reader.follow()
        assert values(log) == [float(number) for number in range(300)]
        assert sum(len(events) for _, events in reader.live().values()) == 300


def test_connections_that_outlive_a_demotion_and_a_promotion_have_positions_jump_once(open_log: Open) -> None:
    with RedisServer() as server, server.client() as client:
        log, other = open_log(server), open_log(server)
        log.claim(RULES, "start")
        fill(log, 0, 1)
        client.replicaof("127.0.0.1", "1")
        client.replicaof("NO", "ONE")
        for number in range(1, 11):
            fill((other, log)[number % 2], number, number + 1)
        assert values(log) == [float(number) for number in range(11)]
        assert len(log.jumps) == 1
