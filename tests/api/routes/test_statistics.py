"""`GET /statistics` and `GET /statistics/<series>`."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from urllib.parse import quote, unquote_to_bytes

import pytest
from flask.testing import FlaskClient

from app import create_app
from event_log.memory_store import MemoryStore
from settings import Settings
from tests.api.problems import assert_names
from tests.conftest import FakeClock
from times import HOUR, MINUTE, SECOND, format_timestamp

EMPTY = {"count": 0, "min": None, "max": None, "mean": None}


def send(client: FlaskClient, *values: float, series: str = "default", at: int | None = None) -> None:
    body: dict[str, object] = {"series": series, "values": values}
    if at is not None:
        body["timestamps"] = [format_timestamp(at)] * len(values)
    assert client.post("/events", json=body).status_code == 201


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_statistics_over_all_series_and_over_one(client: FlaskClient, prefix: str) -> None:
    send(client, 1, 4, series="a")
    send(client, 10, series="b")
    response = client.get(f"{prefix}/statistics")
    assert response.status_code == 200
    assert response.text == '{"count":3,"min":1.0,"max":10.0,"mean":5.0}\n'
    assert response.content_type == "application/json"
    assert response.headers["Log-Position"] == "3"
    assert client.get(f"{prefix}/statistics/a").json == {"count": 2, "min": 1.0, "max": 4.0, "mean": 2.5}


def test_no_events_are_null_statistics(client: FlaskClient) -> None:
    response = client.get("/statistics")
    assert (response.status_code, response.json, response.headers["Log-Position"]) == (200, EMPTY, "0")
    send(client, 1, series="a")
    response = client.get("/statistics/never-seen")
    assert (response.status_code, response.json, response.headers["Log-Position"]) == (200, EMPTY, "1")


@pytest.mark.parametrize("query", ["", "?last=3", "?include=median", "?at=2025-06-26T14:30:30Z"])
def test_an_unknown_series_is_told_in_a_header(client: FlaskClient, clock: FakeClock, query: str) -> None:
    send(client, 1, series="a")
    for path, known in (("/statistics/none", "false"), ("/statistics/a", None), ("/statistics", None)):
        assert client.get(path + query).headers.get("Series-Known") == known


def test_percentiles_may_have_zeros_in_front(client: FlaskClient) -> None:
    send(client, *range(1000))
    found = client.get("/statistics?include=p050,p50,p00.1,p0.1,p05").get_json()
    assert [found[name] for name in ("p050", "p50", "p00.1", "p0.1", "p05")] == [499, 499, 0, 0, 49]


def test_an_earliest_moment_that_is_named_can_be_asked_for(client: FlaskClient, clock: FakeClock) -> None:
    clock.advance(1)
    for query in ("", "window=10m&", "last=5&"):
        response = client.get(f"/statistics?{query}at=2025-06-26T00:00:00Z")
        says = response.get_json()["errors"]["at"][0]
        moment = says.partition("the earliest is ")[2].rstrip(".").partition(",")[0]
        clock.advance(2 * SECOND)
        assert client.get(f"/statistics?{query}at={moment}").status_code == 200


def test_no_earliest_moment_is_named_where_there_is_none(settings: Settings, clock: FakeClock) -> None:
    store = MemoryStore(clock.moment)
    client = create_app(replace(settings, max_future=0), clock=clock, store=store).test_client()
    response = client.get("/statistics?at=2025-06-26T00:00:00Z")
    assert_names(response, "at", "behind the retention there; shorten `window`")


def test_the_configured_window_ends_to_the_microsecond(client: FlaskClient, clock: FakeClock) -> None:
    send(client, 5)
    clock.advance(HOUR - 1)
    assert client.get("/statistics").get_json()["count"] == 1
    clock.advance(1)
    assert client.get("/statistics").json == EMPTY


def test_a_window_and_the_last_n(client: FlaskClient, clock: FakeClock) -> None:
    for age, value in ((90, 1.0), (45, 2.0), (30, 3.0), (0, 4.0)):
        send(client, value, at=clock.now - age * SECOND)
    for query, values in {
        "": [1, 2, 3, 4],
        "window=1m": [2, 3, 4],
        "window=60": [2, 3, 4],
        "window=45.000001s": [2, 3, 4],
        "window=45s": [3, 4],
        "window=1h": [1, 2, 3, 4],
        "last=1": [4],
        "last=3": [2, 3, 4],
        "last=100000000": [1, 2, 3, 4],
        "window=1m&last=2": [3, 4],
        "last=2&window=1s": [4],
        "window=1m&last=50": [2, 3, 4],
    }.items():
        for path in ("/statistics", "/statistics/default"):
            found = client.get(f"{path}?{query}").get_json()
            assert found == {"count": len(values), "min": values[0], "max": 4.0, "mean": sum(values) / len(values)}


def test_the_last_n_outlive_the_retention(client: FlaskClient, clock: FakeClock) -> None:
    send(client, 1, 2, 3)
    clock.advance(2 * HOUR)
    assert client.get("/statistics").json == EMPTY
    assert client.get("/statistics?last=2").json == {"count": 2, "min": 2.0, "max": 3.0, "mean": 2.5}


def test_included_statistics_are_exact(client: FlaskClient, clock: FakeClock) -> None:
    values = [0.1, 0.2, 1e17, 0.3, -1e17]
    send(client, *values, at=clock.now - MINUTE)
    send(client, 7.5)
    values.append(7.5)
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / 6
    variance = sum((value - mean) ** 2 for value in exact) / 6
    found = client.get("/statistics?include=sum,variance,stddev,first,last").get_json()
    assert list(found) == ["count", "min", "max", "mean", "sum", "variance", "stddev", "first", "last"]
    assert found["sum"] == float(sum(exact))
    assert found["mean"] == float(mean)
    assert found["variance"] == float(variance)
    assert math.isclose(found["stddev"], math.sqrt(variance), rel_tol=1e-15)
    assert found["first"] == {"timestamp": "2025-06-26T14:29:00Z", "value": 0.1}
    assert found["last"] == {"timestamp": "2025-06-26T14:30:00Z", "value": 7.5}


def test_included_statistics_of_no_events(client: FlaskClient) -> None:
    found = client.get("/statistics?include=last,sum,variance,stddev,first").json
    assert found == EMPTY | {"sum": 0.0, "variance": None, "stddev": None, "first": None, "last": None}


def test_a_result_beyond_the_doubles_is_null(client: FlaskClient) -> None:
    send(client, 1.7e308, 1.7e308, -1.7e308)
    found = client.get("/statistics?include=sum,variance,stddev").get_json()
    assert found["sum"] == 1.7e308
    assert found["variance"] is None
    assert found["stddev"] > 1e308


def test_only_what_is_asked_for_is_included(client: FlaskClient) -> None:
    assert list(client.get("/statistics?include=sum,sum").get_json()) == ["count", "min", "max", "mean", "sum"]


@pytest.mark.parametrize("path", ["/statistics/py/", "/statistics/py//", "/statistics/%2F", "/series/py//events"])
def test_a_slash_at_the_end_of_a_path_is_no_other_series(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 400
    assert response.get_json()["errors"] == {"series": ["Must not end with a slash; leave it out."]}


@pytest.mark.parametrize(
    "name", ["BTC/USD", "température", "a b", "/a", "//a", "a//b", "x/events", ".", "%41", "?", "😀"]
)
def test_series_names_in_paths(client: FlaskClient, name: str) -> None:
    send(client, 1, series=name)
    for path in (quote(name, safe=""), quote(name, safe="/")):
        response = client.get(f"/statistics/{path}")
        assert response.status_code == 200
        assert response.get_json()["count"] == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("%00", "control characters"),
        ("a%0Ab", "control characters"),
        ("%C2%85", "control characters"),
        ("%7F", "control characters"),
        ("%FF", "not UTF-8"),
        ("%ED%A0%80", "not UTF-8"),
        ("x" * 129, "1 to 128 characters, not 129"),
    ],
)
@pytest.mark.parametrize("path", ["/statistics/{}", "/v1/statistics/{}", "/series/{}/events"])
def test_series_names_that_are_none(client: FlaskClient, path: str, name: str, says: str) -> None:
    raw = unquote_to_bytes(path.format(name)).decode("latin-1")  # as a server hands it on
    assert_names(client.get("/", environ_overrides={"PATH_INFO": raw}), "series", says)


def test_the_replacement_character_is_a_name_like_another(client: FlaskClient) -> None:
    send(client, 1, series="\ufffd")
    assert client.get("/statistics/%EF%BF%BD").get_json()["count"] == 1


@pytest.mark.parametrize(
    ("query", "field", "says"),
    [
        ("window=2h", "window", "the longest window is 1h"),
        ("window=1h0.000001s", "window", "the longest window is 1h"),
        ("window=" + "9" * 30, "window", "the longest window is 1h"),
        ("window=0", "window", "'0' is not above zero"),
        ("window=0s", "window", "above zero and at most 1h."),
        ("window=0.0000001", "window", "not above zero"),
        ("window=-5s", "window", "above zero and at most 1h."),
        ("window=-5", "window", "above zero and at most 1h."),
        ("window=%ff", "window", "Not UTF-8."),
        ("window=1s&%ff=1", "\ufffd", "Not UTF-8."),
        ("window=", "window", "not a duration"),
        ("window", "window", "not a duration"),
        ("window=abc", "window", "not a duration"),
        ("window=1h 30m", "window", "not a duration"),
        ("window=٣s", "window", "not a duration"),
        ("window=1e3", "window", "not a duration"),
        ("window=" + "9" * 3000, "window", "not a duration"),
        ("window=60s&window=60s", "window", "more than once"),
        ("last=0", "last", "whole number from 1 to 100000000"),
        ("last=100000001", "last", "from 1 to 100000000"),
        ("last=-1", "last", "from 1 to"),
        ("last=", "last", "from 1 to"),
        ("last=1.5", "last", "from 1 to"),
        ("last=1e3", "last", "from 1 to"),
        ("last=1_000", "last", "from 1 to"),
        ("last=%2B5", "last", "from 1 to"),
        ("last=%205", "last", "from 1 to"),
        ("last=5%0A", "last", "from 1 to"),
        ("last=٣", "last", "from 1 to"),
        ("last=" + "9" * 3000, "last", "from 1 to"),
        ("last=1&last=2", "last", "more than once"),
        ("include=mode", "include", "known are sum, variance, stddev, first, last, median, and p0 to p100"),
        ("include=p", "include", "known are"),
        ("include=p101", "include", "known are"),
        ("include=p100.1", "include", "known are"),
        ("include=p99.99999", "include", "known are"),
        ("include=p-1", "include", "known are"),
        ("include=p1e1", "include", "known are"),
        ("include=p.5", "include", "known are"),
        ("include=P99", "include", "known are"),
        ("include=p٣", "include", "known are"),
        ("include=p99%0A", "include", "known are"),
        (
            "include=" + ",".join(f"p{number}" for number in range(21)),
            "include",
            "Names 21 percentiles; 20 are the most",
        ),
        ("percentiles=", "percentiles", "nearest or linear"),
        ("percentiles=Linear", "percentiles", "nearest or linear"),
        ("at=", "at", "Not an ISO-8601"),
        ("at=1750948199", "at", "the earliest is 2025-06-26T14:30:05Z"),
        ("at=2025-06-26", "at", "A date without a time"),
        ("at=2025-06-26T14:29:59Z", "at", "A window of 1h reaches behind the retention there"),
        ("at=2025-06-26T14:29:59Z", "at", "the earliest is 2025-06-26T14:30:05Z"),
        ("window=10m&at=2025-06-26T13:39:59Z", "at", "the earliest is 2025-06-26T13:40:05Z"),
        ("last=5&at=2025-06-26T13:29:59Z", "at", "the earliest is 2025-06-26T13:30:05Z"),
        ("window=10m&at=2025-06-26T14:31:00.000001Z", "at", "More than 1m ahead of the server's clock"),
        ("at=0001-01-01T00:00:00Z", "at", "behind the retention"),
        ("include=", "include", "known are"),
        ("include=sum,", "include", "known are"),
        ("include=Sum", "include", "known are"),
        ("include=counts", "include", "known are"),
        ("include=" + "x" * 3000, "include", "known are"),
        ("include=sum&include=last", "include", "more than once"),
        ("windows=60s", "windows", "window, last, include, percentiles, at."),
        ("=1", "", "Unknown parameter"),
    ],
)
def test_bad_parameters_are_named(client: FlaskClient, query: str, field: str, says: str) -> None:
    for path in ("/statistics", "/statistics/a"):
        assert_names(client.get(f"{path}?{query}"), field, says)


def test_an_empty_query_string_is_none(client: FlaskClient) -> None:
    assert client.get("/statistics?").json == EMPTY


class TestShortRetention:
    """The limit is the retention in force."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(window=MINUTE, retention=5 * MINUTE)

    def test_the_limit_is_named(self, client: FlaskClient) -> None:
        assert client.get("/statistics?window=5m").status_code == 200
        assert_names(client.get("/statistics?window=301"), "window", "the longest window is 5m")


