"""A Redis that is far away: several trips at a time, and the same promises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from threading import Barrier, Thread
from unittest.mock import patch

import pytest

from event_log import redis_session
from event_log.base import START, Events
from event_log.errors import LogUnavailable
from event_log.redis.crew import ABREAST
from event_log.redis.lines import MOST, Lines
from event_log.redis.session import Packed, Reply, pack
from event_log.redis.url import parse_redis_url
from event_log.redis_log import RedisLog
from event_log.rules import Rules
from event_service import EventService
from settings import Settings
from tests.event_log.logs import START as NOW
from tests.redis_server import RedisServer, shared
from tests.servers import CHECKOUT

THREADS = 8
ROUNDS = 40


@pytest.fixture(autouse=True)
def far() -> Iterator[None]:
    with patch.object(redis_session, "FAR", 0.0):
        yield


@pytest.fixture
def server() -> RedisServer:
    server = shared()
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def lines(server: RedisServer) -> Iterator[Lines]:
    lines = Lines(parse_redis_url(server.url()))
    yield lines
    lines.close()


def at_once(work: object, count: int = THREADS) -> None:
    """Do work in so many threads that begin together; raises what one raises."""
    assert callable(work)
    barrier, faults = Barrier(count), list[BaseException]()

    def one() -> None:
        barrier.wait()
        try:
            work()
        except BaseException as fault:  # noqa: BLE001 - is raised below
            faults.append(fault)

    threads = [Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def connections(server: RedisServer) -> int:
    with server.client() as client:
        return sum(other["name"] == "tidemark" for other in client.client_list())


def test_what_one_host_has_acknowledged_another_one_knows(server: RedisServer) -> None:
    logs = [RedisLog(parse_redis_url(server.url("name=hosts")), max_bytes=2**30) for _ in range(2)]
    hosts = [EventService(log, Settings()) for log in logs]

    def client() -> None:
        for number in range(ROUNDS):
            position = hosts[number % 2].add("a", None, 1.0).position
            answer = hosts[(number + 1) % 2].statistics("a")
            assert answer.position >= position
            assert answer.summary.count == answer.position

    at_once(client)
    assert {host.statistics("a").summary.count for host in hosts} == {THREADS * ROUNDS}
    assert logs[0].far
    for host in hosts:
        host.close()


def test_writes_of_many_have_few_connections_and_a_position_each(server: RedisServer) -> None:
    log = RedisLog(parse_redis_url(server.url("name=writes")), max_bytes=2**30)
    log.claim(Rules(10**9, 10), "start")
    log.append_one("a", NOW, 0.0)
    before = connections(server)
    positions: list[int] = []
    at_once(lambda: positions.extend([log.append_one("a", NOW, 1.0) for _ in range(ROUNDS)]))
    assert sorted(positions) == list(range(2, THREADS * ROUNDS + 2))
    assert connections(server) <= before + ABREAST - 1
    log.close()


def test_lines_are_few(lines: Lines, server: RedisServer) -> None:
    before = connections(server)
    ping = pack([("PING",), ("PING",)])
    at_once(lambda: [lines.look(ping) for _ in range(ROUNDS)])
    assert before < connections(server) <= before + MOST


def test_a_line_that_broke_is_opened_again(lines: Lines, server: RedisServer) -> None:
    ping = pack([("PING",)])
    assert lines.look(ping) == [b"PONG"]
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert lines.look(ping) == [b"PONG"]


def test_an_answer_that_is_an_error_is_raised_and_the_next_one_is_right(lines: Lines) -> None:
    with pytest.raises(LogUnavailable, match="another program under this name"):
        lines.look(pack([("SET", "x", 1), ("HGET", "x", "y"), ("PING",)]))
    assert lines.look(pack([("GET", "x")])) == [b"1"]


def test_lines_that_were_let_go_open_anew(lines: Lines) -> None:
    for _ in range(2):
        assert lines.look(pack([("PING",)])) == [b"PONG"]
        lines.close()


def test_a_place_that_is_asked_about_again_and_again_tells_of_what_is_new(server: RedisServer) -> None:
    log, other = (RedisLog(parse_redis_url(server.url("name=again")), max_bytes=2**30) for _ in range(2))
    log.claim(Rules(10**9, 10), "start")
    log.append_one("a", NOW, 0.0)
    place = log.read(START).place
    place = log.read(place).place
    for number in range(1, 4):
        assert [len(log.read(place)) for _ in range(3)] == [0, 0, 0]
        assert log.read(place) is log.read(place)  # not made sense of anew
        other.append_one("a", NOW, float(number))
        events = log.read(place)
        assert events.values.tolist() == [float(number)]
        place = events.place
    for one in (log, other):
        one.close()


def test_a_reading_that_lags_behind_another_one_forgets_no_jump(server: RedisServer) -> None:
    log, other = (RedisLog(parse_redis_url(server.url("name=lags")), max_bytes=2**30) for _ in range(2))
    log.claim(Rules(10**9, 10), "start")
    log.append_one("a", NOW, 0.0)
    place = log.read(START).place
    look = log._lines.look
    newer: list[Events] = []

    def late(packed: Packed) -> list[Reply]:
        replies = look(packed)
        log._lines.look = look  # type: ignore[method-assign]
        with server.client() as client:
            client.hset("{lags}:head", "stamp", "before it was promoted")
        other.append_one("a", NOW, 1.0)
        newer.append(log.read(place))
        return replies

    log._lines.look = late  # type: ignore[method-assign]
    assert len(log.read(place)) == 0
    ((start, end),) = log.jumps
    assert start == 1 < end < newer[0].place.position
    for one in (log, other):
        one.close()


@pytest.mark.soak(kills=(150, 4000))
def test_clients_that_are_killed_at_any_point_take_no_write_and_nobody_along(server: RedisServer, kills: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.event_log.killing", server.url("name=killing"), str(kills)],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert (done.stdout.split(), done.returncode) == (["True", "0", "0", "0", "True"], 0), done.stderr
