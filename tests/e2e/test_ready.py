"""A server that starts is alive at once, and ready when it has caught up with its log."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import requests

from event_log.batch import Batch
from event_log.files.store import FilesStore
from event_log.log import Log
from event_log.rules import Rules
from tests.held import HELD
from tests.servers import Server, until
from times import HOUR, MINUTE, SECOND, wall_clock

pytestmark = pytest.mark.no_cover
RECORDS = 3
EACH = 10_000
POSTS = 40


def write_log(path: Path) -> None:
    """Some work for a view."""
    store = FilesStore(path, max_bytes=2**30, sync="never")
    log = Log(store)
    log.claim(Rules(HOUR, 1000, HOUR, MINUTE, 10_000, 10), "a start")
    rng = np.random.default_rng(1)
    names = [f"s{i}" for i in range(200)]
    start = wall_clock() - 50 * MINUTE
    for number in range(RECORDS):
        which = rng.integers(0, len(names), EACH).astype(np.uint32)
        times = start + number * SECOND + rng.integers(0, SECOND, EACH)
        log.append(Batch(names, which, times, rng.normal(size=EACH)))
    store.close()


def status(server: Server, path: str) -> int | None:
    """The status of an answer; None where there is none."""
    try:
        return server.get(path).status_code
    except requests.ConnectionError:
        return None


def test_a_worker_is_ready_once_it_has_caught_up(tmp_path: Path) -> None:
    write_log(tmp_path / "log")
    (tmp_path / "held").touch()
    env = {"TIDEMARK_LOG_URL": f"file:{tmp_path / 'log'}", HELD: str(tmp_path / "held")}
    with Server(["-w", "1"], env, "tests.held:app") as server:
        server.stop()
        (tmp_path / "held").unlink()
        starting = Thread(target=server.start)
        starting.start()
        try:
            first = until(lambda: status(server, "/health/ready"), "an answer", 300)
            assert (first, status(server, "/health"), status(server, "/health/live")) == (503, 200, 200)
        finally:
            (tmp_path / "held").touch()
            starting.join()
        assert server.get("/health/ready").status_code == 200
        assert server.get("/statistics").json()["count"] == RECORDS * EACH


def test_workers_follow_the_log_without_being_asked() -> None:
    """So that after a quiet hour the first question waits for no long replay."""
    values = np.random.default_rng(1).normal(size=EACH).tolist()
    with Server(["-w", "2"]) as server:
        server.wait_for_workers(2)
        until(lambda: server.ask_each_worker(lambda: status(server, "/health/ready")) == [200] * 2, "both to be ready")
        before = {pid: own_memory(pid) for pid in server.workers()}
        for _ in range(POSTS):
            assert server.post("/events", {"values": values}).status_code == 201  # a write asks no view
        held = 8 * POSTS * EACH
        until(lambda: all(own_memory(pid) > before[pid] + held for pid in server.workers()), "all views to grow")


def own_memory(pid: int) -> int:
    """The bytes a process holds for itself, without the pages of the log that it maps."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])
