"""The log under gevent: real threads sync and compact while greenlets append and read; neither halts the other."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import pytest

from event_log.files.store import FilesStore
from tests.e2e.load import SERIES, Load
from tests.redis_server import shared
from tests.servers import Server, until

pytestmark = pytest.mark.no_cover
CLIENTS = 12
BATCHES = 5
SECONDS = 1.5
"""Seconds for which clients write: a log is synced every second."""


class Probe:
    """Asks `/health/live` over one connection after the other: a worker that is held up would never answer."""

    def __init__(self, server: Server) -> None:
        self.answers = 0
        self._server = server
        self._stopped = Event()
        self._thread = Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            assert self._server.get("/health/live").status_code == 200
            self.answers += 1


# Under --preload the application is imported before gevent has patched threading.
@pytest.mark.parametrize(("sync", "args"), [("always", []), ("everysec", ["--preload"])], ids=["always", "preload"])
def test_a_worker_that_syncs_all_the_time_answers_and_keeps_all_it_acknowledged(sync: str, args: list[str]) -> None:
    env = {"TIDEMARK_SYNC": sync, "TIDEMARK_RETENTION": "0.1s", "TIDEMARK_KEEP_LAST": "1000000"}
    with Server(["-w", "1", *args], env) as server:
        load, probe = Load(server, CLIENTS), Probe(server)
        probe.start()
        with load.running():
            time.sleep(SECONDS)
            until(lambda: probe.answers > 3 and len(load.acknowledged) > CLIENTS, "answers while clients write")
        probe.stop()
        if sync == "always":
            server.kill()
            server.start()
        for series in SERIES:
            found = server.get(f"/statistics/{series}?last=1000000&include=sum").json()
            values = load.values(series, load.acknowledged)
            assert found["count"] == len(values)
            assert found["sum"] == sum(values)


def test_a_preloaded_worker_on_redis_registers_series_of_many_clients_at_once() -> None:
    env = {"TIDEMARK_LOG_URL": shared().url(f"name={secrets.token_hex(8)}")}
    with Server(["-w", "1", "--preload"], env) as server:

        def client(number: int) -> list[int]:
            batches = [{"series": f"s{number}-{batch}", "values": [1.0]} for batch in range(BATCHES)]
            return [server.post("/events", batch).status_code for batch in batches]

        with ThreadPoolExecutor(CLIENTS) as clients:
            answers = [status for found in clients.map(client, range(CLIENTS)) for status in found]
        assert answers == [201] * CLIENTS * BATCHES
        assert server.get("/statistics").json()["count"] == CLIENTS * BATCHES


def test_a_process_that_halts_while_it_writes_holds_up_only_writes(tmp_path: Path) -> None:
    env = {"TIDEMARK_LOG_URL": f"file:{tmp_path / 'log'}"}
    with Server(["-w", "1"], env) as server:
        assert server.post("/events", {"series": "a", "values": [1.0]}).status_code == 201
        other = FilesStore(tmp_path / "log", max_bytes=2**30)
        with other.open().appending.held():
            refused = server.post("/events", {"series": "a", "values": [2.0]})
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert "may be stopped; try again" in refused.json()["detail"]
            for _ in range(10):
                assert server.get("/health/live").status_code == 200
                assert server.get("/statistics/a").json()["count"] == 1
        assert server.post("/events", {"series": "a", "values": [2.0]}).status_code == 201
        assert server.get("/statistics/a").json()["count"] == 2
        other.close()
