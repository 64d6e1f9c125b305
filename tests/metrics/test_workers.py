"""Metrics of real workers: sums that a real Prometheus sees, and that never fall."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.access.guarded import TOKENS, write_keys
from tests.prometheus import required
from tests.servers import Server, reserve_port, until
from tests.streaming.sse import Stream

SCRAPE = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
  - job_name: tidemark
    authorization: {credentials_file: token}
    static_configs: [{targets: %s}]
"""


def sums(server: Server) -> dict[str, float]:
    """All sums, by name, over their labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(server.get("/metrics").text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def stored(server: Server) -> float:
    return sums(server).get("tidemark_events_stored_total", 0.0)


@pytest.fixture(scope="module")
def two() -> Iterator[Server]:
    with Server(["-w", "2"]) as server:
        yield server


def test_every_worker_tells_the_sums_of_all(two: Server) -> None:
    before = stored(two)
    two.ask_each_worker(lambda: two.post("/events", {"values": [1, 2, 3]}).status_code)
    assert two.ask_each_worker(lambda: stored(two)) == [before + 6.0] * 2


def test_nothing_that_was_acknowledged_is_uncounted_when_workers_are_killed(two: Server) -> None:
    before = acknowledged = stored(two)
    seen = 0.0
    for round_ in range(3):
        for pid in two.workers() if round_ else []:
            os.kill(pid, signal.SIGKILL)
        two.wait_for_workers(2)
        for _ in range(25):
            try:
                acknowledged += two.post("/event", {"timestamp": now(), "value": 1}).status_code == 201
            except requests.ConnectionError:
                continue  # to a worker that was killed: it was not acknowledged, but may be counted
        found = until(lambda: until_answered(two), "an answer")["tidemark_events_stored_total"]
        assert found >= max(seen, acknowledged)
        seen = found
    assert acknowledged > before + 30


def until_answered(server: Server) -> dict[str, float] | None:
    try:
        return sums(server)
    except requests.ConnectionError:
        return None


def now() -> str:
    return datetime.now(UTC).isoformat()


def test_recycled_workers_leave_no_trace_but_their_counts() -> None:
    with Server(["-w", "2", "--max-requests", "20"]) as server:
        for number in range(50):
            assert server.post("/events", {"values": [1.0, 2.0]}).status_code == 201, number
        assert sums(server)["tidemark_events_stored_total"] == 100
        files = {path.name for path in server.directory.iterdir()}
        assert files == {"printed", "log"}


def test_open_streams_are_those_of_living_workers(two: Server) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Stream(two.url + "/stream"))
        until(lambda: sums(two)["tidemark_open_streams"] == 3, "three open streams")
        for pid in two.workers():
            os.kill(pid, signal.SIGKILL)
    until(lambda: (found := until_answered(two)) and found["tidemark_open_streams"] == 0, "no open stream")


@contextmanager
def scraping(directory: Path, *servers: Server) -> Iterator[str]:
    """A Prometheus that scrapes these servers; its URL."""
    targets = str([f"127.0.0.1:{server.port}" for server in servers])
    (directory / "prometheus.yml").write_text(SCRAPE % targets)
    (directory / "token").write_text(TOKENS["everything"])
    with reserve_port() as reservation:
        port = reservation.getsockname()[1]
        command = [required("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: is_ready(url), "Prometheus to be ready")
            yield url
        finally:
            process.terminate()
            process.wait(20)


def is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


def ask(url: str, expression: str) -> dict[str, float]:
    """What Prometheus says, by instance."""
    answer: Any = requests.get(f"{url}/api/v1/query", {"query": expression}, timeout=60).json()
    return {found["metric"].get("instance", ""): float(found["value"][1]) for found in answer["data"]["result"]}


def test_a_real_prometheus_scrapes_two_servers(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    write_keys(keys)
    with ExitStack() as stack:
        env = {"TIDEMARK_KEYS": str(keys)}
        servers = [stack.enter_context(Server(["-w", "1"], env)) for _ in range(2)]
        url = stack.enter_context(scraping(tmp_path, *servers))
        headers = {"Authorization": f"Bearer {TOKENS['everything']}"}
        for count, server in enumerate(servers, 1):
            for _ in range(count):
                assert server.post("/events", {"values": [1, 2, 3]}, headers=headers).status_code == 201
        instances = [f"127.0.0.1:{server.port}" for server in servers]
        expected = dict(zip(instances, (3.0, 6.0), strict=True))
        until(lambda: ask(url, "tidemark_events_stored_total") == expected, "both to be scraped")
        assert ask(url, "sum(tidemark_events_stored_total)") == {"": 9.0}
        until(lambda: ask(url, "up") == dict.fromkeys(instances, 1.0), "both to be up")
        quantile = "histogram_quantile(0.99, sum by (le) (tidemark_request_seconds_bucket))"
        assert 0 < ask(url, quantile)[""] <= 2.5
    assert str(tmp_path) not in running()


def running() -> list[str]:
    """Where each Prometheus of this machine runs."""
    found = psutil.process_iter(["cwd", "name"])
    return [str(process.info["cwd"]) for process in found if process.info["name"] == "prometheus"]
