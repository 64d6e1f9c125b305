"""`/dialects/transactions`: amounts, their sum and statistics of the last 60 seconds."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import START, FakeClock
from times import MINUTE

NOW = START // 1000
ZERO = b'{"sum":0.0,"avg":0.0,"max":0.0,"min":0.0,"count":0}'


def post(client: FlaskClient, amount: object, timestamp: object = NOW, path: str = "/transactions") -> TestResponse:
    return client.post(f"/dialects/transactions{path}", json={"amount": amount, "timestamp": timestamp})


@pytest.mark.parametrize("path", ["/transactions", "/transactions/"])
@pytest.mark.parametrize(("age", "status"), [(0, 201), (60_000, 201), (60_001, 204)])
def test_a_transaction_is_answered_without_a_body(client: FlaskClient, path: str, age: int, status: int) -> None:
    response = post(client, 12.3, NOW - age, path)
    assert (response.status_code, response.data, response.headers.get("Content-Type")) == (status, b"", None)
    assert response.headers["Log-Position"] == ("1" if status == 201 else "0")


@pytest.mark.parametrize("path", ["/statistics", "/statistics/"])
def test_statistics(client: FlaskClient, path: str) -> None:
    for amount in (0.1, 0.2, 0.3, 1000):
        post(client, amount)
    response = client.get(f"/dialects/transactions{path}")
    # The sum is the double nearest to the exact one: 1000.6, not the 1000.6000000000001 of adding up.
    assert response.json == {"sum": 1000.6, "avg": 250.15, "max": 1000.0, "min": 0.1, "count": 4}
    assert response.headers["Log-Position"] == "4"


def test_statistics_of_no_transactions_are_zero(client: FlaskClient, clock: FakeClock) -> None:
    assert client.get("/dialects/transactions/statistics").data == ZERO
    post(client, 5)
    clock.advance(MINUTE)
    assert client.get("/dialects/transactions/statistics").data == ZERO


def test_a_sum_beyond_the_doubles_is_null(client: FlaskClient) -> None:
    for _ in range(2):
        post(client, 1.7e308)
    answer = client.get("/dialects/transactions/statistics").json
    assert answer == {"sum": None, "avg": 1.7e308, "max": 1.7e308, "min": 1.7e308, "count": 2}


def test_transactions_are_the_series_transactions_and_no_other(client: FlaskClient) -> None:
    post(client, 2.5)
    client.post("/event", json={"timestamp": "2025-06-26T14:30:00Z", "value": 100, "series": "other"})
    client.post("/event", json={"timestamp": "2025-06-26T14:30:00Z", "value": 7.5, "series": "transactions"})
    answer = client.get("/dialects/transactions/statistics").json
    assert answer == {"sum": 10.0, "avg": 5.0, "max": 7.5, "min": 2.5, "count": 2}
    assert client.get("/statistics/transactions").get_json()["count"] == 2


def test_too_far_ahead_is_refused(client: FlaskClient) -> None:
    response = post(client, 1, NOW + 60_001)
    assert response.status_code == 422
    assert response.get_json()["detail"][0]["loc"] == ["body", "timestamp"]
    assert client.get("/dialects/transactions/statistics").data == ZERO


@pytest.mark.parametrize("path", ["/transactions", "/transactions/"])
def test_all_can_be_forgotten(client: FlaskClient, path: str) -> None:
    for _ in range(2):  # the second time there are new ones
        post(client, 2.5)
        post(client, 3.5)
        position = int(client.get("/dialects/transactions/statistics").headers["Log-Position"])
        response = client.delete(f"/dialects/transactions{path}")
        assert (response.status_code, response.data) == (204, b"")
        assert "Content-Type" not in response.headers
        assert int(response.headers["Log-Position"]) >= position
        assert client.get("/dialects/transactions/statistics").get_json()["count"] == 0
    assert client.delete(f"/dialects/transactions{path}").status_code == 204  # none is as good as all


def test_other_series_are_not_forgotten(client: FlaskClient) -> None:
    post(client, 2.5)
    client.post("/events", json={"series": "other", "values": [1]})
    client.delete("/dialects/transactions/transactions")
    assert client.get("/statistics").get_json()["count"] == 1
