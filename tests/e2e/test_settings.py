"""Services of different settings over one log: those of the last start hold for all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.servers import Server, until
from times import MINUTE, format_timestamp, wall_clock

Counts = list[tuple[int, int, int, int]]


def ask(server: Server) -> tuple[int, int, int, int]:
    """Return how many events of the window in force, of twenty minutes, how many last ones; the status of a question
    for forty minutes."""
    window = server.get("/statistics/a").json()["count"]
    recent = server.get("/statistics/a?window=20m").json()["count"]
    last = server.get("/statistics/a?last=1000").json()["count"]
    return window, recent, last, server.get("/statistics/a?window=40m").status_code


def answers(server: Server) -> Counts:
    """Those of each worker."""
    return server.ask_each_worker(lambda: ask(server))


def test_a_second_service_with_other_settings_changes_the_first(tmp_path: Path) -> None:
    now = wall_clock()
    ages = (1, 2, 11, 12, 13, 21, 22, 23, 24, 31, 32, 51, 52)  # minutes: none leaves a window for eight to come
    times = [format_timestamp(now - minutes * MINUTE) for minutes in ages]
    shared = {"TIDEMARK_LOG_URL": f"file:{tmp_path}/log"}
    with Server(["-w", "2"], shared | {"TIDEMARK_KEEP_LAST": "50"}) as old:
        columns = {"series": "a", "timestamps": times, "values": [1.0] * len(times)}
        assert old.post("/events", columns).status_code == 201
        assert answers(old) == [(13, 5, 13, 200)] * 2
        settings = shared | {"TIDEMARK_KEEP_LAST": "3", "TIDEMARK_RETENTION": "30m", "TIDEMARK_WINDOW": "10m"}
        with Server(["-w", "2"], settings) as new:
            assert answers(old) == answers(new) == [(2, 5, 9, 400)] * 2
            killed, _ = old.workers()
            os.kill(killed, signal.SIGKILL)
            until(lambda: killed not in old.workers() and len(old.workers()) == 2, "a worker in its place")
            # It is of the older start, whose settings are in force no more.
            assert answers(old) == answers(new) == [(2, 5, 9, 400)] * 2
            late = {"series": "a", "timestamp": times[-1], "value": 1.0}
            assert [server.post("/event", late).json()["expired"] for server in (old, new)] == [1, 1]
