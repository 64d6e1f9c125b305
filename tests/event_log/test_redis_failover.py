"""The store on Redis over a real master, a real replica and three real sentinels: what a failover costs, and that it is
said."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pytest

from event_log.errors import LogUnavailable, LogUncertain
from event_log.log import Log
from event_log.outcomes import Repeated, Stored
from event_log.port import JUMP
from event_log.redis import appending
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from event_log.rules import Rules
from event_log.writes import Conditions, Once
from tests.event_log.projection import Projection
from tests.event_log.stores import WALL
from tests.event_log.test_redis_store import some
from tests.redis_server import RedisServer
from tests.servers import until
from times import HOUR, MINUTE

RULES = Rules(10 * 365 * 24 * HOUR, 3, HOUR, MINUTE, 100, 3)
KEY = Conditions(once=Once(b"k" * 16, b"b" * 16))
COPIED_AT_ONCE = ("--repl-diskless-sync-delay", "0")
FAILOVER_SECONDS = 180.0
DOWN_MILLISECONDS, NEVER_MILLISECONDS = 400, 600_000
"""Milliseconds after which sentinels take the master for dead: while it is, and while it may only be slow."""
T = TypeVar("T")


@dataclass
class Deployment:
    """One master, one replica, three sentinels that watch them."""

    master: RedisServer
    replica: RedisServer
    sentinels: list[RedisServer]
    stores: list[RedisStore] = field(default_factory=list)

    def log(self, query: str = "") -> Log:
        """Return the log by way of the sentinels, as another host has it: once it is there, which after a failover
        takes as long as the sentinels need to agree."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        url = parse_redis_url(f"redis+sentinel://{hosts}/mymaster?name=log{query}")
        self.stores.append(RedisStore(url, max_bytes=2**30))
        found: Log = when_possible(lambda: Log(self.stores[-1]))
        return found

    def copied(self) -> bool:
        """Return whether the replica has all that the master has, in its own append-only file too."""
        with self.master.client() as master, self.replica.client() as replica:
            disk = replica.info("persistence")
            return bool(
                not disk["aof_rewrite_in_progress"]
                and not disk["aof_rewrite_scheduled"]
                and replica.info("replication")["master_link_status"] == "up"
                and master.info("replication")["master_repl_offset"] == replica.info("replication")["slave_repl_offset"]
            )

    def promoted(self) -> bool:
        """Return whether the replica has become the master."""
        with self.replica.client() as client:
            return bool(client.info("replication")["role"] == "master")

    def fail_over(self) -> None:
        """Kill the master and wait until the sentinels have made a master of the replica."""
        self.master.kill()
        self.promote()

    def promote(self) -> None:
        """Wait until the sentinels have made a master of the replica, as the master is dead."""
        self._call_dead_after(DOWN_MILLISECONDS)
        until(self.promoted, "the replica to be promoted", FAILOVER_SECONDS)
        self._call_dead_after(NEVER_MILLISECONDS)

    def _call_dead_after(self, milliseconds: int) -> None:
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                client.sentinel_set("mymaster", "down-after-milliseconds", milliseconds)


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with ExitStack() as stack:
        master = stack.enter_context(RedisServer(*COPIED_AT_ONCE))
        replica = stack.enter_context(RedisServer(*COPIED_AT_ONCE, "--replicaof", "127.0.0.1", str(master.port)))
        watch = (
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 2\n"
            f"sentinel down-after-milliseconds mymaster {NEVER_MILLISECONDS}\n"
            "sentinel failover-timeout mymaster 2000\n"
        )
        sentinels = [stack.enter_context(RedisServer(sentinel=watch)) for _ in range(3)]
        found = Deployment(master, replica, sentinels)
        until(found.copied, "the replica to be a copy")
        for sentinel in sentinels:
            until(lambda: knows_all(sentinel), "the sentinels to know of each other")  # noqa: B023  called at once
        yield found
        for store in found.stores:
            store.close()


def knows_all(sentinel: RedisServer) -> bool:
    with sentinel.client() as client:
        state = client.sentinel_master("mymaster")
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


def unless_unavailable(work: Callable[[], T]) -> T | None:
    """Do work; None while the log is not there."""
    try:
        return work()
    except LogUnavailable:
        return None


def when_possible(work: Callable[[], Any]) -> Any:
    """Do work as soon as the log is there, as a client does that tries again."""
    return until(lambda: unless_unavailable(work), "the log to be there", FAILOVER_SECONDS)


def append_when_possible(log: Log, name: str, value: float) -> Stored:
    """Append an event once the failover is over."""
    stored: Stored = when_possible(partial(log.append_one, name, WALL, value))
    return stored


def has_followed(projection: Projection) -> bool:
    """Take in all there is; says whether the log was there."""
    try:
        projection.follow()
    except LogUnavailable:
        return False
    return True


