"""The server that other tests rely on: it keeps its events, shows its workers, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

import psutil
import pytest

from tests.servers import Server, ServerFailed

EVENTS = {"series": "AAPL", "values": [1.0, 2.0, 4.0]}


def test_events_outlast_a_kill_and_each_worker_answers_for_itself_while_none_is_halted() -> None:
    """One that is halted may hold the log's lock, for which the rest would wait."""
    with Server(["-w", "1"], application="tests.named:app") as server:
        assert server.post("/events", EVENTS).status_code == 201
        server.kill()
        assert server.workers() == []
        server.restart(["-w", "2"])
        workers = server.wait_for_workers(2)

        def ask() -> tuple[set[int], set[str]]:
            answers = [server.get("/statistics/AAPL") for _ in range(5)]
            assert {answer.json()["count"] for answer in answers} == {3}
            states = {str(psutil.Process(pid).status()) for pid in workers}
            return {int(answer.headers["Worker"]) for answer in answers}, states

        answers = server.ask_each_worker(ask)
    assert [pids for pids, _ in answers] == [{pid} for pid in workers]
    assert all(psutil.STATUS_STOPPED not in states for _, states in answers)


def test_nothing_is_left_where_a_test_fails_and_only_the_master_was_killed() -> None:
    server = Server(["-w", "1"])

    def fail() -> NoReturn:
        server.wait_for_workers(1)
        os.kill(server.process.pid, signal.SIGKILL)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), server:
        fail()
    assert server.process.poll() is not None
    assert server.workers() == []
    assert not server.directory.exists()


def test_a_start_that_fails_shows_why() -> None:
    with pytest.raises(ServerFailed, match="TIDEMARK_MAX_BATCH='many'"), Server(env={"TIDEMARK_MAX_BATCH": "many"}):
        pass
