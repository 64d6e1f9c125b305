"""Log lines: JSON, with the request they are about."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from logs import LOGGER, JsonFormatter
from settings import VERSION, Settings
from tests.conftest import START

Lines = list[dict[str, Any]]


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """What the service's logger writes during a test."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.getLogger(LOGGER).addHandler(handler)
    yield stream
    logging.getLogger(LOGGER).removeHandler(handler)


def lines(stream: io.StringIO) -> Lines:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_first_line_says_which_version_starts(printed: io.StringIO) -> None:
    create_app(Settings(log_url="memory:"))
    [line] = lines(printed)
    assert (line["message"], line["version"], line["log"]) == ("created", VERSION, "memory:")


def test_a_line_is_json(printed: io.StringIO, app: Flask) -> None:
    app.logger.warning("disk at %d %%", 97, extra={"fields": {"free": 3}})
    line = lines(printed)[-1]
    assert line.keys() == {"time", "level", "logger", "process", "message", "free"}
    assert (line["level"], line["logger"], line["message"], line["free"]) == ("WARNING", "tidemark", "disk at 97 %", 3)
    assert line["time"].endswith("Z")


def test_no_line_a_request_by_default(printed: io.StringIO, client: FlaskClient) -> None:
    before = len(lines(printed))
    assert "X-Request-ID" not in client.get("/statistics").headers
    assert len(lines(printed)) == before


def test_the_traceback_of_a_bug_is_one_line(printed: io.StringIO, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    app.testing = False
    monkeypatch.setitem(app.view_functions, "health.get_live", lambda: 1 / 0)
    response = app.test_client().get("/health/live")
    line = lines(printed)[-1]
    assert (line["level"], line["method"], line["path"]) == ("ERROR", "GET", "/health/live")
    assert "ZeroDivisionError" in line["traceback"]
    assert line["request_id"] == response.headers["X-Request-ID"]


class TestDebug:
    """LOG_LEVEL=DEBUG adds a line a request."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(log_level="DEBUG")

    def test_a_line_a_request(self, printed: io.StringIO, client: FlaskClient) -> None:
        response = client.post("/event", json={"timestamp": START})
        line = lines(printed)[-1]
        assert (line["message"], line["method"], line["path"], line["status"]) == ("request", "POST", "/event", 400)
        assert line["milliseconds"] >= 0
        assert line["request_id"] == response.headers["X-Request-ID"]

    @pytest.mark.parametrize(
        ("given", "taken"), [("job-7:a.b", True), ("", False), ("x" * 65, False), ('a"b', False), ("é", False)]
    )
    def test_a_sensible_request_id_is_kept(self, client: FlaskClient, given: str, taken: bool) -> None:
        response = client.get("/health", headers={"X-Request-ID": given})
        assert (response.headers["X-Request-ID"] == given) == taken
