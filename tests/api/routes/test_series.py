"""`GET /series` and `GET /series/<series>/events`."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.api.problems import assert_names, assert_problem
from tests.conftest import FakeClock
from times import HOUR, SECOND, format_timestamp


def send(client: FlaskClient, series: str, value: float, at: int) -> None:
    body = {"series": series, "timestamp": format_timestamp(at), "value": value}
    assert client.post("/event", json=body).status_code == 201


def names(client: FlaskClient, query: str = "") -> tuple[list[str], str | None]:
    body = client.get(f"/series{query}").get_json()
    return [entry["series"] for entry in body["series"]], body["next"]


def test_no_series(client: FlaskClient) -> None:
    response = client.get("/series")
    assert (response.status_code, response.json) == (200, {"series": [], "next": None})
    assert response.headers["Log-Position"] == "0"


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_a_series_shows_its_count_and_edges(client: FlaskClient, clock: FakeClock, prefix: str) -> None:
    send(client, "b", 2, clock.now)
    send(client, "b", 1, clock.now - SECOND // 2)
    send(client, "a", 3, clock.now)
    now = {"timestamp": "2025-06-26T14:30:00Z"}
    response = client.get(f"{prefix}/series")
    assert response.json == {
        "series": [
            {"series": "a", "count": 1, "first": now | {"value": 3.0}, "last": now | {"value": 3.0}},
            {
                "series": "b",
                "count": 2,
                "first": {"timestamp": "2025-06-26T14:29:59.500Z", "value": 1.0},
                "last": now | {"value": 2.0},
            },
        ],
        "next": None,
    }
    assert response.headers["Log-Position"] == "3"


def test_pages_in_the_order_of_names(client: FlaskClient, clock: FakeClock) -> None:
    for name in ("b", "a/2", "a/1", "é", "a/3", "A"):
        send(client, name, 1, clock.now)
    assert names(client) == (["A", "a/1", "a/2", "a/3", "b", "é"], None)
    assert names(client, "?limit=2") == (["A", "a/1"], "a/1")
    assert names(client, "?limit=2&after=a/1") == (["a/2", "a/3"], "a/3")
    assert names(client, "?limit=2&after=a%2F3") == (["b", "é"], None)
    assert names(client, "?prefix=a/") == (["a/1", "a/2", "a/3"], None)
    assert names(client, "?prefix=a/&limit=1&after=a/1") == (["a/2"], "a/2")
    assert names(client, "?after=no-such-name") == (["é"], None)
    assert names(client, "?prefix=") == names(client)
    assert names(client, "?prefix=web/") == ([], None)


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("limit=0", "limit", "whole number from 1 to 1000"),
        ("limit=1001", "limit", "from 1 to 1000"),
        ("limit=x", "limit", "from 1 to 1000"),
        ("limit=", "limit", "from 1 to 1000"),
        ("prefix=%00", "prefix", "control characters"),
        ("prefix=" + "x" * 129, "prefix", "1 to 128"),
        ("after=", "after", "1 to 128"),
        ("after=%0A", "after", "control characters"),
        ("after=web/", "after", "slash"),
        ("prefix=a&prefix=b", "prefix", "more than once"),
        ("page=2", "page", "known are prefix, limit, after"),
    ],
)
def test_bad_parameters_are_named(client: FlaskClient, query: str, field: str, says: str) -> None:
    assert_names(client.get(f"/series?{query}"), field, says)


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("path", ["BTC/USD", "BTC%2FUSD"])
def test_the_events_of_a_series_are_oldest_first(client: FlaskClient, clock: FakeClock, prefix: str, path: str) -> None:
    send(client, "BTC/USD", 2, clock.now)
    send(client, "BTC/USD", 1, clock.now - SECOND)
    response = client.get(f"{prefix}/series/{path}/events")
    assert response.json == {
        "series": "BTC/USD",
        "events": [
            {"timestamp": "2025-06-26T14:29:59Z", "value": 1.0},
            {"timestamp": "2025-06-26T14:30:00Z", "value": 2.0},
        ],
    }
    assert response.headers["Log-Position"] == "2"


def test_the_last_events_up_to_the_limit(client: FlaskClient) -> None:
    client.post("/events", json={"values": list(range(2000))})

    def values(query: str) -> list[float]:
        return [event["value"] for event in client.get(f"/series/default/events{query}").get_json()["events"]]

    assert values("") == list(range(1900, 2000))
    assert values("?limit=1") == [1999]
    assert values("?limit=1000") == list(range(1000, 2000))


def test_history_outlives_the_retention(client: FlaskClient, clock: FakeClock) -> None:
    send(client, "a", 1, clock.now)
    clock.advance(2 * HOUR)
    assert len(client.get("/series/a/events").get_json()["events"]) == 1


def test_an_unknown_series_is_not_found(client: FlaskClient, clock: FakeClock) -> None:
    send(client, "a", 1, clock.now)
    response = client.get("/series/nope/events")
    assert_problem(response, 404, "no series 'nope'")
    assert response.headers["Log-Position"] == "1"


@pytest.mark.parametrize("limit", ["0", "1001", "", "x", "-1", "1.0", "9" * 1000])
def test_a_bad_limit(client: FlaskClient, limit: str) -> None:
    assert_names(client.get(f"/series/nope/events?limit={limit}"), "limit", "whole number from 1 to 1000")
    assert_names(client.get("/series/nope/events?last=1"), "last", "Unknown parameter")


def test_names_may_look_like_routes(client: FlaskClient, clock: FakeClock) -> None:
    for name in ("events", "a/events", "/a", "a//b"):
        send(client, name, 1, clock.now)
        assert client.get(f"/series/{name}/events").get_json()["series"] == name
