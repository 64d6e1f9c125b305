"""`GET /settings`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask.testing import FlaskClient

import app as composition
from api.context import context
from event_log.errors import LogUnavailable
from event_log.memory_store import MemoryStore
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from times import HOUR, MINUTE

DEFAULTS = {
    "window": "1h",
    "retention": "1h",
    "keep_last": 1000,
    "max_future": "1m",
    "max_series": 10000,
    "max_symbols": 10,
}


@pytest.mark.parametrize("path", ["/settings", "/v1/settings"])
def test_the_settings_that_shape_answers_are_told(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.get_json()) == (200, DEFAULTS)
    assert list(response.get_json()) == list(DEFAULTS)
    assert response.headers["Log-Position"] == "0"
    assert client.head(path).status_code == 200
    assert client.options(path).status_code == 204
    assert client.post(path).status_code == 405


def test_they_are_those_of_the_start_that_came_last(clock: FakeClock) -> None:
    """A worker of the start before answers with what the log has in force by now."""
    store = MemoryStore(clock.moment)
    first = composition.create_app(Settings(), clock=clock, store=store)
    assert first.test_client().get("/settings").get_json() == DEFAULTS
    changed = replace(
        Settings(), window=90 * MINUTE, retention=24 * HOUR, keep_last=0, max_future=0, max_series=7, max_symbols=0
    )
    EventService(store, changed, clock).start()
    assert first.test_client().get("/settings").get_json() == {
        "window": "1h30m",
        "retention": "24h",
        "keep_last": 0,
        "max_future": "0s",
        "max_series": 7,
        "max_symbols": 0,
    }


def test_a_log_that_cannot_be_read_is_told(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    app = composition.create_app(Settings(), clock=clock, store=MemoryStore(clock.moment))

    def fail() -> None:
        raise LogUnavailable

    monkeypatch.setattr(context(app).service, "start", fail)
    assert app.test_client().get("/settings").status_code == 503
