"""The server that other tests rely on: it keeps its events, shows its workers, and leaves nothing behind."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.servers import Server, ServerFailed

EVENTS = {"series": "AAPL", "values": [1.0, 2.0, 4.0]}


@pytest.fixture
def server() -> Server:
    return Server(["-w", "1"])


def test_events_outlast_kill_and_restart_with_other_workers(server: Server) -> None:
    with server:
        assert server.post("/events", EVENTS).status_code == 201
        server.kill()
        assert server.workers() == []
        server.start()
        server.restart(["-w", "2"])
        server.wait_for_workers(2)
        answers = server.ask_each_worker(lambda: server.get("/statistics/AAPL").json())
        assert answers == 2 * [{"count": 3, "min": 1.0, "max": 4.0, "mean": 7 / 3}]


@pytest.mark.parametrize("way", [[], ["-k", "sync"]], ids=["own", "sync"])
def test_each_worker_answers_for_itself_while_none_is_halted(way: list[str]) -> None:
    """One that is halted may hold the log's lock, for which the rest would wait."""
    with Server(["-w", "2", *way], application="tests.named:app") as server:
        workers = server.wait_for_workers(2)

        def ask() -> tuple[set[int], set[str]]:
            answers = [server.post("/events", EVENTS), *(server.get("/statistics/AAPL") for _ in range(5))]
            states = {str(psutil.Process(pid).status()) for pid in workers}
            return {int(answer.headers["Worker"]) for answer in answers}, states

        answers = server.ask_each_worker(ask)
    assert [pids for pids, _ in answers] == [{pid} for pid in workers]
    assert all(psutil.STATUS_STOPPED not in states for _, states in answers)


def test_nothing_is_left_when_only_the_master_was_killed(server: Server) -> None:
    with server:
        server.wait_for_workers(1)
        os.kill(server.process.pid, signal.SIGKILL)
    assert server.workers() == []
    assert not server.directory.exists()


def test_nothing_is_left_when_the_test_fails(server: Server) -> None:
    with pytest.raises(ZeroDivisionError), server:
        raise ZeroDivisionError
    assert server.process.poll() is not None
    assert server.workers() == []


def test_a_start_that_fails_shows_why() -> None:
    with pytest.raises(ServerFailed, match="TIDEMARK_MAX_BATCH='many'"), Server(env={"TIDEMARK_MAX_BATCH": "many"}):
        pass