def followed(projection: Projection) -> dict[str, list[float]]:
    """The values of each series, once the log can be read."""
    until(lambda: has_followed(projection), "the log to be read", FAILOVER_SECONDS)
    return {name: [value for _, _, value in events] for name, events in projection.live().items()}


def test_a_replica_that_has_everything_takes_over(deployment: Deployment) -> None:
    log, other = deployment.log(), deployment.log()
    log.claim(RULES, "start")
    for number in range(50):
        last = log.append_one("a", WALL, float(number))
    log.append(some(1, "b"), KEY)
    reader = Projection(other)
    reader.follow()
    until(deployment.copied, "the replica to be a copy")
    deployment.fail_over()
    found = append_when_possible(log, "a", 50.0)
    assert found.position >= last.position + JUMP
    assert followed(reader)["a"][:51] == [float(number) for number in range(51)]
    assert reader.begun == 0
    assert "has lost" not in when_possible(lambda: other.store.notice() or "nothing")
    with pytest.raises(Repeated):
        when_possible(lambda: other.append(some(1, "b"), KEY))
    deployment.sentinels[0].kill()  # the first one asked
    assert followed(Projection(deployment.log())) == followed(reader)


def test_what_a_lagging_replica_lacks_is_lost_on_all_hosts_alike_and_said(deployment: Deployment) -> None:
    log, ahead, behind = deployment.log(), deployment.log(), deployment.log()
    log.claim(RULES, "start")
    for number in range(30):
        log.append_one("a", WALL, float(number))
    late, early = Projection(behind), Projection(ahead)
    late.follow()
    until(deployment.copied, "the replica to be a copy")
    deployment.replica.kill()
    lost = [log.append_one("a", WALL, float(number)).position for number in range(30, 80)]
    log.append_one("lost", WALL, 80.0)  # its id will be another series'
    early.follow()
    deployment.master.kill()
    deployment.replica.start()
    deployment.promote()
    first = append_when_possible(behind, "a", 1000.0)
    assert first.position > lost[-1] + JUMP // 2
    behind.append_one("new", WALL, 1001.0)
    assert append_when_possible(log, "lost", 2000.0).position > first.position  # not as an event of `new`
    fresh = Projection(deployment.log())
    answers = [followed(projection) for projection in (late, early, fresh)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["a"][:30] == [float(number) for number in range(30)]
    assert not set(answers[0]["a"]) & {float(number) for number in range(30, 80)}
    assert answers[0]["new"] == [1001.0]
    assert answers[0]["lost"] == [2000.0]
    assert (early.begun, late.begun) == (1, 0)
    (begin, end), *_ = early.jumps
    assert all(begin < position <= end for position in lost)
    for each in (late, early, fresh):
        each.follow()
        assert f"has lost what stood behind position {begin}" in (each.log.store.notice() or "")


def test_with_wait_nothing_acknowledged_is_lost_with_the_master_repetitions_included(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient, reader = deployment.log("&wait=1"), deployment.log()
    patient.claim(RULES, "start")
    acknowledged = [float(number) for number in range(20) if patient.append_one("a", WALL, float(number)).stored]
    monkeypatch.setattr(appending, "COPY_MILLISECONDS", 50)
    log, other = deployment.log("&wait=1"), deployment.log("&wait=1")
    for each in (log, other):
        each.catch_up()
    deployment.replica.process.send_signal(signal.SIGSTOP)
    with pytest.raises(LogUncertain, match="0 replicas"):
        log.append(some(2, "b"), KEY)
    for again in (log, other):
        with pytest.raises(LogUncertain):
            again.append(some(2, "b"), KEY)
    deployment.master.kill()
    deployment.replica.process.send_signal(signal.SIGCONT)
    deployment.promote()
    found = followed(Projection(reader))
    assert found["a"] == acknowledged


def test_a_master_without_its_replica_says_so_while_it_answers(deployment: Deployment) -> None:
    """Cut off together with a host it goes on answering, and cannot know whether another one has taken over."""
    log, waiting = deployment.log(), deployment.log("&wait=1")
    log.claim(RULES, "start")
    until(lambda: log.store.notice() is None, "the replica to have told how far it is")
    waiting.store.check()
    deployment.replica.process.send_signal(signal.SIGSTOP)
    until(lambda: "has 0 replicas up to date, not 1" in (log.store.notice() or ""), "the notice")
    with pytest.raises(LogUnavailable, match="0 replicas up to date, not the 1 that wait= asks for"):
        waiting.store.check()
    log.store.check()
    assert log.append_one("a", WALL, 1.0).stored == 1
    deployment.replica.process.send_signal(signal.SIGCONT)
    until(lambda: log.store.notice() is None, "the replica to be back")
    until(lambda: may_write(waiting), "a host that waits for it to hear of it too")


def may_write(log: Log) -> bool:
    try:
        log.store.check()
    except LogUnavailable:
        return False
    return True