def test_raw_bytes_in_a_query_that_are_not_utf_8(client: FlaskClient) -> None:
    response = client.get("/statistics", environ_overrides={"QUERY_STRING": "window=\xff"})
    assert_names(response, "window", "Not UTF-8.")


def test_head_and_options(client: FlaskClient) -> None:
    send(client, 1)
    response = client.head("/statistics")
    assert (response.status_code, response.data, response.headers["Log-Position"]) == (200, b"", "1")
    response = client.options("/statistics/a")
    assert response.status_code == 204
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_percentiles_are_values_of_events(client: FlaskClient) -> None:
    send(client, 4, 1, 3, 2)
    found = client.get("/statistics?include=p0,p25,median,p75.0001,sum,p99.9,p100").get_json()
    assert list(found) == ["count", "min", "max", "mean", "p0", "p25", "median", "p75.0001", "sum", "p99.9", "p100"]
    assert [found[name] for name in ("p0", "p25", "median", "p75.0001", "p99.9", "p100")] == [1, 1, 2, 4, 4, 4]
    found = client.get("/statistics?include=p25,median,p100&percentiles=linear").get_json()
    assert [found[name] for name in ("p25", "median", "p100")] == [1.75, 2.5, 4.0]
    assert client.get("/statistics?include=median&percentiles=nearest").get_json()["median"] == 2.0


