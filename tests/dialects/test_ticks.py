"""`/dialects/ticks`: prices of instruments, statistics of the last 60 seconds."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from settings import Settings
from tests.conftest import START, FakeClock
from times import MINUTE, SECOND

NOW = START // 1000
ZERO = {"avg": 0.0, "max": 0.0, "min": 0.0, "count": 0}


def post(client: FlaskClient, instrument: object, price: object, timestamp: object = NOW) -> TestResponse:
    tick = {"instrument": instrument, "price": price, "timestamp": timestamp}
    # The standard library also writes what orjson refuses: integers of any size, lone surrogates.
    return client.post("/dialects/ticks/ticks", data=json.dumps(tick), content_type="application/json")


def statistics(client: FlaskClient, path: str = "") -> object:
    response = client.get(f"/dialects/ticks/statistics{path}")
    assert response.status_code == 200
    return response.json


def test_a_tick_is_answered_with_an_empty_object(client: FlaskClient) -> None:
    response = post(client, "IBM.N", 143.82)
    assert (response.status_code, response.data, response.content_type) == (201, b"{}", "application/json")
    assert response.headers["Log-Position"] == "1"


def test_statistics_cover_all_instruments_or_one(client: FlaskClient) -> None:
    for instrument, price in (("IBM.N", 143.82), ("IBM.N", 143.86), ("BTC/USD", -7), ("température", 20.5)):
        assert post(client, instrument, price).status_code == 201
    assert statistics(client) == {"avg": 75.295, "max": 143.86, "min": -7.0, "count": 4}
    assert statistics(client, "/IBM.N") == {"avg": 143.84, "max": 143.86, "min": 143.82, "count": 2}
    for path in ("/BTC/USD", "/BTC%2FUSD"):
        assert statistics(client, path) == {"avg": -7.0, "max": -7.0, "min": -7.0, "count": 1}
    assert statistics(client, "/temp%C3%A9rature") == {"avg": 20.5, "max": 20.5, "min": 20.5, "count": 1}


@pytest.mark.parametrize("path", ["", "/IBM.N", "/%00", "/%0A", "/%FF", "//", "/a//b", "/" + "x" * 200])
def test_without_ticks_all_is_zero(client: FlaskClient, path: str) -> None:
    assert statistics(client, path) == ZERO


def test_all_paths_work_with_a_trailing_slash(client: FlaskClient) -> None:
    tick = {"instrument": "IBM.N", "price": 1, "timestamp": NOW}
    assert client.post("/dialects/ticks/ticks/", json=tick).status_code == 201
    for path in ("", "/", "/IBM.N", "/IBM.N/"):
        assert statistics(client, path) == {"avg": 1.0, "max": 1.0, "min": 1.0, "count": 1}


@pytest.mark.parametrize(
    ("age", "status"), [(0, 201), (59_999, 201), (60_000, 201), (60_001, 204), (10**9, 204), (10**30, 204)]
)
def test_older_than_60_seconds_is_answered_204(client: FlaskClient, age: int, status: int) -> None:
    response = post(client, "IBM.N", 1.0, NOW - age)
    assert response.status_code == status


def test_what_is_answered_204_is_not_stored(client: FlaskClient) -> None:
    post(client, "IBM.N", 1.0)
    response = post(client, "OTHER", 2.0, NOW - 60_001)
    assert (response.data, response.headers.get("Content-Type")) == (b"", None)
    assert response.headers["Log-Position"] == "1"
    assert client.get("/statistics?window=1h").get_json()["count"] == 1
    assert client.get("/series").get_json()["series"][0]["series"] == "IBM.N"


def test_a_tick_leaves_the_statistics_after_60_seconds(client: FlaskClient, clock: FakeClock) -> None:
    post(client, "IBM.N", 5.0)
    clock.advance(MINUTE - 1)
    assert statistics(client, "/IBM.N") == {"avg": 5.0, "max": 5.0, "min": 5.0, "count": 1}
    clock.advance(1)
    assert statistics(client, "/IBM.N") == ZERO


def test_ahead_of_the_clock_up_to_the_limit(client: FlaskClient) -> None:
    assert post(client, "IBM.N", 1.0, NOW + 60_000).status_code == 201
    response = post(client, "IBM.N", 1.0, NOW + 60_001)
    assert response.status_code == 422
    assert response.json == {
        "detail": [
            {
                "type": "value_error",
                "loc": ["body", "timestamp"],
                "msg": "Value error, the timestamp is more than 1m ahead of the clock",
                "input": NOW + 60_001,
                "ctx": {"error": {}},
            }
        ]
    }
    assert statistics(client) == {"avg": 1.0, "max": 1.0, "min": 1.0, "count": 1}


@pytest.mark.parametrize("timestamp", [1e300, 10**30, 2**63])
def test_no_timestamp_is_too_large_to_be_refused(client: FlaskClient, timestamp: float) -> None:
    assert post(client, "IBM.N", 1.0, timestamp).status_code == 422


@pytest.mark.parametrize("name", ["a\x00b", "a\nb", "\x7f", "\x85", "\ud800", "py/"])
def test_a_name_that_can_be_no_series_is_refused(client: FlaskClient, name: str) -> None:
    response = post(client, name, 1.0)
    assert response.status_code == 422
    [item] = response.get_json()["detail"]
    assert (item["loc"], item["type"]) == (["body", "instrument"], "value_error")


def test_a_mean_beyond_the_doubles_does_not_exist_but_this_one_does(client: FlaskClient) -> None:
    for price in (1.7e308, 1.7e308):
        post(client, "IBM.N", price)
    assert statistics(client) == {"avg": 1.7e308, "max": 1.7e308, "min": 1.7e308, "count": 2}


def test_negative_zero_becomes_zero(client: FlaskClient) -> None:
    post(client, "IBM.N", -0.0)
    assert client.get("/dialects/ticks/statistics").data == b'{"avg":0.0,"max":0.0,"min":0.0,"count":1}'


class TestShortRetention:
    """A service that keeps events for less than the dialect's minute."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(window=10 * SECOND, retention=10 * SECOND, keep_last=0)

    def test_statistics_cover_the_retention(self, client: FlaskClient, clock: FakeClock) -> None:
        assert post(client, "IBM.N", 1.0).status_code == 201
        assert post(client, "IBM.N", 1.0, NOW - 10_000).status_code == 204
        assert statistics(client) == {"avg": 1.0, "max": 1.0, "min": 1.0, "count": 1}
        clock.advance(10 * SECOND)
        assert statistics(client) == ZERO
