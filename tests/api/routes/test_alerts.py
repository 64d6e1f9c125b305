"""`GET /alerts`, and the file behind it."""

from __future__ import annotations

from cProfile import Profile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import app as composition
from access.keys import hash_of, new_token
from api.context import context
from event_log.memory_store import MemoryStore
from settings import Settings
from tests.api.problems import assert_problem
from tests.conftest import FakeClock
from times import SECOND
from watched import file as watched_file

RULE = '[[alert]]\nname = "slow"\nseries = "web/*"\nstatistic = "mean"\nwindow = "10s"\nabove = 1.0\n'
ONE_PAGE = {"next": None, "left_out": 0}
MORE = 'labels = { severity = "page" }\nsummary = "{series}: {value}"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alerts.toml"
    path.write_text(RULE + MORE)
    return path


@pytest.fixture
def settings(file: Path) -> Settings:
    return Settings(alerts=str(file))


def tick(app: Flask, clock: FakeClock) -> None:
    clock.advance(SECOND)
    while context(app).service.tick():
        pass


def test_alerts_are_told_with_their_states(app: Flask, client: FlaskClient, clock: FakeClock) -> None:
    context(app).service.add("web/a", None, 2.5)
    context(app).service.add("web/b", None, 0)
    tick(app, clock)
    response = client.get("/alerts")
    calm = {"name": "slow", "series": "web/b", "state": "inactive", "since": None, "value": None, "summary": None}
    loud = {"name": "slow", "series": "web/a", "state": "firing", "since": "2025-06-26T14:30:01Z", "value": 2.5}
    labels = {"labels": {"severity": "page"}}
    assert response.json == {"alerts": [loud | labels | {"summary": "web/a: 2.5"}, calm | labels], **ONE_PAGE}
    assert list(response.json["alerts"][0]) == ["name", "series", "state", "since", "value", "labels", "summary"]
    assert response.headers["Log-Position"] == "5"
    assert [alert["series"] for alert in client.get("/v1/alerts?state=inactive").get_json()["alerts"]] == ["web/b"]
    assert [alert["series"] for alert in client.get("/alerts?series=web/a").get_json()["alerts"]] == ["web/a"]


def test_prometheus_is_told_of_what_is_pending_or_firing(app: Flask, client: FlaskClient, clock: FakeClock) -> None:
    context(app).service.add("web/a", None, 2.5)
    context(app).service.add("web/b", None, 0)
    tick(app, clock)
    alert = {
        "labels": {"alertname": "slow", "series": "web/a", "severity": "page"},
        "annotations": {"summary": "web/a: 2.5"},
        "state": "firing",
        "activeAt": "2025-06-26T14:30:01Z",
        "value": "2.5",
    }
    told = client.get("/prometheus/api/v1/alerts").get_json()
    assert told == {"status": "success", "data": {"alerts": [alert]}}
    [group] = client.get("/prometheus/api/v1/rules").get_json()["data"]["groups"]
    [rule] = group["rules"]
    assert (rule["type"], rule["name"], rule["state"], rule["alerts"]) == ("alerting", "slow", "firing", [alert])
    assert rule["query"] == "mean of web/* above 1"


def test_a_key_with_series_sees_its_own(settings: Settings, clock: FakeClock, tmp_path: Path, file: Path) -> None:
    token = new_token()
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[key]]\nname = "a"\nhash = "{hash_of(token)}"\ncan = ["read"]\nseries = ["web/a"]\n')
    file.write_text(RULE + '[[alert]]\nname = "all"\nabsent = "5m"\n')
    app = composition.create_app(replace(settings, keys=str(keys)), clock=clock, store=MemoryStore(clock.moment))
    for name in "ab":
        context(app).service.add(f"web/{name}", None, 2.0)
    tick(app, clock)
    bearer = {"Authorization": f"Bearer {token}"}
    seen = app.test_client().get("/alerts", headers=bearer).get_json()["alerts"]
    assert [alert["series"] for alert in seen] == ["web/a"]
    assert_problem(app.test_client().get("/alerts?series=web/b", headers=bearer), 403)
    rules = app.test_client().get("/alerts/rules", headers=bearer).get_json()["rules"]
    assert [rule["name"] for rule in rules] == ["slow"]
    told = app.test_client().get("/prometheus/api/v1/rules", headers=bearer).get_json()["data"]["groups"][0]["rules"]
    assert [rule["name"] for rule in told] == ["slow"]
    assert [alert["labels"]["series"] for alert in told[0]["alerts"]] == ["web/a"]


