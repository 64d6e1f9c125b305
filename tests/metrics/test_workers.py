"""Metrics of real workers: sums that a real Prometheus sees, and that never fall."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests import prometheus
from tests.access.guarded import TOKENS, write_keys
from tests.servers import CHECKOUT, Server, until
from tests.streaming.sse import Stream


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
    for round_ in range(2):
        for pid in two.workers() if round_ else []:
            os.kill(pid, signal.SIGKILL)
        two.wait_for_workers(2)
        for _ in range(25):
            until(lambda: was_acknowledged(two), "an acknowledgement")
        acknowledged += 25
        found = until(lambda: until_answered(two), "an answer")["tidemark_events_stored_total"]
        assert found >= max(seen, acknowledged)
        seen = found
    assert acknowledged == before + 50


def was_acknowledged(server: Server) -> bool:
    """Post one event. A worker that was killed may have counted what it has not acknowledged."""
    try:
        return server.post("/event", {"timestamp": now(), "value": 1}).status_code == 201
    except requests.ConnectionError:
        return False


def until_answered(server: Server) -> dict[str, float] | None:
    try:
        return sums(server)
    except requests.ConnectionError:
        return None


def now() -> str:
    return datetime.now(UTC).isoformat()


def test_recycled_workers_leave_no_trace_but_their_counts() -> None:
    with Server(["-w", "1", "--max-requests", "20"]) as server:
        [before] = server.wait_for_workers(1)
        for number in range(30):
            assert server.post("/events", {"values": [1.0, 2.0]}).status_code == 201, number
        assert sums(server)["tidemark_events_stored_total"] == 60
        until(lambda: before not in server.workers(), "the worker to be recycled")
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


def documented_configuration(token: Path, *servers: Server) -> str:
    """Return the documented scrapes, of these servers, with this token; often, and of an hour, so nothing expires."""
    [found] = re.findall(
        r"```yaml\n(scrape_configs:.*?)```", (CHECKOUT / "docs" / "operations.md").read_text(), re.DOTALL
    )
    for old, new in (
        ('"tidemark.example.com:5000"', ", ".join(f'"127.0.0.1:{server.port}"' for server in servers)),
        ("/etc/prometheus/tidemark-token", str(token)),
        ('["1m"]', '["1h"]'),
    ):
        assert old in found
        found = found.replace(old, new)
    return f"global: {{scrape_interval: 2s, scrape_timeout: 2s}}\n{found}"


def ask(url: str, expression: str) -> dict[str, float]:
    """Return what Prometheus says, by instance."""
    answer: Any = requests.get(f"{url}/api/v1/query", {"query": expression}, timeout=60).json()
    return {found["metric"].get("instance", ""): float(found["value"][1]) for found in answer["data"]["result"]}


def test_a_real_prometheus_scrapes_two_servers_as_readme_says(tmp_path: Path) -> None:
    keys, token = tmp_path / "keys.toml", tmp_path / "token"
    write_keys(keys)
    token.write_text(TOKENS["everything"])
    with ExitStack() as stack:
        env = {"TIDEMARK_KEYS": str(keys)}
        servers = [stack.enter_context(Server(["-w", "1"], env)) for _ in range(2)]
        headers = {"Authorization": f"Bearer {TOKENS['everything']}"}
        for count, server in enumerate(servers, 1):
            for _ in range(count):
                body = {"values": [1, 2, 6], "series": "web/a"}
                assert server.post("/events", body, headers=headers).status_code == 201
        url = stack.enter_context(prometheus.running(tmp_path, documented_configuration(token, *servers)))
        instances = [f"127.0.0.1:{server.port}" for server in servers]
        expected = dict(zip(instances, (3.0, 6.0), strict=True))
        windows = 'tidemark_window{job="tidemark-windows",series="web/a",window="1h",statistic="%s"}'
        for expression, figures in {
            "tidemark_events_stored_total": expected,
            windows % "count": expected,
            windows % "mean": dict.fromkeys(instances, 3.0),
            windows % "stddev": dict.fromkeys(instances, math.sqrt(14 / 3)),
            # A counter that came with the windows too would be there twice.
            "sum(tidemark_events_stored_total)": {"": 9.0},
            "count(tidemark_build_info)": {"": 2.0},
            "sum(up)": {"": 4.0},
        }.items():
            until(lambda: ask(url, expression) == figures, expression)  # noqa: B023  # it is called at once
        quantile = "histogram_quantile(0.99, sum by (le) (tidemark_request_seconds_bucket))"
        assert until(lambda: ask(url, quantile), quantile)[""] > 0
    assert str(tmp_path) not in running()


def test_promtool_asks_us_as_it_asks_prometheus(two: Server) -> None:
    assert two.post("/events", {"series": "tool", "values": [1, 2, 6]}).status_code == 201

    def promtool(*arguments: str) -> str:
        kind, *rest = arguments
        command = [prometheus.required("promtool"), "query", kind, *rest[:-1], f"{two.url}/prometheus", rest[-1]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert '{series="tool"} => 3 @' in promtool("instant", 'avg_over_time(tidemark{series="tool"}[10m])')
    assert "6 @[" in promtool("range", 'max_over_time(tidemark{series="tool"}[10m])')
    assert "tool" in promtool("labels", "series").splitlines()
    command = [prometheus.required("promtool"), "query", "series", "--match=tidemark{series=~'t.*l'}"]
    done = subprocess.run([*command, f"{two.url}/prometheus"], capture_output=True, text=True, timeout=60)
    assert done.stdout == '{__name__="tidemark", series="tool"}\n', done.stderr


def running() -> list[str]:
    """Return the working folder of each Prometheus of this machine."""
    found = psutil.process_iter(["cwd", "name"])
    return [str(process.info["cwd"]) for process in found if process.info["name"] == "prometheus"]
