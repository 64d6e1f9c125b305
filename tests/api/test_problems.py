"""One error shape, whatever goes wrong wherever."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import Conflict

from event_log.errors import LogFull, LogUnavailable, LogUncertain
from event_service import EventService
from settings import Settings
from tests.api.problems import assert_problem

EVENT = {"timestamp": "2025-06-26T14:30:00Z", "value": 1}


@pytest.mark.parametrize(
    "path", ["/nope", "/v1", "/v2/statistics", "/event/", "/statistics/", "/series//events", "/%00", "/%FF"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_unknown_paths(client: FlaskClient, path: str, method: str) -> None:
    assert_problem(client.open(path, method=method), 404, "There is nothing at")


def test_a_long_unknown_path_is_not_repeated_whole(client: FlaskClient) -> None:
    assert len(client.get("/" + "x" * 3000).data) < 500


@pytest.mark.parametrize(
    ("path", "methods", "allowed"),
    [
        ("/event", ("GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "FOO"), "OPTIONS, POST"),
        ("/events", ("GET", "HEAD", "PUT"), "OPTIONS, POST"),
        ("/v1/event", ("GET",), "OPTIONS, POST"),
        ("/statistics", ("POST", "DELETE"), "GET, HEAD, OPTIONS"),
        ("/statistics/a/b", ("POST",), "GET, HEAD, OPTIONS"),
        ("/series", ("POST",), "GET, HEAD, OPTIONS"),
        ("/series/a/events", ("POST", "DELETE"), "GET, HEAD, OPTIONS"),
        ("/health", ("POST",), "GET, HEAD, OPTIONS"),
        ("/health/ready", ("POST",), "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods_are_told_what_is_allowed(
    client: FlaskClient, path: str, methods: tuple[str, ...], allowed: str
) -> None:
    for method in methods:
        response = client.open(path, method=method)
        assert response.headers["Allow"] == allowed
        if method != "HEAD":
            assert_problem(response, 405, f"{method} does not work here; use {allowed}")
    response = client.options(path)
    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers
    assert set(response.headers["Allow"].split(", ")) == set(allowed.split(", "))


@pytest.mark.parametrize(
    ("path", "method", "status", "detail"),
    [
        ("/dialects/nope", "GET", 404, "Not Found"),
        ("/dialects/ticks/nope", "GET", 404, "Not Found"),
        ("/dialects/ticks/ticks", "DELETE", 405, "Method Not Allowed"),
    ],
)
def test_routing_errors_below_the_dialects_have_their_shape(
    client: FlaskClient, path: str, method: str, status: int, detail: str
) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.json) == (status, {"detail": detail})
    assert response.content_type == "application/json"
    assert ("Allow" in response.headers) == (status == 405)


def refuse(fault: Exception) -> Any:
    def raising(*args: Any, **kwargs: Any) -> Any:
        raise fault

    return raising


@pytest.mark.parametrize(
    ("fault", "seconds"), [(LogUnavailable("the disk is read-only"), "1"), (LogFull("no room is left"), "10")]
)
def test_a_log_that_cannot_take_a_write(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch, fault: LogUnavailable, seconds: str
) -> None:
    service.start()
    monkeypatch.setattr(service.log, "append", refuse(fault))
    monkeypatch.setattr(service.log, "append_one", refuse(fault))
    for path, body in (("/event", EVENT), ("/events", [EVENT])):
        response = client.post(path, json=body)
        assert_problem(response, 503, str(fault))
        assert response.headers["Retry-After"] == seconds


def test_a_log_that_cannot_tell_what_became_of_a_write(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried again behind the client's back, which might store it twice."""
    tried = []

    def lose(*args: Any) -> Any:
        tried.append(args)
        raise LogUncertain("the answer was lost")

    service.start()
    monkeypatch.setattr(service.log, "append", lose)
    monkeypatch.setattr(service.log, "append_one", lose)
    posts = {"/event": EVENT, "/events": [EVENT], "/dialects/batches/add_batch/": {"symbol": "a", "values": [1.0]}}
    for count, (path, body) in enumerate(posts.items(), 1):
        response = client.post(path, json=body)
        assert response.status_code == 503
        assert "may have been: the answer was lost" in response.json["detail"]  # type: ignore[index]
        assert "nothing was stored" not in response.text
        assert response.headers["Retry-After"] == "1"
        assert len(tried) == count


def test_a_log_that_cannot_be_read(client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "statistics", refuse(LogUnavailable("gone")))
    response = client.get("/statistics")
    assert_problem(response, 503, "gone")
    assert response.headers["Retry-After"] == "1"


class TestTooManySeries:
    """MAX_SERIES."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(max_series=2)

    def test_a_new_series_beyond_the_limit(self, client: FlaskClient, service: EventService) -> None:
        assert client.post("/event", json=EVENT).status_code == 201
        two = [EVENT | {"series": "a"}, EVENT | {"series": "b"}]
        assert_problem(client.post("/events", json=two), 429, "2 already, which is the limit (MAX_SERIES)")
        assert service.position() == 1
        assert client.post("/event", json=EVENT | {"series": "a"}).status_code == 201
        assert_problem(client.post("/event", json=EVENT | {"series": "b"}), 429, "MAX_SERIES")
        assert client.post("/event", json=EVENT).status_code == 201


def test_other_http_errors_have_the_shape(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "statistics", refuse(Conflict("another is at it")))
    assert_problem(client.get("/statistics"), 409, "another is at it")


@pytest.mark.parametrize("path", ["/statistics", "/dialects/ticks/statistics"])
def test_a_bug_is_logged_and_never_shown(
    app: Flask, service: EventService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    app.testing = False
    monkeypatch.setattr(service, "statistics", refuse(RuntimeError("a secret of the inside")))
    with caplog.at_level(logging.ERROR):
        response = app.test_client().get(path, headers={"X-Request-ID": "abc-1"})
    [record] = caplog.records
    assert record.exc_info is not None
    assert "a secret of the inside" in caplog.text
    assert "secret" not in response.text
    assert response.status_code == 500
    assert response.headers["X-Request-ID"] == "abc-1"
    if path == "/statistics":
        assert_problem(response, 500, "request id abc-1")
    else:
        assert response.json == {"detail": "Internal Server Error"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/event", "OPTIONS, POST"), ("/statistics", "GET, HEAD, OPTIONS"), ("/series/a", "DELETE, OPTIONS")],
)
def test_allow_lists_the_methods_in_one_order(client: FlaskClient, path: str, allowed: str) -> None:
    response = client.options(path)
    assert (response.status_code, response.headers["Allow"]) == (204, allowed)
    assert client.put(path).headers["Allow"] == allowed
