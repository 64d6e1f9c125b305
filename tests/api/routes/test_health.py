"""`GET /health`, `/health/live`, `/health/ready`."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from event_log.errors import LogFull, LogUnavailable
from event_service import EventService


@pytest.fixture
def broken(service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is read-only, say."""

    def check() -> None:
        raise LogUnavailable("the disk is read-only")

    monkeypatch.setattr(service.store, "check", check)


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize(("path", "says"), [("", "healthy"), ("/live", "alive"), ("/ready", "ready")])
def test_all_is_well(client: FlaskClient, prefix: str, path: str, says: str) -> None:
    response = client.get(f"{prefix}/health{path}")
    assert (response.status_code, response.json) == (200, {"status": says})
    assert client.head(f"{prefix}/health{path}").status_code == 200


@pytest.mark.usefixtures("broken")
def test_a_broken_log(client: FlaskClient) -> None:
    response = client.get("/health")
    assert (response.status_code, response.json) == (503, {"status": "unhealthy", "detail": "the disk is read-only"})
    response = client.get("/health/ready")
    assert (response.status_code, response.json) == (503, {"status": "not ready", "detail": "the disk is read-only"})
    assert client.get("/health/live").status_code == 200


def test_a_full_log_is_not_healthy(client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> None:
        raise LogFull

    monkeypatch.setattr(service.store, "check", check)
    assert client.get("/health").json == {"status": "unhealthy", "detail": "The log is not available."}


def test_not_ready_before_the_view_has_caught_up(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ready", lambda: False)
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert "caught up" in response.get_json()["detail"]
    assert client.get("/health").status_code == 200


def test_not_ready_before_the_log_could_be_opened(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ready() -> bool:
        raise LogUnavailable("Redis cannot be reached")

    monkeypatch.setattr(service, "ready", ready)
    response = client.get("/health/ready")
    assert (response.status_code, response.json) == (503, {"status": "not ready", "detail": "Redis cannot be reached"})


def test_a_notice_leaves_the_service_healthy(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.store, "notice", lambda: "restored from damage")
    response = client.get("/health")
    assert (response.status_code, response.json) == (200, {"status": "healthy", "notice": "restored from damage"})
