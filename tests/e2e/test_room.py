"""A server whose log cannot grow: writes are refused with 503, all else goes on, and it resumes by itself."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from tests.e2e.model import position
from tests.servers import Server, until

EACH = 4000
BATCH = {"series": "a", "values": [float(i) for i in range(EACH)]}
MIB = 1024**2


def fill(server: Server) -> tuple[int, requests.Response]:
    """Post until a batch is refused; how many were taken, and the refusal."""
    taken = 0
    while (answer := server.post("/events", BATCH)).status_code == 201:
        taken += 1
    return taken, answer


def assert_refused(answer: requests.Response, reason: str) -> None:
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert reason in answer.json()["detail"]


def assert_reads_go_on(server: Server, count: int) -> None:
    answer = server.get("/statistics/a?last=100000000")
    assert (answer.status_code, answer.json()["count"], position(answer)) == (200, count, count)


def unhealthy(server: Server) -> Callable[[], bool]:
    """Return whether every worker that is asked says so, on both paths."""
    return lambda: {server.get(path).status_code for path in ("/health", "/health/ready")} == {503}


def healthy(server: Server) -> bool:
    return {server.get(path).status_code for path in ("/health", "/health/ready")} == {200}


def assert_resumes(server: Server) -> None:
    until(lambda: server.post("/events", BATCH).status_code == 201, "a write to be taken")
    assert server.ask_each_worker(lambda: until(lambda: healthy(server), "health")) == [True] * len(server.workers())
    assert server.ask_each_worker(lambda: server.post("/events", BATCH).status_code) == [201] * len(server.workers())


def test_a_full_log_resumes_once_events_have_expired() -> None:
    env = {"TIDEMARK_LOG_MAX_BYTES": str(MIB), "TIDEMARK_RETENTION": "15s", "TIDEMARK_KEEP_LAST": "10"}
    with Server(["-w", "2"], env) as server:
        server.wait_for_workers(2)
        _, refusal = fill(server)
        assert_refused(refusal, "TIDEMARK_LOG_MAX_BYTES")
        assert server.get("/statistics/a?last=10").json()["count"] == 10
        until(lambda: is_full(server), "both workers to be unhealthy, before the events expire")
        assert_resumes(server)
        assert server.get("/statistics/a?last=10").json() == {
            "count": 10,
            "min": EACH - 10.0,
            "max": EACH - 1.0,
            "mean": EACH - 5.5,
        }


def is_full(server: Server) -> bool:
    """Return whether both workers say so. On a slow machine all may have expired meanwhile, so it is filled again."""
    fill(server)
    told = server.ask_each_worker(lambda: "is full" in server.get("/health").json().get("detail", ""))
    return told == server.ask_each_worker(unhealthy(server)) == [True, True]


def test_files_that_may_not_be_written_beyond_a_size() -> None:
    """A limit stands for a quota: every worker meets it, 0 at its next write."""
    with Server(["-w", "2"]) as server:
        workers = server.wait_for_workers(2)
        for allowed in (MIB, 0):
            assert server.ask_each_worker(lambda: server.post("/events", BATCH).status_code) == [201, 201]
            stored = server.get("/statistics/a?last=100000000").json()["count"]
            limit(workers, allowed)
            taken, refusal = fill(server)
            assert_refused(refusal, "is full; make room on it")
            refusals = server.ask_each_worker(lambda: fill(server))
            taken += sum(more for more, _ in refusals)
            assert_reads_go_on(server, stored + EACH * taken)
            until(lambda: server.ask_each_worker(unhealthy(server)) == [True, True], "both workers to be unhealthy")
            assert "is full; make room on it" in server.get("/health").json()["detail"]
            limit(workers, resource.RLIM_INFINITY)
            assert_resumes(server)
            assert server.workers() == workers


def limit(pids: list[int], size: int) -> None:
    """Limit the size in bytes of a file that these processes may write."""
    for pid in pids:
        psutil.Process(pid).rlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def may_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


@contextmanager
def small_disk(path: Path) -> Iterator[Callable[[], object]]:
    """A file system of 3 MiB mounted there; what it yields makes it larger."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", path], check=True)
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=8m", path], check=True)
    finally:
        subprocess.run(["umount", path], check=True)


@contextmanager
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[list[int]], object]]]:
    """Yield a folder for a log of little room, and what gives it more: a small disk, where one can be mounted."""
    if may_mount():
        with small_disk(tmp_path / "disk") as enlarge:
            yield tmp_path / "disk" / "log", lambda pids: enlarge()
    else:
        yield tmp_path / "log", lambda pids: limit(pids, resource.RLIM_INFINITY)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    env = {"TIDEMARK_LOG_MAX_BYTES": str(8 * MIB)}  # in segments of 1 MiB
    with disk(tmp_path) as (path, give_room), Server(["-w", "2"], env | {"TIDEMARK_LOG_URL": f"file:{path}"}) as server:
        workers = server.wait_for_workers(2)
        if not may_mount():
            limit(workers, MIB - MIB // 8)
        taken, refusal = fill(server)
        assert taken > 10
        assert_refused(refusal, f"the disk of the log at {path} is full; make room on it")
        assert_reads_go_on(server, EACH * taken)
        give_room(workers)
        assert_resumes(server)
        counts = server.ask_each_worker(lambda: server.get("/statistics/a?last=100000000").json()["count"])
        assert counts == [counts[0]] * 2
        server.restart(["-w", "1"])
        assert server.get("/statistics/a?last=100000000").json()["count"] == counts[0]
        server.stop()
