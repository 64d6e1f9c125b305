"""SIGKILL while a log is compacted: what was acknowledged is there once, and all workers agree.

At any other moment: tests/history.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from typing import Any

import pytest

from tests.e2e.load import SERIES, Load
from tests.e2e.model import EVERYTHING
from tests.servers import Server, until

pytestmark = pytest.mark.no_cover
QUESTIONS = (  # none about a window: those move on while they are asked
    f"/statistics?last=100000&include={EVERYTHING}",
    f"/statistics/a?last=100&include={EVERYTHING}",
    "/series",
    "/series/a/events?limit=1000",
    "/dialects/batches/stats/?symbol=sym&k=3",
)


def kill_workers_at_random(server: Server, times: int) -> None:
    """Kill a worker again and again, as soon as there is another one to answer, at any moment of what it does."""
    rng = random.Random(3)
    while times:
        workers = until(lambda: len(found := server.workers()) > 1 and found, "two workers")
        with suppress(ProcessLookupError):
            os.kill(rng.choice(workers), signal.SIGKILL)
            times -= 1
        server.get("/health/live")  # paces the loop: the survivors answer
        time.sleep(rng.random() / 5)


def all_events(server: Server, series: str) -> list[float]:
    """The values of a series' last events, of all if they are 1000 at most."""
    return [event["value"] for event in server.get(f"/series/{series}/events?limit=1000").json()["events"]]


def answers_of_each(server: Server) -> list[list[Any]]:
    return server.ask_each_worker(lambda: [server.get(question).json() for question in QUESTIONS])


@pytest.mark.soak(kills=(2, 100))
def test_workers_killed_while_they_compact_lose_nothing_and_count_nothing_twice(kills: int) -> None:
    """Events expire at once while each is still retained: compactions run, and are killed, all the time."""
    env = {"TIDEMARK_RETENTION": "0.1s", "TIDEMARK_KEEP_LAST": "1000000"}
    with Server(["-w", "2"], env) as server:
        server.wait_for_workers(2)
        symbol = {"symbol": "sym", "values": [1.0, 2.0, 4.0]}
        assert server.post("/dialects/batches/add_batch/", symbol).status_code == 201
        load = Load(server)
        with load.running():
            kill_workers_at_random(server, kills)
            until(lambda: len(load.acknowledged) > 20, "some requests that were not broken off")
        server.wait_for_workers(2)
        check_counts(server, load)
        survivors = answers_of_each(server)
        assert survivors == [survivors[0]] * 2
        server.kill()
        server.args = ["-w", "1"]
        server.start()
        assert answers_of_each(server) == survivors[:1]
        check_counts(server, load)


def check_counts(server: Server, load: Load) -> None:
    """Check that all that was acknowledged is stored, once; beyond it only whole requests whose answer was lost."""
    for series in SERIES:
        acknowledged = load.values(series, load.acknowledged)
        sent = load.values(series, load.sent)
        summary = server.get(f"/statistics/{series}?last=100000000&include=sum").json()
        maybe = [values for name, values in load.sent if name == series and not set(values) <= acknowledged]
        least = len(acknowledged)
        assert least <= summary["count"] <= len(sent)
        extra = summary["sum"] - sum(acknowledged)
        assert extra in sums_of_some(maybe)
        recent = all_events(server, series)
        assert len(set(recent)) == len(recent) == min(1000, summary["count"])
        assert set(recent) <= sent


def sums_of_some(maybe: list[list[float]]) -> set[float]:
    """Every sum that some of these requests, each whole or not at all, can add."""
    sums = {0.0}
    for values in maybe:
        sums |= {known + sum(values) for known in sums}
    return sums