def test_percentiles_of_no_events_are_null(client: FlaskClient) -> None:
    for path in ("/statistics", "/statistics/never-seen"):
        assert client.get(f"{path}?include=median,p99").json == EMPTY | {"median": None, "p99": None}


def test_percentiles_of_the_last_n_and_of_a_window(client: FlaskClient, clock: FakeClock) -> None:
    for age in range(100):
        send(client, age, at=clock.now - age * SECOND)
    for path in ("/statistics", "/statistics/default"):
        assert client.get(f"{path}?include=median&last=11").get_json()["median"] == 5.0
        assert client.get(f"{path}?include=median&window=21s").get_json()["median"] == 10.0
        assert client.get(f"{path}?include=median&last=3&window=21s").get_json()["median"] == 1.0
    clock.advance(3 * HOUR)
    for path in ("/statistics", "/statistics/default"):
        assert client.get(f"{path}?include=median&last=11").get_json()["median"] == 5.0


def test_statistics_as_of_a_moment(client: FlaskClient, clock: FakeClock) -> None:
    for age in range(60):
        send(client, age, at=clock.now - age * MINUTE)
    for path in ("/statistics", "/statistics/default"):
        for query, least, most in (
            ("window=10m&at=2025-06-26T14:20:00Z", 10, 19),
            ("window=10m&at=2025-06-26T16:20:00%2B02:00", 10, 19),
            ("window=10m&at=2025-06-26T14:20:00", 10, 19),
            ("window=10m&at=2025-06-26T16:20:00+02:00", 10, 19),  # of which a space comes
            ("window=10m&at=2025-06-26+15:20:00.0+01", 10, 19),
            ("window=10m&at=2025-06-26T14:19:59.999999Z", 11, 20),
            ("window=10m&last=3&at=2025-06-26T14:20:00Z", 10, 12),
            ("last=3&at=2025-06-26T14:20:00Z", 10, 12),
            ("last=1000&at=2025-06-26T14:20:00Z", 10, 59),
            ("at=2025-06-26T14:30:00Z", 0, 59),
            ("window=2m&at=2025-06-26T14:31:00Z", 0, 0),
        ):
            found = client.get(f"{path}?include=median,first,last&{query}").get_json()
            assert (found["min"], found["max"], found["count"]) == (least, most, most - least + 1)
            assert found["median"] == sorted(range(least, most + 1))[(most - least) // 2]
            assert (found["first"]["value"], found["last"]["value"]) == (most, least)


def test_a_moment_counts_with_events_that_came_later(client: FlaskClient, clock: FakeClock) -> None:
    moment = format_timestamp(clock.now)
    clock.advance(MINUTE)
    send(client, 1, at=clock.now - MINUTE)
    send(client, 2)
    assert client.get(f"/statistics?window=1m&at={moment}").get_json()["count"] == 1
