"""The store on Redis over a real master, a real replica and three real sentinels: what a failover costs, and that it is
said."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from event_log.base import LogUnavailable, LogUncertain
from event_log.log import Log
from event_log.outcomes import Repeated, Stored
from event_log.port import JUMP
from event_log.redis.store import RedisStore
from event_log.redis_url import parse_redis_url
from event_log.rules import Rules
from event_log.writes import Conditions, Once
from tests.event_log.projection import Projection
from tests.event_log.stores import WALL
from tests.event_log.test_redis_failover import FAILOVER_SECONDS, Deployment
from tests.event_log.test_redis_failover import deployment as deployment
from tests.event_log.test_redis_store import some
from tests.redis_server import RedisServer
from tests.servers import until
from times import HOUR, MINUTE

RULES = Rules(10 * 365 * 24 * HOUR, 3, HOUR, MINUTE, 100, 3)
KEY = Conditions(once=Once(b"k" * 16, b"b" * 16))


@dataclass
class Hosts:
    """Hosts that find their log by way of the sentinels."""

    deployment: Deployment
    stores: list[RedisStore] = field(default_factory=list)

    def log(self, query: str = "") -> Log:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.deployment.sentinels)
        url = parse_redis_url(f"redis+sentinel://{hosts}/mymaster?name=log{query}")
        self.stores.append(RedisStore(url, max_bytes=2**30))
        return Log(self.stores[-1])


@pytest.fixture
def hosts(deployment: Deployment) -> Iterator[Hosts]:
    found = Hosts(deployment)
    yield found
    for store in found.stores:
        store.close()


def append_when_possible(log: Log, name: str, value: float) -> Stored:
    """Tries again until the failover is over."""

    def append() -> Stored | None:
        try:
            return log.append_one(name, WALL, value)
        except LogUnavailable:
            return None

    stored: Stored = until(append, "the log to take writes", FAILOVER_SECONDS)
    return stored


def followed(projection: Projection) -> dict[str, list[float]]:
    """The values of each series, once the log can be read."""

    def follow() -> bool:
        try:
            projection.follow()
        except LogUnavailable:
            return False
        return True

    until(follow, "the log to be read", FAILOVER_SECONDS)
    return {name: [value for _, _, value in events] for name, events in projection.live().items()}


def test_a_replica_that_has_everything_takes_over(hosts: Hosts) -> None:
    log, other = hosts.log(), hosts.log()
    log.claim(RULES, "start")
    for number in range(50):
        last = log.append_one("a", WALL, float(number))
    log.append(some(1, "b"), KEY)
    reader = Projection(other)
    reader.follow()
    until(hosts.deployment.copied, "the replica to be a copy")
    hosts.deployment.fail_over()
    found = append_when_possible(log, "a", 50.0)
    assert found.position >= last.position + JUMP
    assert followed(reader)["a"][:51] == [float(number) for number in range(51)]
    assert reader.begun == 0
    assert "has lost" not in (other.store.notice() or "")
    with pytest.raises(Repeated):
        other.append(some(1, "b"), KEY)


def test_what_a_lagging_replica_lacks_is_lost_on_all_hosts_alike_and_said(hosts: Hosts) -> None:
    log, ahead, behind = hosts.log(), hosts.log(), hosts.log()
    log.claim(RULES, "start")
    for number in range(30):
        log.append_one("a", WALL, float(number))
    late, early = Projection(behind), Projection(ahead)
    late.follow()
    until(hosts.deployment.copied, "the replica to be a copy")
    hosts.deployment.replica.kill()
    lost = [log.append_one("a", WALL, float(number)).position for number in range(30, 80)]
    log.append_one("lost", WALL, 80.0)  # its id will be another series'
    early.follow()
    hosts.deployment.master.kill()
    hosts.deployment.replica.start()
    until(hosts.deployment.promoted, "the replica to be promoted", FAILOVER_SECONDS)
    first = append_when_possible(behind, "a", 1000.0)
    assert first.position > lost[-1] + JUMP // 2
    behind.append_one("new", WALL, 1001.0)
    assert append_when_possible(log, "lost", 2000.0).position > first.position  # not as an event of `new`
    fresh = Projection(hosts.log())
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


def test_with_wait_nothing_acknowledged_is_lost_with_the_master_repetitions_included(hosts: Hosts) -> None:
    log, other, reader = hosts.log("&wait=1"), hosts.log("&wait=1"), hosts.log()
    log.claim(RULES, "start")
    acknowledged = [float(number) for number in range(20) if log.append_one("a", WALL, float(number)).stored]
    other.catch_up()
    hosts.deployment.replica.process.send_signal(signal.SIGSTOP)
    with pytest.raises(LogUncertain, match="0 replicas"):
        log.append(some(2, "b"), KEY)
    for again in (log, other):
        with pytest.raises(LogUncertain):
            again.append(some(2, "b"), KEY)
    hosts.deployment.master.kill()
    hosts.deployment.replica.process.send_signal(signal.SIGCONT)
    until(hosts.deployment.promoted, "the replica to be promoted", FAILOVER_SECONDS)
    found = followed(Projection(reader))
    assert found["a"] == acknowledged


def test_where_redis_is_emptied_the_log_begins_beyond_what_was_given() -> None:
    with RedisServer() as server:
        store = RedisStore(parse_redis_url(server.url("name=log")), max_bytes=2**30)
        log = Log(store)
        log.claim(RULES, "start")
        projection = Projection(log)
        before = log.append(some(3))
        assert followed(projection) == {"a": [0.0, 1.0, 2.0]}
        with server.client() as client:
            client.flushall()
        assert followed(projection) == {}
        assert log.append(some(2)).position > before.position + JUMP
        assert followed(projection) == {"a": [0.0, 1.0]}
        assert "has lost" in (store.notice() or "")
        store.close()
