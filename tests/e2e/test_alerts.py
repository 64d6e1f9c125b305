"""Alerts of three workers, whoever of them is killed; receivers in every state; a real Alertmanager."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import alertmanager
from tests.alerts.receiving import Receiving, receiving
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
KINDS = ("refuse", "hang", "large", "away")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiving]:
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a real Alertmanager answers, that tells nobody."""
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
def three(tmp_path_factory: pytest.TempPathFactory, receiver: Receiving, manager: str) -> Iterator[Server]:
    """Three workers with a rule for each receiver."""
    path = tmp_path_factory.mktemp("rules") / "alerts.toml"
    hooks = [f'[[receiver]]\nname = "{name}"\nwebhook = "{receiver.url}/{name}"\n' for name in ("ops", *KINDS)]
    am = f'[[receiver]]\nname = "am"\nalertmanager = "{manager}"\n'
    rules = [RULE.format(series=name, to=name).replace("high", f"{name} is high") for name in ("ops", "am", *KINDS)]
    path.write_text("".join([*hooks, am, *rules]))
    with Server(["-w", "3"], {"TIDEMARK_ALERTS": str(path)}) as server:
        server.wait_for_workers(3)
        yield server


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


def evaluator(server: Server) -> int | None:
    """The worker that said last that it looks at alerts, if it lives."""
    lines = [json.loads(line) for line in server.output().splitlines() if "looks at alerts" in line]
    pid: int | None = lines[-1]["process"] if lines else None
    return pid if pid in server.workers() else None


def test_receivers_in_trouble_hold_up_nobody(three: Server, receiver: Receiving) -> None:
    for name in ("ops", *KINDS):
        post(three, name, 1.0)
    for name in ("ops", *KINDS):
        until(lambda name=name: receiver.at(f"/{name}"), f"{name} to be told", 120)  # type: ignore[misc]
    until(lambda: len(receiver.at("/refuse")) > 1, "it to be sent again", 120)
    assert len({taken.position for taken in receiver.at("/refuse")}) == 1
    assert receiver.at("/elsewhere") == []
    metrics = until(lambda: counted(three, "large", "sent") and three.get("/metrics").text, "all to be counted", 120)
    assert 'tidemark_alerts{name="ops is high",state="firing"} 1.0' in metrics
    assert receiver.url not in three.output()


def counted(server: Server, receiver: str, outcome: str) -> bool:
    labels = f'{{outcome="{outcome}",receiver="{receiver}"}}'
    return f"tidemark_notifications_total{labels}" in server.get("/metrics").text


def test_an_alertmanager_shows_an_alert_until_it_is_resolved(three: Server, manager: str) -> None:
    def shown() -> list[Any]:
        found: list[Any] = requests.get(f"{manager}/api/v2/alerts", timeout=60).json()
        return found

    post(three, "am", 1.0)
    [alert] = until(shown, "Alertmanager to show it", 120)
    assert alert["labels"] == {"alertname": "am is high", "series": "am", "severity": "page"}
    assert alert["annotations"]["value"] == "1"
    post(three, "am", 0.0)
    until(lambda: not shown(), "it to be resolved", 120)


@pytest.mark.soak(kills=(2, 100))
def test_each_change_is_told_in_order_whoever_is_killed(three: Server, receiver: Receiving, kills: int) -> None:
    post(three, "ops", 0.0)
    until(lambda: state(three, "ops") == "inactive", "a calm beginning", 120)
    until(lambda: receiver.at("/ops")[-1:] and receiver.at("/ops")[-1].json["status"] == "resolved", "word of it", 120)
    before = receiver.at("/ops")[-1].position
    for number in range(kills):
        fires = number % 2 == 0
        pid = until(lambda: evaluator(three), "somebody to look at alerts", 120)
        post(three, "ops", float(fires))
        os.kill(pid, signal.SIGKILL)
        until(lambda fires=fires: state(three, "ops") == ("firing" if fires else "inactive"), "the change", 120)  # type: ignore[misc]
    expected = [("firing", "resolved")[number % 2] for number in range(kills)]
    until(lambda: len(told(receiver, before)) >= kills, "all to be told", 120)
    assert [status for _, status in told(receiver, before)] == expected
    positions = [position for position, _ in told(receiver, before)]
    assert positions == sorted(positions)
    three.wait_for_workers(3)
    until(lambda: agree(three), "all workers to be asked at one position", 120)


def told(receiver: Receiving, before: int) -> list[tuple[int, str]]:
    """Each change behind a position, once, in the order in which it was told first: some are told again."""
    found = dict.fromkeys((taken.position, taken.json["status"]) for taken in receiver.at("/ops"))
    return [(position, status) for position, status in found if position > before]


def agree(server: Server) -> bool:
    """Return whether all workers were at one position when asked; they must then have told the same."""
    found = server.ask_each_worker(lambda: (answer := server.get("/alerts")).headers["Log-Position"] + answer.text)
    positions = {text.split("{", 1)[0] for text in found}
    if len(positions) > 1:
        return False
    assert len(set(found)) == 1
    return True


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
