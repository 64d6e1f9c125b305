"""Files in deploy/ for Prometheus and Grafana: they name only metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from api.context import context
from settings import Settings
from tests.conftest import FakeClock
from tests.prometheus import required
from tests.servers import CHECKOUT
from times import SECOND

from .test_route import WHEN_SAID

ALERTS = CHECKOUT / "deploy/alerts.yml"
DASHBOARD = CHECKOUT / "deploy/grafana-dashboard.json"
NAME = re.compile(r"\btidemark_\w+")
PARTS = re.compile(r"_(bucket|count|sum)$")
LABEL = re.compile(r"(\w+)[=!]~?\"")
SELECTOR = re.compile(r"(tidemark_\w+)\{([^}]*)\}")


def expressions() -> Iterator[str]:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


def panels() -> list[Any]:
    found: list[Any] = json.loads(DASHBOARD.read_text())["panels"]
    return found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "alerts.toml"
    file.write_text('[[alert]]\nname = "quiet"\nabsent = "5m"\n')
    return Settings(alerts=str(file))


@pytest.fixture
def samples(app: Flask, client: FlaskClient, clock: FakeClock) -> dict[str, set[str]]:
    """The names of samples, and the labels that each has."""
    client.post("/events", json={"values": [1]})
    context(app).meter.notified("ops", "sent", 1)
    clock.advance(SECOND)
    while context(app).service.tick():
        pass
    found: dict[str, set[str]] = {name: set() for name in WHEN_SAID}
    for family in text_string_to_metric_families(client.get("/metrics").get_data(as_text=True)):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_name_and_label_is_one(samples: dict[str, set[str]]) -> None:
    found = list(expressions())
    assert len(found) > 15
    for expression in found:
        assert set(NAME.findall(expression)) <= samples.keys()
        for name, selectors in SELECTOR.findall(expression):
            labels = set(LABEL.findall(selectors))
            assert labels <= samples[name] | {"instance", "job"}, expression


def test_promtool_takes_the_alerts() -> None:
    done = subprocess.run([required("promtool"), "check", "rules", ALERTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_promtool_takes_the_expressions_of_the_dashboard(tmp_path: Any) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "1m")}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([required("promtool"), "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_shows_every_metric(samples: dict[str, set[str]]) -> None:
    shown = {re.sub(PARTS, "", name) for name in NAME.findall(DASHBOARD.read_text())}
    families = {re.sub(PARTS, "", name) for name in samples}
    assert families <= shown
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))


def test_the_dashboard_asks_for_the_counters_of_one_job() -> None:
    found = [target["expr"] for panel in panels() for target in panel["targets"] if "${datasource}" in str(panel)]
    assert len(found) > 15
    for expression in found:
        for _, selectors in SELECTOR.findall(expression):
            assert 'job="$job"' in selectors, expression
        assert len(SELECTOR.findall(expression)) == len(NAME.findall(expression))


def test_the_dashboard_shows_windows_of_our_own_source(client: FlaskClient) -> None:
    client.post("/events", json={"values": [1, 3], "series": "web/a"})
    found = [target["expr"] for panel in panels() for target in panel["targets"] if "${events}" in str(panel)]
    assert len(found) == 3
    for expression, value in zip(found, (2 / 60, 2, 2.98), strict=True):
        query = {"query": expression.replace("$series", "(web/a|b)")}
        [row] = client.get("/prometheus/api/v1/query", query_string=query).get_json()["data"]["result"]
        assert row["metric"] == {"series": "web/a"}
        assert float(row["value"][1]) == pytest.approx(value)
