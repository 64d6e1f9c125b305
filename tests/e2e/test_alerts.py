"""Alerts of four workers on two hosts, whoever of them is killed; receivers in every state; a real Alertmanager."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from alerts.rows import row_key
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from event_service import EventService
from settings import Settings
from tests import alertmanager
from tests.alerts.changes import follow
from tests.alerts.receiving import Receiving, receiving
from tests.redis_server import shared
from tests.servers import Server, reserve_port, until

pytestmark = pytest.mark.no_cover
RULE = """\
[[alert]]
name = "high"
series = "{series}"
statistic = "last"
window = "1h"
above = 0.5
labels = {{ severity = "page" }}
to = ["{to}"]
"""
OPS = row_key(("ops is high", "ops"))
KINDS = ("refuse", "hang", "large", "away")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiving]:
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real Alertmanager that tells nobody."""
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "am.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with reserve_port() as reservation:  # until the end: nobody else is given the port
        port = reservation.getsockname()[1]
        command = [str(alertmanager.prepare(folder)), f"--config.file={folder}/am.yml", f"--storage.path={folder}/data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
        with (folder / "printed").open("wb") as printed:
            process = subprocess.Popen(command, stdout=printed, stderr=printed, cwd=folder)
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: answers(url) or process.poll() is not None, "Alertmanager to answer", 120)
            assert process.poll() is None, (folder / "printed").read_text()
            yield url
        finally:
            process.kill()
            process.wait(60)


