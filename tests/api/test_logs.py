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

from api.logs import LOGGER, LONGEST_TEXT, LONGEST_TRACEBACK, MOST_A_SECOND, MOST_KINDS, JsonFormatter, RateLimit
from app import create_app
from settings import VERSION, Settings
from tests.conftest import START

Lines = list[dict[str, Any]]


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """Collect the lines that the service's logger writes during a test."""
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


class TestBounds:
    """No text of a line is long, and only so many lines of one kind come within a second."""

    @pytest.fixture
    def clock(self) -> list[float]:
        return [0.0]

    @pytest.fixture
    def logger(self, printed: io.StringIO, clock: list[float]) -> logging.Logger:
        [*_, handler] = logging.getLogger(LOGGER).handlers
        handler.addFilter(RateLimit(lambda: clock[0]))
        return logging.getLogger(LOGGER)

    def test_a_long_message_is_cut(self, printed: io.StringIO, logger: logging.Logger) -> None:
        logger.warning("%s", "\x00" * 10**6)
        [line] = lines(printed)
        assert line["message"] == "\x00" * LONGEST_TEXT + "..."

    def test_what_utf8_cannot_write_is_escaped(self) -> None:
        # Not through a logger: pytest would keep the line, and xdist can send no such text.
        record = logging.LogRecord(LOGGER, logging.WARNING, "", 0, "\ud800", None, None)
        assert json.loads(JsonFormatter().format(record))["message"] == "\\ud800"

    def test_a_long_traceback_keeps_its_end(self, printed: io.StringIO, logger: logging.Logger) -> None:
        try:
            raise ValueError("\n".join(["x" * 10**5] * 50) + "\nend")
        except ValueError:
            logger.exception("failed")
        [line] = lines(printed)
        assert len(line["traceback"]) <= LONGEST_TRACEBACK
        assert line["traceback"].endswith("...\nend")

    def test_a_warning_repeated_very_often_within_a_second_is_counted(
        self, printed: io.StringIO, logger: logging.Logger, clock: list[float]
    ) -> None:
        for moment, times in ((0.0, MOST_A_SECOND), (0.9, 2), (1.0, MOST_A_SECOND), (1.5, 1), (3.0, 1), (9.0, 1)):
            clock[0] = moment
            for _ in range(times):
                logger.warning("at %s", moment)
        found = [(line["message"], line.get("left_out")) for line in lines(printed)]
        first = [("at 0.0", None)] * MOST_A_SECOND
        second = [("at 1.0", 2), *[("at 1.0", None)] * (MOST_A_SECOND - 1)]
        assert found == [*first, *second, ("at 3.0", 1), ("at 9.0", None)]

    def test_faults_of_different_causes_are_all_told(self, printed: io.StringIO, logger: logging.Logger) -> None:
        logger.error("the log: %s", "it does not answer")
        logger.error("the log: %s", "it is full")
        assert [line["message"] for line in lines(printed)] == ["the log: it does not answer", "the log: it is full"]

    def test_another_kind_is_not_held_back(self, printed: io.StringIO, logger: logging.Logger) -> None:
        logger.warning("one")
        logger.warning("another")
        for divisor in (0, "x"):
            try:
                1 / divisor  # type: ignore[operator]
            except (ZeroDivisionError, TypeError):
                logger.exception("failed")
        assert [line["message"] for line in lines(printed)] == ["one", "another", "failed", "failed"]

    def test_what_is_no_warning_is_never_left_out(self, printed: io.StringIO, logger: logging.Logger) -> None:
        for _ in range(3):
            logger.info("stored")
        assert len(lines(printed)) == 3

    def test_kinds_are_remembered_within_bounds(self) -> None:
        limit = RateLimit(lambda: 0.0)
        records = [logging.LogRecord("x", logging.ERROR, "", 0, str(i), (), None) for i in range(3 * MOST_KINDS)]
        assert all(map(limit.filter, records))
        again = [limit.filter(record) for record in records for _ in range(MOST_A_SECOND)]
        assert again.count(False) <= MOST_KINDS
