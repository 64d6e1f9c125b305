"""Two hosts whose Redis comes back with an older backup: what is lost is lost on both alike, and said."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import pytest
import requests

from tests.redis_server import RedisServer
from tests.servers import Server, until
from tests.streaming.sse import Message, Stream

WORKERS = 2
BATCH = 500
OLD, LOST = 200, 30
"""Batches in the backup, and behind it: several portions to read, and to take in."""


class Hosts(NamedTuple):
    """The running Redis and servers."""

    redis: RedisServer
    servers: list[Server]

    def fill(self, batches: int, value: float) -> int:
        """The position behind them."""
        for number in range(batches):
            answer = self.servers[number % 2].post("/events", {"series": "a", "values": [value] * BATCH})
            assert answer.status_code == 201, answer.text
        return int(answer.headers["Log-Position"])

    def each(self, path: str) -> list[dict[str, Any]]:
        """Return what each worker of each host says."""
        found = [server.ask_each_worker(lambda: server.get(path)) for server in self.servers]  # noqa: B023  at once
        return [answer.json() for answers in found for answer in answers]


class Asker(Thread):
    """Asks a host all the while."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.answers: list[tuple[int, int, float]] = []
        """Position, count, sum."""
        self.refused: list[requests.Response] = []
        self.failure: requests.RequestException | None = None
        self._server = server
        self._stopped = Event()

    def run(self) -> None:
        try:
            while not self._stopped.is_set():
                self._ask()
        except requests.RequestException as failure:
            self.failure = failure

    def _ask(self) -> None:
        answer = self._server.get("/statistics?include=sum")
        if answer.status_code == 200:
            found = answer.json()
            self.answers.append((int(answer.headers["Log-Position"]), found["count"], found["sum"]))
        else:
            self.refused.append(answer)

    def now_says(self, count: int, total: float) -> bool:
        """Tell whether this is the last answer; raise what has ended the asking."""
        if self.failure:
            raise self.failure
        return self.answers[-1][1:] == (count, total)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        env = {"TIDEMARK_LOG_URL": redis.url(), "TIDEMARK_KEEP_LAST": "10000000"}
        servers = [Server(["-w", str(WORKERS)], env) for _ in range(2)]
        yield Hosts(redis, [stack.enter_context(server) for server in servers])


def restore(redis: RedisServer, backup: Path) -> None:
    redis.kill()
    shutil.rmtree(redis.directory / "appendonlydir")
    shutil.copytree(backup, redis.directory / "appendonlydir")
    redis.start()


def read_until_gap(stream: Stream) -> Message:
    return next(message for message in stream if message.event != "event")


def test_an_older_backup_is_swapped_in_whole_on_all_hosts_and_streams_are_told(hosts: Hosts) -> None:
    one, two = hosts.servers
    hosts.fill(OLD, 1.0)
    backup = hosts.redis.directory / "backup"
    shutil.copytree(hosts.redis.directory / "appendonlydir", backup)
    kept = OLD * BATCH
    lost = hosts.fill(LOST, 100.0)
    everything = (lost, kept + LOST * BATCH, kept + LOST * BATCH * 100.0)
    until(
        lambda: [found["count"] for found in hosts.each("/statistics")] == [everything[1]] * 2 * WORKERS,
        "each worker to have read all",
    )
    askers = [Asker(server) for server in hosts.servers]
    with ExitStack() as stack:
        streams = [stack.enter_context(Stream(f"{s.url}/series/a/stream", lost)) for s in hosts.servers]
        for asker in askers:
            asker.start()
            stack.callback(asker.stop)
        until(lambda: all(len(asker.answers) > 3 for asker in askers), "some answers")
        restore(hosts.redis, backup)
        until(
            lambda: (
                one.post("/events", {"series": "a", "values": [7.0]}, headers={"Idempotency-Key": "once"}).status_code
                == 201
            ),
            "a write",
        )
        after = (kept + 1, kept + 7.0)
        for asker in askers:
            until(partial(asker.now_says, *after), "the older data and the new event", 120)
        gaps = [read_until_gap(stream) for stream in streams]
        assert [gap.event for gap in gaps] == ["gap", "gap"]
        told = two.post("/events", {"series": "a", "values": [8.0]})
        for stream in streams:
            message = next(message for message in stream if message.json.get("value") == 8.0)
            assert message.id == told.headers["Log-Position"]
    for asker in askers:
        # The old whole, the older one with what has come since, and nothing in between.
        assert {answer[1:] for answer in asker.answers} <= {
            everything[1:], (kept, float(kept)), after, (kept + 2, kept + 15.0)
        }  # fmt: skip
        falls = [count for (_, before, _), (_, count, _) in pairwise(asker.answers) if count < before]
        assert len(falls) == 1  # whichever worker answered: none was behind the others
        for answer in asker.refused:
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert [found["count"] for found in hosts.each("/statistics")] == [kept + 2] * 2 * WORKERS
    said = f"has lost what stood behind position {kept}, on all hosts alike"
    until(lambda: all(said in answer.get("notice", "") for answer in hosts.each("/health")), "each worker to say so")
    for server in hosts.servers:
        assert server.output().count("reading the log anew") == WORKERS
        for last in (lost, lost - 5, kept):  # behind what is lost, within it, before it
            with Stream(f"{server.url}/series/a/stream", last) as stream:
                first, second, third = stream.take(3)
                assert (first.event, second.json["value"], third.json["value"]) == ("gap", 7.0, 8.0)
                assert int(first.id or 0) == int(second.id or 0) - 1 > lost
