"""`/dialects/tickers`: every series as a ticker, and its history."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from dialects.tickers import price_frames
from event_log.errors import LogUnavailable
from event_service import EventService
from tests.conftest import FakeClock
from tests.streaming.frames import websocket_messages
from times import HOUR, SECOND
from view.level import Level

TICKERS = "/dialects/tickers/api/v1/tickers"


def fill(client: FlaskClient, series: str, *values: float) -> None:
    """Events a second apart from 14:29:00 on."""
    events = [
        {"timestamp": f"2025-06-26T14:29:{second:02}Z", "value": value, "series": series}
        for second, value in enumerate(values)
    ]
    assert client.post("/events", json=events).status_code == 201


def ticker(name: str, shown: str, current: float, initial: float, updated: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": shown,
        "current_price": current,
        "initial_price": initial,
        "created_at": "2025-06-26T14:29:00Z",
        "updated_at": updated,
    }


@pytest.mark.parametrize("path", ["/health", "/health/"])
def test_health(client: FlaskClient, path: str) -> None:
    response = client.get(f"/dialects/tickers{path}")
    assert (response.status_code, response.json) == (200, {"status": "healthy"})


def test_health_when_the_log_is_not_available(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        raise LogUnavailable("the disk is gone")

    monkeypatch.setattr(service.store, "check", check)
    response = client.get("/dialects/tickers/health")
    assert response.status_code == 503
    assert response.json == {"status": "unhealthy", "detail": "the disk is gone"}


@pytest.mark.parametrize("path", [TICKERS, TICKERS + "/"])
def test_all_series_are_tickers(client: FlaskClient, path: str) -> None:
    assert client.get(path).json == []
    fill(client, "ITEM_00", 100.005, 101.126, 99.994)
    fill(client, "BTC/USD", 7)
    response = client.get(path)
    assert response.json == [
        ticker("BTC/USD", "BTC/USD", 7.0, 7.0, "2025-06-26T14:29:00Z"),
        ticker("ITEM_00", "Item 00", 99.99, 100.0, "2025-06-26T14:29:02Z"),
    ]
    assert response.headers["Log-Position"] == "4"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ITEM_07", "Item 07"),
        ("ITEM_123", "Item 123"),
        ("ITEM_7", "ITEM_7"),
        ("ITEM_", "ITEM_"),
        ("item_00", "item_00"),
        ("ITEM_00X", "ITEM_00X"),
        ("MY_ITEM_00", "MY_ITEM_00"),
        ("ITEM_٠٠", "ITEM_٠٠"),
    ],
)
def test_names(client: FlaskClient, name: str, shown: str) -> None:
    fill(client, name, 1)
    assert client.get(TICKERS).get_json()[0]["name"] == shown


def test_more_tickers_than_a_page(client: FlaskClient) -> None:
    names = [f"S{number:04}" for number in range(2500)]
    events = [{"timestamp": "2025-06-26T14:29:00Z", "value": 1, "series": name} for name in names]
    client.post("/events", json=events)
    assert [found["id"] for found in client.get(TICKERS).get_json()] == names


@pytest.mark.parametrize("slash", ["", "/"])
def test_history_is_oldest_first(client: FlaskClient, slash: str) -> None:
    fill(client, "BTC/USD", 1.005, 2.5, 3.14159)
    response = client.get(f"{TICKERS}/BTC/USD/history{slash}?limit=2")
    assert response.json == {
        "ticker": ticker("BTC/USD", "BTC/USD", 3.14, 1.0, "2025-06-26T14:29:02Z"),
        "history": [
            {"value": 2.5, "timestamp": "2025-06-26T14:29:01Z"},
            {"value": 3.14, "timestamp": "2025-06-26T14:29:02Z"},
        ],
    }
    assert response.headers["Log-Position"] == "3"


@pytest.mark.parametrize(
    ("query", "length"), [("", 1000), ("?limit=1", 1), ("?limit=1000", 1000), ("?limit=7&limit=9", 9)]
)
def test_limit(client: FlaskClient, query: str, length: int) -> None:
    client.post("/events", json={"series": "X", "values": list(range(1200))})
    history = client.get(f"{TICKERS}/X/history{query}").get_json()["history"]
    assert [event["value"] for event in history] == list(range(1200 - length, 1200))


@pytest.mark.parametrize("name", ["X", "XY", "%00", "%FF"])
def test_an_unknown_ticker_is_not_found(client: FlaskClient, name: str) -> None:
    fill(client, "XYZ", 1)  # begins with the name asked for
    response = client.get(f"{TICKERS}/{name}/history")
    assert response.status_code == 404
    assert response.get_json()["detail"].startswith("Ticker ")
    assert response.headers["Log-Position"] == "1"
    if name.isalpha():
        assert response.json == {"detail": f"Ticker {name} not found"}


def test_a_bad_limit_is_named_before_an_unknown_ticker(client: FlaskClient) -> None:
    assert client.get(f"{TICKERS}/nope/history?limit=0").status_code == 422


def test_a_new_event_moves_the_current_price(client: FlaskClient, clock: FakeClock) -> None:
    fill(client, "X", 1)
    clock.advance(SECOND)
    client.post("/events", json={"series": "X", "values": [2]})
    [found] = client.get(TICKERS).get_json()
    assert (found["initial_price"], found["current_price"]) == (1.0, 2.0)
    assert (found["created_at"], found["updated_at"]) == ("2025-06-26T14:29:00Z", "2025-06-26T14:30:01Z")


def test_the_initial_price_outlives_its_event(client: FlaskClient, clock: FakeClock) -> None:
    fill(client, "X", 1)
    for _ in range(3):
        clock.advance(HOUR)
        client.post("/events", json={"series": "X", "values": list(range(2, 1002))})
    [found] = client.get(TICKERS).get_json()
    assert (found["initial_price"], found["created_at"]) == (1.0, "2025-06-26T14:29:00Z")
    history = client.get(f"{TICKERS}/X/history?limit=1000").get_json()
    assert history["ticker"] == found
    assert history["history"][0]["value"] == 2.0


def test_a_history_is_of_one_series_also_where_that_ends_and_begins_anew_meanwhile(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(client, "X", 1)
    leave, prices = Level.__exit__, count(2)

    def leave_and_begin_anew(self: Level, *error: Any) -> None:
        leave(self, *error)
        with monkeypatch.context() as as_before:
            as_before.setattr(Level, "__exit__", leave)
            service.end_series("X")
            service.add("X", None, next(prices))

    monkeypatch.setattr(Level, "__exit__", leave_and_begin_anew)
    found = client.get(f"{TICKERS}/X/history").get_json()
    assert next(prices) > 2
    assert [price["value"] for price in found["history"]] == [found["ticker"]["initial_price"]]


def test_a_price_update() -> None:
    times = np.array([1_750_948_200_000_000, 1_750_948_200_123_456], np.int64)
    first, second = websocket_messages(price_frames("ITEM_00", np.array([7, 9]), times, np.array([12.345, -0.5])))
    assert json.loads(first) == {
        "type": "price_update",
        "data": {"ticker_id": "ITEM_00", "price": 12.345, "timestamp": "2025-06-26T14:30:00Z"},
    }
    assert json.loads(second)["data"]["price"] == -0.5
