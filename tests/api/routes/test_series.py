"""`GET /series` and `GET /series/<series>/events`."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from event_service import EventService
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
        ("page=2", "page", "known are window, last, include, percentiles, prefix, limit, after, sort"),
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


class TestDelete:
    @pytest.mark.parametrize("prefix", ["", "/v1"])
    def test_a_series_ends(self, client: FlaskClient, clock: FakeClock, prefix: str) -> None:
        for name in ("a/b", "a"):
            send(client, name, 1, clock.now)
        response = client.delete(f"{prefix}/series/a/b")
        assert (response.status_code, response.data, response.headers["Log-Position"]) == (204, b"", "3")
        assert "Content-Type" not in response.headers
        assert names(client) == (["a"], None)
        assert client.get("/statistics/a/b").get_json()["count"] == 0
        assert client.get("/statistics").get_json()["count"] == 1
        assert client.get("/series/a/b/events").status_code == 404

    def test_one_that_is_not_there(self, client: FlaskClient, clock: FakeClock) -> None:
        send(client, "a", 1, clock.now)
        problem = assert_problem(client.delete("/series/b"), 404)
        assert "no series 'b'" in problem["detail"]
        client.delete("/series/a")
        response = client.delete("/series/a")
        assert_problem(response, 404)
        assert response.headers["Log-Position"] == "2"

    @pytest.mark.parametrize("ask", [("DELETE", "/series/a"), ("GET", "/series/a/events")])
    def test_a_404_tells_where_the_log_stood_when_it_was_true(
        self, client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch, ask: tuple[str, str]
    ) -> None:
        """Another worker may begin or end the series just before or after; asking for a position then tells another."""
        monkeypatch.setattr(service, "position", lambda: 7)
        response = client.open(ask[1], method=ask[0])
        assert (response.status_code, response.headers["Log-Position"]) == (404, "0")

    @pytest.mark.parametrize("part", ["events", "stream"])
    def test_what_belongs_to_a_series_is_not_deleted(self, client: FlaskClient, clock: FakeClock, part: str) -> None:
        for name in ("a", f"a/{part}"):
            send(client, name, 1, clock.now)
        assert client.delete(f"/series/a/{part}").status_code == 405
        assert names(client) == (["a", f"a/{part}"], None)

    def test_its_name_may_begin_anew(self, client: FlaskClient, clock: FakeClock) -> None:
        send(client, "a", 1, clock.now)
        client.delete("/series/a")
        send(client, "a", 5, clock.now)
        assert client.get("/statistics/a").get_json() == {"count": 1, "min": 5.0, "max": 5.0, "mean": 5.0}

    def test_no_parameter_passes_silently(self, client: FlaskClient, clock: FakeClock) -> None:
        send(client, "a", 1, clock.now)
        assert_problem(client.delete("/series/a?force=yes"), 400)
        assert names(client) == (["a"], None)


def send_all(client: FlaskClient, clock: FakeClock) -> None:
    """Of a 3 events and an old one, of b 1, of c 2, of d none in the last ten minutes."""
    for series, values in (("a", (1, 2, 9)), ("b", (5,)), ("c", (7, 3))):
        for age, value in enumerate(values):
            send(client, series, value, clock.now - age * SECOND)
    send(client, "a", 100, clock.now - 1800 * SECOND)
    send(client, "d", 4, clock.now - 1900 * SECOND)


def test_entries_show_statistics_when_asked_for(client: FlaskClient, clock: FakeClock) -> None:
    send_all(client, clock)
    body = client.get("/series?window=10m&include=median,last&limit=2").get_json()
    assert [entry["series"] for entry in body["series"]] == ["a", "b"]
    assert body["next"] == "b"
    assert body["series"][0]["count"] == 4
    assert body["series"][0]["statistics"] == {"count": 3, "min": 1.0, "max": 9.0, "mean": 4.0, "median": 2.0} | {
        "last": {"timestamp": "2025-06-26T14:30:00Z", "value": 1.0}
    }
    for query, counts in {
        "window=10m": [3, 1, 2, 0],
        "last=1": [1, 1, 1, 1],
        "window=10m&last=2": [2, 1, 2, 0],
        "include=sum": [4, 1, 2, 1],
        "sort=name&percentiles=linear": [4, 1, 2, 1],
    }.items():
        found = client.get(f"/series?{query}").get_json()["series"]
        assert [entry["statistics"]["count"] for entry in found] == counts
        for entry in found:
            alone = client.get(f"/statistics/{entry['series']}?{query.replace('sort=name&', '')}").get_json()
            assert entry["statistics"] == alone
    assert "statistics" not in client.get("/series?limit=9").get_json()["series"][0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=name", "abcd"),
        ("sort=-name", "dcba"),
        ("sort=count", "bdca"),
        ("sort=-count", "acbd"),
        ("sort=-count&window=10m", "acbd"),
        ("sort=mean&window=10m", "abcd"),
        ("sort=-mean&window=10m", "bcad"),
        ("sort=-max", "acbd"),
        ("sort=p50&window=10m", "acbd"),
        ("sort=-p50&window=10m&percentiles=linear", "bcad"),
        ("sort=-median&last=1", "cbda"),
        ("sort=last", "adbc"),
        ("sort=-first&window=10m", "abcd"),
        ("sort=-count&limit=2", "ac"),
        ("sort=count&prefix=c", "c"),
        ("sort=stddev&window=10m", "bcad"),
    ],
)
def test_the_order_of_any_statistic(client: FlaskClient, clock: FakeClock, query: str, expected: str) -> None:
    send_all(client, clock)
    body = client.get(f"/series?{query}").get_json()
    assert "".join(entry["series"] for entry in body["series"]) == expected
    assert body["next"] is None


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("sort=", "sort", "known are name, count, min, max, mean, sum"),
        ("sort=--count", "sort", "There is no '-count'"),
        ("sort=p101", "sort", "There is no 'p101'"),
        ("sort=value", "sort", "known are name"),
        ("sort=count&after=a", "after", "Only goes with the order of names"),
        ("sort=-name&after=a", "after", "Only goes with the order of names"),
        ("window=2h", "window", "the longest window is 1h"),
        ("include=counts", "include", "There is no 'counts'"),
    ],
)
def test_bad_orders_are_named(client: FlaskClient, query: str, field: str, says: str) -> None:
    assert_names(client.get(f"/series?{query}"), field, says)


def test_pages_in_the_order_of_names_go_on(client: FlaskClient, clock: FakeClock) -> None:
    send_all(client, clock)
    first = client.get("/series?window=10m&limit=3").get_json()
    assert (len(first["series"]), first["next"]) == (3, "c")
    rest = client.get("/series?window=10m&limit=3&sort=name&after=c").get_json()
    assert ([entry["series"] for entry in rest["series"]], rest["next"]) == (["d"], None)
