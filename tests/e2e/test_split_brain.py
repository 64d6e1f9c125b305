"""Two sides that do not reach each other, a master on each: what is lost is what docs/several-machines.md says."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import requests

from tests.namespaces import Link, RedisAt, ServerAt, two_sides
from tests.servers import Server, until

pytestmark = pytest.mark.no_cover
WORDS = ("--protected-mode", "no", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
SENTINEL = "protected-mode no\nsentinel monitor mymaster {} {} 2\n"
TIMES = "sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 4000\n"
MAX_LAG_SECONDS = 2
MOST_LOST_SECONDS = MAX_LAG_SECONDS + 2.0 + 4.0
"""The master looks once a second, and counts whole seconds: 4 in the documents; on a busy machine it looks late."""
SPLIT_SECONDS = MOST_LOST_SECONDS + 2.0
"""Minimum seconds for which the old master's side is written to after the cut."""
STARTS = (1.0, 1e6, 2e6)
"""The first value of each writer."""


@dataclass
class Writer:
    """Posts to one server, and remembers when what was acknowledged."""

    server: Server
    numbers: count[float]
    acknowledged: dict[float, float] = field(default_factory=dict)
    """The moment of each value's request."""

    def post(self) -> bool:
        """Post one event; whether it was acknowledged."""
        value, moment = next(self.numbers), time.monotonic()
        try:
            answer = self.server.post("/events", {"series": "a", "values": [value]}, timeout=10)
        except requests.RequestException:
            return False
        assert answer.status_code in (201, 503), answer.text
        if answer.status_code == 201:
            self.acknowledged[value] = moment
        return answer.status_code == 201


@dataclass
class Split:
    """A master, a host and a sentinel on one side; a replica, a host and two sentinels on the other."""

    link: Link
    master: RedisAt
    replica: RedisAt
    hosts: list[ServerAt]
    """On the master's side without and with `wait=1`, then one on the other."""


@contextmanager
def split(*options: str) -> Iterator[Split]:
    with ExitStack() as stack:
        link = stack.enter_context(two_sides())
        here, there = link.sides
        master = stack.enter_context(RedisAt(here, *WORDS, *options))
        copying = ("--replicaof", here.address, str(master.port), "--replica-announce-ip", there.address)
        replica = stack.enter_context(RedisAt(there, *WORDS, *options, *copying))
        watch = SENTINEL.format(here.address, master.port) + TIMES
        sentinels = [stack.enter_context(RedisAt(side, sentinel=watch)) for side in (here, there, there)]
        for sentinel in sentinels:
            until(lambda: knows_all(sentinel), "the sentinels to know of each other")  # noqa: B023  at once
        places = ",".join(f"{sentinel.side.address}:{sentinel.port}" for sentinel in sentinels)
        url = f"redis+sentinel://{places}/mymaster"
        hosts = [
            stack.enter_context(ServerAt(side, ["-w", "1"], {"TIDEMARK_LOG_URL": url + query}))
            for side, query in ((here, ""), (here, "?wait=1"), (there, ""))
        ]
        yield Split(link, master, replica, hosts)


def knows_all(sentinel: RedisAt) -> bool:
    with sentinel.client() as client:
        state = client.sentinel_master("mymaster")
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


def role(server: RedisAt) -> str:
    with server.client() as client:
        return str(client.info("replication")["role"])


def stored(host: Server) -> set[float]:
    """The values of the last 1,000 events, once the host has a log to answer from."""
    answer = until(lambda: (got := host.get("/series/a/events?limit=1000")).status_code == 200 and got, "an answer")
    return {event["value"] for event in answer.json()["events"]}


def test_the_network_of_other_processes_does_not_change() -> None:
    """A browser of another test gives up what it loads when a link comes or goes."""
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            with two_sides() as link:
                ours = {name for _, name in socket.if_nameindex()} - {"lo"}
                assert len(ours) == len(link.sides)
                theirs = Path(f"/proc/{other.pid}/net/dev").read_text()
                assert not [name for name in ours if f"{name}:" in theirs]
            assert Path("/proc/thread-self/ns/net").readlink() == Path(f"/proc/{other.pid}/ns/net").readlink()
        finally:
            other.kill()


BOUNDED = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", str(MAX_LAG_SECONDS))


@pytest.mark.parametrize("options", [(), BOUNDED], ids=["", "min-replicas"])
def test_what_a_split_loses_is_what_the_documents_say(options: tuple[str, ...]) -> None:
    with split(*options) as system:
        plain, waiting, other = (Writer(host, count(start)) for host, start in zip(system.hosts, STARTS, strict=True))
        for writer in (plain, waiting, other):
            until(writer.post, "a write on each host")
        begun = time.monotonic()
        system.link.cut()
        while time.monotonic() < begun + SPLIT_SECONDS or role(system.replica) == "slave":
            plain.post()
            waiting.post()
        until(lambda: STARTS[0] in stored(other.server), "an answer on the other side")
        health = plain.server.get("/health").json()
        if options:
            assert "has fewer replicas than its min-replicas-to-write" in health["detail"]
            assert not plain.post()
            assert not other.post()
        else:
            assert "another one may have taken over" in health["notice"]
            until(plain.post, "a write on the old master's side")
            until(other.post, "a write on the other side")
            assert stored(plain.server) - stored(other.server)
            assert stored(other.server) - stored(plain.server)
        system.link.mend()
        until(lambda: role(system.master) == "slave", "the old master to follow the new one")
        until(lambda: plain.post() and other.post() and waiting.post(), "all to take writes again")
        until(lambda: stored(plain.server) == stored(other.server), "both to answer the same")
        kept = stored(other.server)
        lost = {value: moment - begun for value, moment in plain.acknowledged.items() if value not in kept}
        last = max(lost.values(), default=0.0)
        print(f"{len(lost)} of {len(plain.acknowledged)} lost, the last {last:.1f} s after the cut")
        assert set(waiting.acknowledged) | set(other.acknowledged) <= kept
        if options:
            assert last < MOST_LOST_SECONDS
        else:
            assert last > MOST_LOST_SECONDS
