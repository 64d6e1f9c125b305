"""Two hosts behind nginx on one Redis, clients that post without pause, and kills of anything at any time."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from threading import Event, Thread
from typing import Any

import requests

from event_log.log import Log
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from tests.event_log.projection import Projection
from tests.nginx import nginx
from tests.redis_server import RedisServer
from tests.servers import Server, until

SERIES = ("a", "b", "c")
WORKERS = 2
SETTLING_SECONDS = 120.0
QUESTIONS = (
    "/statistics?last=100000000&include=sum,variance,stddev,first,last",
    "/statistics/a?last=100&include=sum,variance,stddev,first,last",
    "/series",
    "/series/b/events?limit=1000",
)


class Client(Thread):
    """Posts events that all differ in value, one by one or in batches, and remembers what became of them."""

    def __init__(self, url: str, series: str, numbers: Iterator[int], size: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[float] = []
        self.sent: list[float] = []
        self.answers: Counter[object] = Counter()
        self._url = f"{url}/events"
        self._series = series
        self._numbers = numbers
        self._size = size
        self._stopped = Event()

    def run(self) -> None:
        with requests.Session() as session:
            while not self._stopped.is_set():
                self._post(session, [float(next(self._numbers)) for _ in range(self._size)])

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def _post(self, session: requests.Session, values: list[float]) -> None:
        self.sent += values
        try:
            answer = session.post(self._url, json={"series": self._series, "values": values}, timeout=60)
        except requests.RequestException as fault:
            self.answers[type(fault).__name__] += 1
            return  # it may have been stored or not; the client cannot know
        self.answers[answer.status_code] += 1
        if answer.status_code == 201:
            self.acknowledged += values
        else:
            assert answer.status_code in (502, 503, 504), answer.text
            self._stopped.wait(0.01)


class Machines:
    """What runs, and how it is killed."""

    def __init__(self, redis: RedisServer, hosts: list[Server], url: str, seed: int) -> None:
        self.redis = redis
        self.hosts = hosts
        self.url = url
        self.kills: Counter[str] = Counter()
        self._rng = random.Random(seed)

    def kill_something(self) -> None:
        """A worker, a whole host, or Redis, which come back at once or a little later."""
        kind = self._rng.choices(("worker", "host", "redis"), (6, 1, 3))[0]
        self.kills[kind] += 1
        if kind == "redis":
            self.redis.kill()
            time.sleep(self._rng.random() * 0.5)
            self.redis.start()
        elif kind == "host":
            host = self._rng.choice(self.hosts)
            host.kill()
            time.sleep(self._rng.random() * 0.5)
            host.start()
        else:
            workers = self._rng.choice(self.hosts).workers()
            if workers:
                with suppress(ProcessLookupError):
                    os.kill(self._rng.choice(workers), signal.SIGKILL)


@contextmanager
def machines(seed: int = 1, fsync: str = "always") -> Iterator[Machines]:
    """Two hosts of two workers each."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(aof=fsync))
        env = {"TIDEMARK_LOG_URL": redis.url(), "TIDEMARK_KEEP_LAST": "10000000"}
        hosts = [stack.enter_context(Server(["-w", str(WORKERS)], env)) for _ in range(2)]
        url = stack.enter_context(nginx([host.port for host in hosts]))
        yield Machines(redis, hosts, url, seed)


def storm(system: Machines, kills: int, clients: int = 6) -> dict[str, Any]:
    """Kill so many times under load, then check everything; the figures of it. Raises AssertionError."""
    numbers = count(1)
    running = [Client(system.url, SERIES[i % 3], numbers, 5 if i % 2 else 1) for i in range(clients)]
    for client in running:
        client.start()
    try:
        for _ in range(kills):
            system.kill_something()
            time.sleep(0.15)
    finally:
        for client in running:
            client.stop()
    for host in system.hosts:
        host.wait_for_workers(WORKERS)
    return check(system, running)


def check(system: Machines, clients: list[Client]) -> dict[str, Any]:
    """What was acknowledged is stored once, nothing else but what was sent, and all workers say the same."""
    store = RedisStore(parse_redis_url(system.redis.url()), max_bytes=2**40)
    projection = Projection(Log(store))
    projection.follow()
    store.close()
    stored = [value for events in projection.live().values() for *_, value in events]
    acknowledged = {value for client in clients for value in client.acknowledged}
    sent = {value for client in clients for value in client.sent}
    assert len(stored) == len(set(stored)), "something was stored twice"
    assert acknowledged <= set(stored), f"{len(acknowledged - set(stored))} acknowledged events are lost"
    assert set(stored) <= sent
    answers = [answer for host in system.hosts for answer in answers_of(host)]
    assert all(answer == answers[0] for answer in answers), "workers differ"
    assert answers[0][0]["count"] == len(stored)
    assert answers[0][0]["sum"] == float(sum(map(int, stored)))
    found = sum((client.answers for client in clients), Counter())
    return {
        "kills": dict(system.kills),
        "acknowledged": len(acknowledged),
        "stored": len(stored),
        "answers": dict(found),
    }


def answers_of(host: Server) -> list[list[Any]]:
    """What each worker of a host says, once it is ready."""
    until(lambda: host.get("/health/ready").status_code == 200, "the host to be ready", SETTLING_SECONDS)
    return host.ask_each_worker(lambda: [answer_of(host, question) for question in QUESTIONS])


def answer_of(host: Server, question: str) -> Any:
    answer = host.get(question)
    assert answer.status_code == 200, answer.text
    return answer.json()
