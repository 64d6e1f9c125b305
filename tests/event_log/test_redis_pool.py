"""Many who ask Redis at once: few connections, and the same promises."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

from event_log.errors import LogUnavailable
from event_log.log import Log
from event_log.redis.pool import MOST, Pool
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from event_log.rules import Rules
from tests.event_log.stores import WALL
from tests.event_log.test_redis_store import at_once
from tests.redis_server import RedisServer, shared
from tests.servers import CHECKOUT
from times import HOUR, MINUTE

RULES = Rules(10 * 365 * 24 * HOUR, 10**6, HOUR, MINUTE, 100, 3)
THREADS = 8
ROUNDS = 40


@pytest.fixture
def server() -> RedisServer:
    return shared()


@pytest.fixture
def pool(server: RedisServer) -> Iterator[Pool]:
    pool = Pool(parse_redis_url(server.url()))
    yield pool
    pool.close()


@pytest.fixture
def logs(server: RedisServer) -> Iterator[list[Log]]:
    """Two hosts' own."""
    url = parse_redis_url(server.url(f"name={secrets.token_hex(8)}"))
    logs = [Log(RedisStore(url, max_bytes=2**30)) for _ in range(2)]
    logs[0].claim(RULES, "start")
    yield logs
    for log in logs:
        log.store.close()


def asked(pool: Pool) -> None:
    for _ in range(ROUNDS):
        assert pool.ask(("PING",), ("PING",)) == [b"PONG", b"PONG"]


def connections(server: RedisServer) -> set[str]:
    """The numbers of those that are open; Redis learns of the end of those of other tests a little later."""
    with server.client() as client:
        return {other["id"] for other in client.client_list() if other["name"] == "tidemark"}


def test_what_one_host_has_acknowledged_another_one_knows(logs: list[Log]) -> None:
    def client(number: int) -> None:
        for turn in range(ROUNDS):
            position = logs[turn % 2].append_one("a", WALL, float(number)).position
            other = logs[(turn + 1) % 2]
            other.catch_up()
            assert other.machine.cursor.position >= position

    at_once(client, THREADS)
    for log in logs:
        log.catch_up()
        assert log.machine.cursor.position == THREADS * ROUNDS


def test_writes_of_many_have_few_connections_and_a_position_each(server: RedisServer, logs: list[Log]) -> None:
    logs[0].append_one("a", WALL, 0.0)
    before = connections(server)
    positions: list[int] = []
    work = lambda _: positions.extend(logs[0].append_one("a", WALL, 1.0).position for _ in range(ROUNDS))  # noqa: E731
    at_once(work, THREADS)
    assert sorted(positions) == list(range(2, THREADS * ROUNDS + 2))
    assert len(connections(server) - before) < MOST


def test_connections_are_few(pool: Pool, server: RedisServer) -> None:
    before = connections(server)
    at_once(lambda _: asked(pool), THREADS)
    assert 0 < len(connections(server) - before) <= MOST


def test_one_that_broke_is_opened_again(pool: Pool, server: RedisServer) -> None:
    assert pool.ask(("PING",)) == [b"PONG"]
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert pool.ask(("PING",)) == [b"PONG"]


def test_an_answer_that_is_an_error_is_raised_and_the_next_one_is_right(pool: Pool) -> None:
    with pytest.raises(LogUnavailable, match="another program under this name"):
        pool.ask(("SET", "x", 1), ("HGET", "x", "y"), ("PING",))
    assert pool.ask(("GET", "x")) == [b"1"]


def test_connections_that_were_let_go_open_anew(pool: Pool) -> None:
    for _ in range(2):
        assert pool.ask(("PING",)) == [b"PONG"]
        pool.close()


@pytest.mark.soak(kills=(150, 4000))
def test_clients_that_are_killed_at_any_point_take_no_write_and_nobody_along(server: RedisServer, kills: int) -> None:
    url = server.url(f"name={secrets.token_hex(8)}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.event_log.killing", url, str(kills)],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert (done.stdout.split(), done.returncode) == (["True", "0", "0", "0", "True"], 0), done.stderr
