"""Systems on which histories are recorded: real servers, and all that can befall them."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event

from tests.history.clients import BRIEF
from tests.history.relay import CALM, STORM, Relay
from tests.redis_server import RedisServer
from tests.servers import Server, until

RETENTION = {"TIDEMARK_RETENTION": "5m", "TIDEMARK_KEEP_LAST": "10000000"}
"""Longer than a request can wait for a server to start; nothing is gone from the streams that tell all at the end."""
DOWN_MILLISECONDS, NEVER_MILLISECONDS = 1000, 600_000
"""Milliseconds after which sentinels take the master for dead: while it is, and while it may only be slow."""
COPIED_AT_ONCE = ("--repl-diskless-sync-delay", "0")


@dataclass
class System:
    """Ports that answer the same, and what may happen to what stands behind them."""

    servers: list[Server]
    relays: list[Relay]
    """Between clients and servers."""
    faults: Mapping[str, Callable[[random.Random], None]]
    brief: frozenset[str] = frozenset(BRIEF)
    gaps: bool = False
    losses: bool = False
    links: list[Relay] = field(default_factory=list)
    """Between servers and their log."""

    def port(self, rng: random.Random) -> int:
        """Return any port, with a bad network before it or without."""
        return rng.choice([*(server.port for server in self.servers), *(relay.port for relay in self.relays)])

    def heal(self) -> None:
        """Leave nothing that keeps anybody from being answered."""
        for relay in (*self.relays, *self.links):
            relay.weather = CALM
            relay.cut_all()
        for server in self.servers:
            until(lambda: server.get("/health/ready").status_code == 200, "all to be ready")  # noqa: B023  at once


@contextmanager
def four_workers(seed: str) -> Iterator[System]:
    """One host with four workers."""
    with Server(["-w", "4"], RETENTION) as server, Relay(server.port, seed) as relay:
        faults = {
            "a worker is killed": lambda rng: kill_a_worker(server, rng),
            "a bad network": lambda rng: storm([relay], rng),
            "the master is killed": lambda _: kill_the_master(server),
            "all are killed": lambda _: restart(server),
            "workers are replaced": lambda _: server.process.send_signal(signal.SIGHUP),
        }
        yield System([server], [relay], faults)


@contextmanager
def two_hosts(seed: str) -> Iterator[System]:
    """Two hosts with two workers each on one Redis that syncs each write."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(aof="always"))
        links = [stack.enter_context(Relay(redis.port, f"{seed} link {number}")) for number in range(2)]
        servers = [
            stack.enter_context(
                Server(["-w", "2"], {"TIDEMARK_LOG_URL": f"redis://127.0.0.1:{link.port}/0"} | RETENTION)
            )
            for link in links
        ]
        relays = [stack.enter_context(Relay(server.port, f"{seed} {server.port}")) for server in servers]
        faults = {
            "Redis is killed": lambda _: redis.restart(),
            "the log is cut off": lambda rng: rng.choice(links).cut_all(),
            "a worker is killed": lambda rng: kill_a_worker(rng.choice(servers), rng),
            "a host is killed": lambda rng: restart(rng.choice(servers)),
            "a bad network to the log": lambda rng: storm(links, rng),
            "a bad network": lambda rng: storm(relays, rng),
        }
        yield System(servers, relays, faults, gaps=True, links=links)


@contextmanager
def failovers(seed: str) -> Iterator[System]:
    """Two hosts on a Redis with a replica and sentinels; a write is acknowledged when the replica has it."""
    with ExitStack() as stack:
        pair = [stack.enter_context(RedisServer(*COPIED_AT_ONCE))]
        pair.append(stack.enter_context(RedisServer(*COPIED_AT_ONCE, *copies(pair[0]))))
        until(lambda: has_replica(pair[0]), "the replica to be a copy")
        watch = (
            f"sentinel monitor mymaster 127.0.0.1 {pair[0].port} 2\n"
            f"sentinel down-after-milliseconds mymaster {NEVER_MILLISECONDS}\n"
            "sentinel failover-timeout mymaster 2000\n"
        )
        sentinels = [stack.enter_context(RedisServer(sentinel=watch)) for _ in range(3)]
        for sentinel in sentinels:
            until(lambda: knows_all(sentinel), "the sentinels to know of each other")  # noqa: B023  at once
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        url = f"redis+sentinel://{places}/mymaster?wait=1"
        servers = [stack.enter_context(Server(["-w", "2"], {"TIDEMARK_LOG_URL": url} | RETENTION)) for _ in range(2)]
        relays = [stack.enter_context(Relay(server.port, f"{seed} {server.port}")) for server in servers]
        faults = {
            "a failover": lambda _: fail_over(pair, sentinels),
            "a worker is killed": lambda rng: kill_a_worker(rng.choice(servers), rng),
            "a bad network": lambda rng: storm(relays, rng),
        }
        yield System(servers, relays, faults, frozenset(), gaps=True, losses=True)


def kill_a_worker(server: Server, rng: random.Random) -> None:
    """SIGKILL."""
    with suppress(ProcessLookupError):
        os.kill(rng.choice(until(server.workers, "a worker")), signal.SIGKILL)


def kill_the_master(server: Server) -> None:
    """SIGKILL; its workers notice that they are orphans and end, then another master takes their place."""
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    until(lambda: not server.workers(), "the orphans to end")
    server.start()


def restart(server: Server) -> None:
    """SIGKILL for all, then start again."""
    server.kill()
    server.start()


def storm(relays: list[Relay], rng: random.Random) -> None:
    """A second or less of bad weather, of which connections in the middle of it may never hear again."""
    for relay in relays:
        relay.weather = STORM
    Event().wait(rng.random())
    for relay in relays:
        relay.weather = CALM


def fail_over(pair: list[RedisServer], sentinels: list[RedisServer]) -> None:
    """Kill the master, wait until its replica is promoted, and have it come back as the other's replica."""
    pair.sort(key=is_replica)
    old, new = pair
    old.kill()
    call_dead_after(sentinels, DOWN_MILLISECONDS)
    until(lambda: not is_replica(new), "the replica to be promoted", 180)
    call_dead_after(sentinels, NEVER_MILLISECONDS)
    old.start(*copies(new))  # which the sentinels would tell it too, ten seconds later
    until(lambda: any(map(has_replica, pair)), "one to be a copy of the other")
    for sentinel in sentinels:
        until(lambda: knows_all(sentinel), "the sentinels to know of it")  # noqa: B023  at once


def call_dead_after(sentinels: list[RedisServer], milliseconds: int) -> None:
    """Have sentinels take a master for dead that has not answered for so long."""
    for sentinel in sentinels:
        with sentinel.client() as client:
            client.sentinel_set("mymaster", "down-after-milliseconds", milliseconds)


def copies(master: RedisServer) -> tuple[str, ...]:
    """Return the options of a replica."""
    return "--replicaof", "127.0.0.1", str(master.port)


def is_replica(server: RedisServer) -> bool:
    """Return whether it copies another."""
    with server.client() as client:
        return bool(client.info("replication")["role"] == "slave")


def has_replica(server: RedisServer) -> bool:
    """Return whether another is a copy of it and follows."""
    with server.client() as client:
        return "'online'" in str(client.info("replication"))


def knows_all(sentinel: RedisServer) -> bool:
    """Return whether it knows the other two, and a replica."""
    with sentinel.client() as client:
        state = client.sentinel_master("mymaster")
        return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)
