"""Somebody accepts connections while workers are replaced, and a worker that is to end does so."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from serving.handover import Handover
from serving.worker import Worker
from tests.servers import Server, until

GATE = "GATE"
"""Names the file that workers started later wait for."""
ENDS_SECONDS = 2.0
"""A worker that has been sent SIGTERM accepts no connection after a second."""


class Gated(Worker):
    """A worker that starts only once there is a file, unless it is the first."""

    handover_seconds = 600.0

    def init_process(self) -> None:
        """As ever, behind the gate."""
        while self.age > 1 and not Path(os.environ[GATE]).exists():
            time.sleep(0.02)
        super().init_process()


class Hasty(Gated):
    """One that does not wait for the others for long."""

    handover_seconds = 0.2


def gated(folder: Path, worker: type[Worker], *args: str, log: str = "") -> Server:
    env = {GATE: str(folder / "gate")} | ({"TIDEMARK_LOG_URL": log} if log else {})
    return Server(["-w", "1", "-k", f"{worker.__module__}.{worker.__name__}", *args], env)


def reload(server: Server) -> int:
    """Have the workers replaced; return the old one once the new one is there, which is not ready."""
    [old] = server.wait_for_workers(1)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_workers(2)
    return old


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid)


@pytest.mark.soak(preload=(range(1), range(2)))
def test_old_workers_answer_until_the_new_ones_are_ready_or_a_second_signal(tmp_path: Path, preload: int) -> None:
    gate = tmp_path / "gate"
    with gated(tmp_path, Gated, *["--preload"][:preload]) as server:
        old = reload(server)
        begun = time.monotonic()
        while time.monotonic() - begun < ENDS_SECONDS:
            assert server.post("/events", {"values": [1]}).status_code == 201
            time.sleep(0.05)
        gate.touch()
        until(lambda: ended(old), "the end of the old worker")
        assert server.get("/statistics").status_code == 200
        gate.unlink()
        old = reload(server)
        assert server.get("/statistics").status_code == 200  # by the old one, which has its signal by then, or gets it

        def is_gone() -> bool:
            with suppress(ProcessLookupError):
                os.kill(old, signal.SIGTERM)
            return ended(old)

        until(is_gone, "the end of the old worker")
        gate.touch()
        assert server.get("/statistics").status_code == 200
        assert server.stop() == 0


@pytest.mark.no_cover
@pytest.mark.parametrize(("worker", "log"), [(Hasty, ""), (Gated, "memory:")], ids=["too slow", "memory"])
def test_an_old_worker_ends_without_its_successor(tmp_path: Path, worker: type[Worker], log: str) -> None:
    with gated(tmp_path, worker, log=log) as server:
        old = reload(server)
        until(lambda: ended(old), "the end of the old worker")
        (tmp_path / "gate").touch()
        assert server.get("/statistics").status_code == 200


@pytest.fixture
def handover() -> Handover:
    return Handover()


def test_nobody_is_replaced_before_a_reload(handover: Handover) -> None:
    assert not handover.is_replaced(1)


def test_a_reload_is_complete_once_all_its_workers_are_ready(handover: Handover) -> None:
    for last in (2, 5000, 5002):
        handover.begin(last, 2)
        assert [handover.is_replaced(age) for age in (last - 1, last, last + 1)] == [True, True, False]
        handover.tell_ready(last)  # one that is replaced while it starts
        handover.tell_ready(last + 1)
        assert not handover.is_complete()
        handover.tell_ready(last + 2)
        assert handover.is_complete()
