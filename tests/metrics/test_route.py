"""`GET /metrics`: complete, in Prometheus' format, true."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from api.context import context
from event_log.errors import LogUnavailable, LogUncertain
from event_service import EventService
from metrics.meter import Meter
from metrics.table import Table

from .. import prometheus
from ..api.problems import assert_problem
from ..conftest import START

NAMES = {
    "tidemark_requests",
    "tidemark_request_seconds",
    "tidemark_events_stored",
    "tidemark_events_expired",
    "tidemark_events_refused",
    "tidemark_live_events",
    "tidemark_series",
    "tidemark_log_position",
    "tidemark_log_allowed_bytes",
    "tidemark_log_used_bytes",
    "tidemark_snapshots",
    "tidemark_oldest_snapshot_seconds",
    "tidemark_log_up",
    "tidemark_open_streams",
    "tidemark_build_info",
}
OF_THE_LOG = {
    "tidemark_live_events",
    "tidemark_series",
    "tidemark_log_position",
    "tidemark_log_allowed_bytes",
    "tidemark_log_used_bytes",
    "tidemark_snapshots",
    "tidemark_oldest_snapshot_seconds",
}
WHEN_SAID = {"tidemark_log_synced_age_seconds"}
"""Not by a log in memory."""

WINDOWS = ("/metrics/windows", "/metrics", "/v1/metrics/windows", "/v1/metrics")
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def names_in(text: bytes) -> set[str]:
    return {family.name for family in text_string_to_metric_families(text.decode())}


def scrape(client: FlaskClient, query: str = "", path: str = "/metrics") -> Samples:
    """All samples, by name and labels."""
    answer = client.get(path + query)
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(answer.get_data(as_text=True))
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"tidemark_{name}", frozenset(labels.items())]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Counts into a table of its own."""
    meter = Meter(Table())
    app.meter = meter  # type: ignore[attr-defined]
    object.__setattr__(context(app), "meter", meter)
    context(app).service._meter = meter  # type: ignore[attr-defined]
    return app.test_client()


