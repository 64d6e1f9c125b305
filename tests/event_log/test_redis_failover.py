"""A real master, a real replica and three real sentinels: what a failover costs, and that it is said."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from event_log.base import START, HistoryChanged, LogUnavailable, LogUncertain, Rules
from event_log.redis_log import RedisLog
from event_log.redis_url import parse_redis_url
from tests.event_log.logs import START as NOW
from tests.event_log.reader import Reader, rows_behind
from tests.redis_server import RedisServer
from tests.servers import until

RULES = Rules(10**9, 1000)
FAILOVER_SECONDS = 30.0


@dataclass
class Deployment:
    """One master, one replica, three sentinels that watch them."""

    master: RedisServer
    replica: RedisServer
    sentinels: list[RedisServer]
    logs: list[RedisLog]

    def log(self, query: str = "") -> RedisLog:
        """The log by way of the sentinels, with connections of its own."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        url = parse_redis_url(f"redis+sentinel://{hosts}/mymaster?name=tidemark{query}")
        self.logs.append(RedisLog(url, max_bytes=2**30))
        return self.logs[-1]

    def copied(self) -> bool:
        """Whether the replica has all that the master has, in its own append-only file too."""
        with self.master.client() as master, self.replica.client() as replica:
            disk = replica.info("persistence")
            return bool(
                not disk["aof_rewrite_in_progress"]
                and not disk["aof_rewrite_scheduled"]
                and replica.info("replication")["master_link_status"] == "up"
                and master.info("replication")["master_repl_offset"] == replica.info("replication")["slave_repl_offset"]
            )

    def promoted(self) -> bool:
        """Whether the replica has become the master."""
        with self.replica.client() as client:
            return bool(client.info("replication")["role"] == "master")

    def fail_over(self) -> None:
        """Kill the master and wait until the sentinels have made a master of the replica."""
        self.master.kill()
        until(self.promoted, "the replica to be promoted", FAILOVER_SECONDS)


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer())
        replica = stack.enter_context(RedisServer("--replicaof", "127.0.0.1", str(master.port)))
        watch = (
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 2\n"
            "sentinel down-after-milliseconds mymaster 400\nsentinel failover-timeout mymaster 2000\n"
        )
        sentinels = [stack.enter_context(RedisServer(sentinel=watch)) for _ in range(3)]
        found = Deployment(master, replica, sentinels, [])
        until(found.copied, "the replica to be a copy")
        for sentinel in sentinels:
            until(lambda: knows_all(sentinel), "the sentinels to know of each other", 20)  # noqa: B023  called at once
        yield found
        for log in found.logs:
            log.close()


def knows_all(sentinel: RedisServer) -> bool:
    with sentinel.client() as client:
        state = client.sentinel_master("mymaster")
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


def append_when_possible(log: RedisLog, value: float) -> int:
    """The position; tries again until the failover is over."""

    position: int = when_possible(lambda: log.append_one("a", NOW, value))[0]
    return position


def when_possible(ask: Callable[[], Any]) -> tuple[Any]:
    """The answer, in a tuple; asks again until the failover is over."""

    def attempt() -> tuple[Any] | None:
        try:
            return (ask(),)
        except LogUnavailable:
            return None

    found: tuple[Any] = until(attempt, "the log to be there", FAILOVER_SECONDS)
    return found


def values(log: RedisLog) -> list[float]:
    return [value for _, (_, _, value) in rows_behind(log)]


def test_a_replica_that_has_everything_takes_over(deployment: Deployment) -> None:
    log, other = deployment.log(), deployment.log()
    log.claim(RULES, "start")
    for i in range(50):
        log.append_one("a", NOW, float(i))
    reader = Reader(other)
    reader.follow()
    until(deployment.copied, "the replica to be a copy")
    deployment.fail_over()
    position = append_when_possible(log, 50.0)
    assert position > 2**32
    when_possible(reader.follow)
    assert reader.restarts == 0
    assert reader.place.position >= position
    assert values(log)[:51] == values(other)[:51] == [float(i) for i in range(51)]
    assert when_possible(other.notice) == (None,)
    deployment.sentinels[0].kill()  # the first one asked
    newcomer = deployment.log()
    assert values(newcomer)[:51] == values(log)[:51]


def test_what_a_lagging_replica_lacks_is_lost_on_all_hosts_alike_and_said(deployment: Deployment) -> None:
    log, ahead, behind = deployment.log(), deployment.log(), deployment.log()
    log.claim(RULES, "start")
    for i in range(30):
        log.append_one("a", NOW, float(i))
    late = Reader(behind)
    late.follow()
    until(deployment.copied, "the replica to be a copy")
    deployment.replica.kill()
    lost = [log.append_one("a", NOW, float(i)) for i in range(30, 80)]
    log.append_one("lost", NOW, 80.0)  # its id will be another series'
    early = Reader(ahead)
    early.follow()
    deployment.master.kill()
    deployment.replica.start()
    until(deployment.promoted, "the replica to be promoted", FAILOVER_SECONDS)
    first = append_when_possible(behind, 1000.0)
    behind.append_one("new", NOW, 1001.0)
    for i in range(60):
        log.append_one("a", NOW, 1002.0 + i)
    assert first > 2**32
    assert append_when_possible(log, 2000.0) > first  # with the id that it knew as another series' until now
    with pytest.raises(HistoryChanged):
        ahead.read(early.place)
    when_possible(early.follow)
    when_possible(late.follow)
    assert (early.restarts, late.restarts) == (1, 0)
    fresh = Reader(deployment.log())
    when_possible(fresh.follow)  # one sentinel after another may have to learn who is master now
    assert early.live() == late.live() == fresh.live()
    stored = values(behind)
    assert stored[:30] == [float(i) for i in range(30)]
    assert not set(stored) & {float(i) for i in range(30, 81)}
    assert [name for name, events in fresh.live().values()] == ["a", "new"]
    (begin, end), *_ = ahead.jumps
    assert all(begin < position <= end for position in lost)
    for one in (log, ahead, behind):
        one.read(START)
        assert "has lost what stood behind position 30" in (one.notice() or "")


def test_with_wait_nothing_acknowledged_is_lost_with_the_master(deployment: Deployment) -> None:
    log = deployment.log("&wait=1")
    log.claim(RULES, "start")
    acknowledged = [float(i) for i in range(20) if log.append_one("a", NOW, float(i))]
    deployment.replica.process.send_signal(signal.SIGSTOP)
    numbers = count(100)
    with pytest.raises(LogUncertain, match="0 replicas up to date, not 1; it may have been stored"):
        log.append_one("a", NOW, float(next(numbers)))
    deployment.master.kill()
    deployment.replica.process.send_signal(signal.SIGCONT)
    until(deployment.promoted, "the replica to be promoted", FAILOVER_SECONDS)
    with pytest.raises(LogUncertain, match="0 replicas"):
        until(lambda: stored_without_a_copy(log, next(numbers)), "an answer", FAILOVER_SECONDS)
    found = until(lambda: values_if_there(log), "the log to be read", FAILOVER_SECONDS)
    assert set(acknowledged) <= set(found)


def values_if_there(log: RedisLog) -> list[float]:
    """The values, or none while it is not known where the master is."""
    try:
        return values(log)
    except LogUnavailable:
        return []


def stored_without_a_copy(log: RedisLog, number: int) -> None:
    """Raises LogUncertain once the new master, which has no replica, takes a write."""
    try:
        log.append_one("a", NOW, float(number))
    except LogUncertain as fault:
        if "replicas" in str(fault):
            raise
    except LogUnavailable:
        return