def test_metrics_count_alerts_by_rule_and_state(app: Flask, client: FlaskClient, clock: FakeClock) -> None:
    for name, value in (("a", 2.0), ("b", 2.0), ("c", 0.0)):
        context(app).service.add(f"web/{name}", None, value)
    tick(app, clock)
    text = client.get("/metrics").get_data(as_text=True)
    assert 'tidemark_alerts{name="slow",state="firing"} 2.0' in text
    assert 'tidemark_alerts{name="slow",state="inactive"} 1.0' in text
    assert "tidemark_alerts_left_out 0.0" in text


def test_alerts_come_in_pages(app: Flask, client: FlaskClient, clock: FakeClock) -> None:
    for name in "cab":
        context(app).service.add(f"web/{name}", None, 0)
    tick(app, clock)
    found, query = [], {"limit": "2"}
    while True:
        page = client.get("/alerts", query_string=query).get_json()
        found += [alert["series"] for alert in page["alerts"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert found == ["web/a", "web/b", "web/c"]


@pytest.mark.parametrize("query", ["state=loud", "limit=0", "limit=1001", "series=", "window=1m"])
def test_a_bad_query_is_told(client: FlaskClient, query: str) -> None:
    assert_problem(client.get(f"/alerts?{query}"), 400)


def test_a_broken_file_leaves_the_last_good_one_in_force(
    app: Flask, client: FlaskClient, clock: FakeClock, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_file, "LOOK_SECONDS", 0.0)
    context(app).service.add("web/a", None, 2.5)
    file.write_text(RULE.replace("above", "abvoe"))
    tick(app, clock)
    assert client.get("/alerts?state=firing").get_json()["alerts"] != []
    notice = client.get("/health").get_json()["notice"]
    assert "alerts check" in notice
    file.write_text(RULE)
    tick(app, clock)
    assert len(client.get("/alerts?state=firing").get_json()["alerts"]) == 1
    assert "notice" not in client.get("/health").get_json()
    file.write_text("x" + RULE)
    tick(app, clock)
    assert len(client.get("/alerts?state=firing").get_json()["alerts"]) == 1


def test_rules_are_told_as_their_file_has_them(settings: Settings, clock: FakeClock, file: Path) -> None:
    silent = '[[alert]]\nname = "silent"\nabsent = "5m"\nto = ["ops"]\n'
    file.write_text(RULE + silent + '[[receiver]]\nname = "ops"\nwebhook = "http://secret"\n')
    app = composition.create_app(settings, clock=clock, store=MemoryStore(clock.moment))
    client = app.test_client()
    context(app).service.add("web/a", None, 2.5)
    tick(app, clock)
    told = client.get("/alerts/rules")
    assert "secret" not in told.text
    slow, quiet = told.get_json()["rules"]
    nothing: dict[str, Any] = {"last": None, "for": None, "keep_firing_for": None, "labels": {}, "summary": None}
    assert slow == nothing | {
        "name": "slow",
        "series": "web/*",
        "statistic": "mean",
        "window": "10s",
        "condition": "above",
        "bounds": [1.0],
    }
    unasked = {"series": None, "statistic": None, "window": None}
    assert quiet == nothing | unasked | {"name": "silent", "condition": "absent", "bounds": [300.0]}
    about = [client.get(f"/v1/alerts/rules?series={series}").get_json()["rules"] for series in ("web/a", "other")]
    assert [[rule["name"] for rule in rules] for rules in about] == [["slow"], []]


def test_requests_cost_the_same_with_a_thousand_rules(settings: Settings, clock: FakeClock, file: Path) -> None:
    file.write_text("".join(RULE.replace("slow", f"slow {number}") for number in range(1000)))
    costs = []
    for each in (settings, replace(settings, alerts="")):
        app = composition.create_app(each, clock=clock, store=MemoryStore(clock.moment))
        client = app.test_client()
        context(app).service.add("web/a", None, 2.5)
        tick(app, clock)
        assert len(client.get("/alerts/rules").get_json()["rules"]) == (1000 if each.alerts else 0)
        event = {"series": "web/a", "value": 1}
        costs.append((calls(client, "/event", method="POST", json=event), calls(client, "/statistics")))
    assert costs[0] == costs[1]


def calls(client: FlaskClient, path: str, **options: Any) -> int:
    """Return the number of calls of functions that a request takes; the least, as the first one may make what stays."""
    counts = []
    for _ in range(5):
        profile = Profile()
        profile.runcall(client.open, path, **options)
        counts.append(sum(entry.callcount for entry in profile.getstats()))
    return min(counts)