def test_all_names_are_there_and_promtool_finds_no_fault(client: FlaskClient) -> None:
    client.post("/events", json={"values": [1, 2, 3], "series": 'a "quoted"\\ name'})
    client.get("/statistics")
    own = client.get("/metrics").get_data()
    assert NAMES <= names_in(own) <= NAMES | WHEN_SAID
    windows = client.get("/metrics/windows?window=1m&include=stddev,last").get_data()
    assert names_in(windows) == {"tidemark_window", "tidemark_windows_left_out"}
    text = own + windows
    done = subprocess.run([prometheus.required("promtool"), "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_requests_are_counted_by_what_they_ask_and_get(client: FlaskClient) -> None:
    for path in ("/statistics", "/statistics?window=x", "/statistics/a/b", "/statistics/c", "/nothing", "/other"):
        client.get(path)
    client.head("/statistics")
    client.options("/event")
    client.delete("/event")
    samples = scrape(client)
    assert value(samples, "requests_total", route="/statistics", method="GET", status="200") == 1
    assert value(samples, "requests_total", route="/statistics", method="GET", status="400") == 1
    assert value(samples, "requests_total", route="/statistics", method="HEAD", status="200") == 1
    assert value(samples, "requests_total", route="/statistics/<series>", method="GET", status="200") == 2
    assert value(samples, "requests_total", route="none", method="GET", status="404") == 2
    assert value(samples, "requests_total", route="none", method="DELETE", status="405") == 1
    assert value(samples, "request_seconds_count", route="/statistics", method="GET") == 2
    assert 0 < value(samples, "request_seconds_sum", route="/statistics", method="GET") < 10


def test_a_bug_is_a_500(client: FlaskClient, app: Flask) -> None:
    def fail() -> str:
        raise RuntimeError("a bug")

    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/broken", view_func=fail)
    assert client.get("/broken").status_code == 500
    assert value(scrape(client), "requests_total", route="/broken", method="GET", status="500") == 1


def test_events_stored_expired_and_refused(client: FlaskClient) -> None:
    old, now, ahead = "2025-06-26T13:00:00Z", "2025-06-26T14:30:00Z", "2025-06-26T15:00:00Z"
    client.post("/event", json={"timestamp": now, "value": 1})
    client.post("/event", json={"timestamp": old, "value": 1})
    client.post("/events", json=[{"timestamp": time, "value": 1} for time in (now, old, now)])
    client.post("/dialects/ticks/ticks", json={"instrument": "x", "price": 1, "timestamp": START // 1000})
    client.post("/dialects/batches/add_batch/", json={"symbol": "y", "values": [1, 2, 3, 4]})
    client.post("/event", json={"timestamp": ahead, "value": 1})
    client.post("/event", data="{", content_type="application/json")
    client.post("/events", json=[{"timestamp": ahead, "value": 1}] * 5)
    client.post("/event", data="x", content_type="text/html")
    client.post("/events", json={"values": [1] * 10_001})
    client.get("/statistics?window=x")  # nothing was to be stored here
    samples = scrape(client)
    assert value(samples, "events_stored_total") == 1 + 2 + 1 + 4
    assert value(samples, "events_expired_total") == 2
    assert value(samples, "events_refused_total", reason="invalid") == 1 + 1 + 5 + 1
    assert value(samples, "events_refused_total", reason="too_large") == 1
    assert value(samples, "live_events") == 8
    assert value(samples, "series") == 3
    assert value(samples, "log_position") == 8


def test_events_that_may_have_been_stored_are_counted_alike_on_both_ways(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_answer(*_: object) -> None:
        raise LogUncertain("the connection broke")

    service.start()
    monkeypatch.setattr(service.log, "append", lose_the_answer)
    monkeypatch.setattr(service.log, "append_one", lose_the_answer)
    old = "2025-06-26T13:00:00Z"
    requests: list[tuple[str, Any, int]] = [
        ("/event", {"timestamp": "2025-06-26T14:30:00Z", "value": 1}, 1),
        ("/events", {"values": [1, 2, 3]}, 3),
        ("/events", [{"timestamp": old, "value": 1}, {"timestamp": "2025-06-26T14:30:00Z", "value": 1}], 2),
        ("/dialects/batches/add_batch/", {"symbol": "x", "values": [1, 2, 3, 4]}, 4),
    ]
    for path, body, events in requests:
        before = value(scrape(client), "events_refused_total", reason="unavailable")
        assert client.post(path, json=body).status_code == 503
        assert value(scrape(client), "events_refused_total", reason="unavailable") == before + events, path
        data = orjson.dumps(body)
        fast = context(client.application).fast_path(client.application)
        assert fast is not None
        way = fast.of("POST", path, "", {"CONTENT-TYPE": "application/json", "CONTENT-LENGTH": str(len(data))})
        assert way is not None
        answer = fast.answer(way, data, b"")
        assert answer is not None
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert value(scrape(client), "events_refused_total", reason="unavailable") == before + 2 * events, path


@pytest.mark.parametrize("path", WINDOWS)
def test_windows_on_request(client: FlaskClient, service: EventService, path: str) -> None:
    for number in range(1, 5):
        service.add("web/a", None, float(number))
    service.add("web/b", START - 120_000_000, 7.0)
    service.add("other", None, 1.0)
    samples = scrape(client, "?series=web/&window=1m&include=sum,first,stddev", path)
    assert {name for name, _ in samples} == {"tidemark_window", "tidemark_windows_left_out"}
    found = {
        (labels["series"], labels["statistic"], labels["window"]): value
        for (name, pairs), value in samples.items()
        if name == "tidemark_window" and (labels := dict(pairs))
    }
    assert found == {
        ("web/a", "count", "1m"): 4,
        ("web/a", "min", "1m"): 1,
        ("web/a", "max", "1m"): 4,
        ("web/a", "mean", "1m"): 2.5,
        ("web/a", "sum", "1m"): 10,
        ("web/a", "stddev", "1m"): pytest.approx(1.118033988749895),
        ("web/a", "first", "1m"): 1,
        ("web/b", "count", "1m"): 0,  # what is null for no events has no sample
        ("web/b", "sum", "1m"): 0,
    }
    assert value(samples, "windows_left_out") == 0


def test_windows_of_a_thousand_series_at_most(client: FlaskClient, service: EventService) -> None:
    for number in range(1001):
        service.add(f"{number:04}", None, 1.0)
    samples = scrape(client, path="/metrics/windows")
    names = {dict(labels)["series"] for name, labels in samples if name == "tidemark_window"}
    assert names == {f"{number:04}" for number in range(1000)}
    assert value(samples, "windows_left_out") == 1


@pytest.mark.parametrize("fails", ["statistics", "usage"])
def test_without_the_log_it_tells_what_it_has_counted_itself(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    client.post("/events", json={"values": [1, 2]})
    assert value(scrape(client), "log_up") == 1
    monkeypatch.setattr(service, fails, refuse)
    samples = scrape(client)
    assert value(samples, "log_up") == 0
    assert value(samples, "events_stored_total") == 2
    assert value(samples, "open_streams") == 0
    named = {name for name, _ in samples}
    assert named & OF_THE_LOG == set()
    assert {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named} >= NAMES - OF_THE_LOG


@pytest.mark.parametrize("path", WINDOWS)
def test_without_the_log_there_are_no_windows(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(service, "ranking", refuse)
    answer = client.get(f"{path}?window=1m")
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"]


def refuse(*_: object, **__: object) -> None:
    raise LogUnavailable("Redis cannot be reached")


def test_a_bad_parameter_is_refused(client: FlaskClient) -> None:
    for query in ("?window=never", "?include=nothing", "?serie=a", "?last=5"):
        assert_problem(client.get("/metrics" + query), 400)
        assert_problem(client.get("/metrics/windows" + query), 400)