def answers(url: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{url}/-/ready", timeout=5).status_code == 200
    return False


@pytest.fixture(scope="module")
def log_url() -> str:
    """A log of its own on a real Redis."""
    return shared().url(f"name={secrets.token_hex(8)}")


@pytest.fixture(scope="module")
def hosts(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiving, manager: str, log_url: str
) -> Iterator[list[Server]]:
    """Two hosts of two workers each on one log, with a rule for each receiver."""
    path = tmp_path_factory.mktemp("rules") / "alerts.toml"
    hooks = [f'[[receiver]]\nname = "{name}"\nwebhook = "{receiver.url}/{name}"\n' for name in ("ops", *KINDS)]
    am = f'[[receiver]]\nname = "am"\nalertmanager = "{manager}"\n'
    rules = [RULE.format(series=name, to=name).replace("high", f"{name} is high") for name in ("ops", "am", *KINDS)]
    path.write_text("".join([*hooks, am, *rules]))
    env = {"TIDEMARK_ALERTS": str(path), "TIDEMARK_LOG_URL": log_url}
    with ExitStack() as stack:
        servers = [stack.enter_context(Server(["-w", "2"], env)) for _ in range(2)]
        for server in servers:
            server.wait_for_workers(2)
        yield servers


def post(server: Server, series: str, value: float) -> None:
    """Store an event; a connection to a worker that was just killed is tried again."""

    def stored() -> bool:
        with suppress(requests.ConnectionError):
            return server.post("/event", {"series": series, "value": value}).status_code == 201
        return False

    until(stored, "an event to be stored")


def state(server: Server, series: str) -> Any:
    with suppress(requests.ConnectionError):
        return server.get(f"/alerts?series={series}").json()["alerts"][0]["state"]
    return None


def evaluator(hosts: Sequence[Server], killed: Container[int]) -> int | None:
    """The worker that said last that it looks at alerts, if it lives: a killed one is there until it is reaped."""
    lines = [json.loads(line) for host in hosts for line in host.output().splitlines() if "looks at alerts" in line]
    pid: int | None = max(lines, key=lambda line: line["time"])["process"] if lines else None
    return pid if pid not in killed and any(pid in host.workers() for host in hosts) else None


def test_receivers_in_trouble_hold_up_nobody(hosts: Sequence[Server], receiver: Receiving) -> None:
    for name in ("ops", *KINDS):
        post(hosts[0], name, 1.0)
    for name in ("ops", *KINDS):
        until(lambda name=name: receiver.at(f"/{name}"), f"{name} to be told", 120)  # type: ignore[misc]
    until(lambda: len(receiver.at("/refuse")) > 1, "it to be sent again", 120)
    assert len({taken.position for taken in receiver.at("/refuse")}) == 1
    assert receiver.at("/elsewhere") == []
    until(lambda: any(counted(host, "large", "sent") for host in hosts), "all to be counted", 120)
    gauge = 'tidemark_alerts{name="ops is high",state="firing"} 1.0'
    until(lambda: all(gauge in host.get("/metrics").text for host in hosts), "both hosts to tell how many fire", 120)
    assert all(receiver.url not in host.output() for host in hosts)


def counted(server: Server, receiver: str, outcome: str) -> bool:
    labels = f'{{outcome="{outcome}",receiver="{receiver}"}}'
    return f"tidemark_notifications_total{labels}" in server.get("/metrics").text


def test_an_alertmanager_shows_an_alert_until_it_is_resolved(hosts: Sequence[Server], manager: str) -> None:
    def shown() -> list[Any]:
        found: list[Any] = requests.get(f"{manager}/api/v2/alerts", timeout=60).json()
        return found

    post(hosts[0], "am", 1.0)
    [alert] = until(shown, "Alertmanager to show it", 120)
    assert alert["labels"] == {"alertname": "am is high", "series": "am", "severity": "page"}
    assert alert["annotations"]["value"] == "1"
    post(hosts[1], "am", 0.0)
    until(lambda: not shown(), "it to be resolved", 120)


@pytest.fixture
def logged(log_url: str) -> Iterator[Callable[[], list[tuple[int, str]]]]:
    """Yield a reader of what the log has of the alert of `ops`: position and state of each change that readers see."""
    store = RedisStore(parse_redis_url(log_url), max_bytes=2**30)
    service = EventService(store, Settings())
    seen = follow(service)

    def read() -> list[tuple[int, str]]:
        with service.level():
            return list(dict.fromkeys((position, state) for key, state, position in seen if key == OPS))

    yield read
    service.close()


@pytest.mark.soak(kills=(2, 100))
def test_each_change_happens_once_and_is_told_whoever_is_killed(
    hosts: Sequence[Server], receiver: Receiving, logged: Callable[[], list[tuple[int, str]]], kills: int
) -> None:
    post(hosts[0], "ops", 0.0)
    until(lambda: state(hosts[1], "ops") == "inactive", "a calm beginning", 120)
    position = int(hosts[1].get("/alerts?series=ops").headers["Log-Position"])
    logged()
    killed = set[int]()
    for number in range(kills):
        fires = number % 2 == 0
        pid = until(lambda: evaluator(hosts, killed), "somebody to look at alerts", 120)
        post(hosts[number % 2], "ops", float(fires))
        killed.add(pid)
        with suppress(ProcessLookupError):  # on a machine that hangs for long gunicorn kills a worker itself
            os.kill(pid, signal.SIGKILL)
        wanted = "firing" if fires else "inactive"
        until(lambda wanted=wanted: state(hosts[0], "ops") == wanted, "the change", 120)  # type: ignore[misc]
        logged()
    changes = [change for change in logged() if change[0] > position]
    assert [state for _, state in changes] == [("firing", "inactive")[number % 2] for number in range(kills)]
    words = [(at, "firing" if state == "firing" else "resolved") for at, state in changes]
    until(lambda: len(told(receiver, position)) >= kills, "all to be told", 120)
    assert told(receiver, position) == words
    for host in hosts:
        host.wait_for_workers(2)
    until(lambda: agree(hosts), "all workers to be asked at one position", 120)


def told(receiver: Receiving, before: int) -> list[tuple[int, str]]:
    """Each change behind a position, once, in the order in which it was told first: some are told again."""
    found = dict.fromkeys((taken.position, taken.json["status"]) for taken in receiver.at("/ops"))
    return [(position, status) for position, status in found if position > before]


def agree(hosts: Sequence[Server]) -> bool:
    """Return whether all workers were at one position when asked; those that are at one must tell the same."""
    found = defaultdict[str, set[str]](set)
    for host in hosts:

        def ask(host: Server = host) -> None:
            answer = host.get("/alerts")
            found[answer.headers["Log-Position"]].add(answer.text)

        host.ask_each_worker(ask)
    assert all(len(texts) == 1 for texts in found.values())
    return len(found) == 1


def test_a_file_that_is_broken_stops_the_start_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text('[[receiver]]\nname = "ops"\nwebhook = "secret"\n')
    command = [sys.executable, "-m", "gunicorn", "--check-config", "app:app"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PATH": "", "TIDEMARK_ALERTS": str(path)}, timeout=120
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("tidemark: TIDEMARK_ALERTS: ")
    assert "line 3" in line
    assert "secret" not in line
