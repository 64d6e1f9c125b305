"""The streams' HTTP: what is refused and how, headers, and what comes first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api import stream_answers
from event_service import EventService
from settings import Settings
from streaming import Feed
from streaming.endings import SHUTDOWN
from streaming.rates import Rates
from tests.api.problems import assert_problem
from tests.conftest import START, FakeClock
from tests.streaming.sse import Message, parse
from times import SECOND, format_timestamp
from view.answers import Several

THREADED = {"SERVER_SOFTWARE": "Werkzeug/3"}
"""Environ of the development server, which has a thread for each request."""


@pytest.fixture
def settings() -> Settings:
    """Few places."""
    return Settings(max_streams=2)


@contextmanager
def opened(client: FlaskClient, path: str, headers: dict[str, str] | None = None) -> Iterator[TestResponse]:
    """A stream that is left at the end."""
    response = client.get(path, headers=headers, environ_overrides=THREADED)
    try:
        yield response
    finally:
        response.close()


def messages(response: TestResponse) -> Iterator[Message]:
    """The events as they come."""
    for chunk in response.response:
        assert isinstance(chunk, bytes)
        yield from parse(chunk)


def post(client: FlaskClient, *values: float, series: str = "AAPL") -> None:
    """Events of now."""
    client.post("/events", json={"series": series, "values": values})


def test_statistics_come_at_once_with_all_that_is_promised(client: FlaskClient, feed: Feed) -> None:
    post(client, 1.0, 2.5)
    post(client, 7.0, series="other")
    with opened(client, "/stream?series=AAPL") as response:
        answer = next(messages(response))
    assert (answer.event, answer.id) == ("statistics", "3")
    assert answer.json == {
        "count": 2,
        "min": 1.0,
        "max": 2.5,
        "mean": 1.75,
        "sum": 3.5,
        "last": {"timestamp": format_timestamp(START), "value": 2.5},
        "rate": 2.0,
    }


def test_statistics_of_nothing(client: FlaskClient, feed: Feed) -> None:
    with opened(client, "/stream") as response:
        answer = next(messages(response))
    assert answer.json == {"count": 0, "min": None, "max": None, "mean": None, "sum": 0.0, "last": None, "rate": 0.0}


def test_statistics_cover_the_window_asked_for_and_what_else_is_included(
    client: FlaskClient, feed: Feed, clock: FakeClock
) -> None:
    post(client, 1.0)
    clock.advance(10 * SECOND)
    post(client, 2.0, 4.0)
    with opened(client, "/stream?window=5s&interval=0.5&include=stddev") as response:
        answer = next(messages(response)).json
    assert (answer["count"], answer["sum"], answer["stddev"], answer["rate"]) == (2, 6.0, 1.0, 4.0)
    with opened(client, "/stream?last=1") as response:
        assert next(messages(response)).json["count"] == 1


def test_the_rate_is_over_the_interval(client: FlaskClient, feed: Feed) -> None:
    post(client, 1.0, 2.0, 3.0)
    with opened(client, "/stream?interval=1m") as response:
        assert next(messages(response)).json["rate"] == 0.05


def test_events_come_as_they_are_accepted(client: FlaskClient, feed: Feed) -> None:
    post(client, 0.5)
    with opened(client, "/series/AAPL/stream") as response:
        pieces = messages(response)
        post(client, 1.5)
        first = next(pieces)
    assert (first.event, first.id) == ("event", "2")
    assert first.json == {"series": "AAPL", "position": 2, "timestamp": format_timestamp(START), "value": 1.5}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/series/AAPL/stream", {"Last-Event-ID": "2"}),
        ("/series/AAPL/stream?after=2", {}),
        ("/v1/series/AAPL/stream?after=0", {"Last-Event-ID": "2"}),
    ],
)
def test_it_resumes_in_the_middle_of_a_batch(
    client: FlaskClient, feed: Feed, path: str, headers: dict[str, str]
) -> None:
    post(client, 1.0, 2.0, 3.0, 4.0)
    with opened(client, path, headers) as response:
        pieces = messages(response)
        assert [next(pieces).json["value"] for _ in range(2)] == [3.0, 4.0]
        assert response.headers["Log-Position"] == "2"


def test_a_last_event_id_of_another_log_is_a_gap_and_then_means_now(client: FlaskClient, feed: Feed) -> None:
    post(client, 1.0)
    with opened(client, "/series/AAPL/stream", {"Last-Event-ID": "999999"}) as response:
        assert response.headers["Log-Position"] == "1"
        pieces = messages(response)
        gap = next(pieces)
        assert (gap.event, gap.id) == ("gap", "1")
        assert gap.json == {"type": "gap", "series": "AAPL", "position": 2}
        post(client, 2.0)
        assert next(pieces).json["value"] == 2.0


@pytest.mark.parametrize("id_", ["abc", "-1", "1.5", "9" * 19, "٣"])
def test_a_last_event_id_that_is_none_is_refused(client: FlaskClient, id_: str) -> None:
    environ = {**THREADED, "HTTP_LAST_EVENT_ID": id_.encode().decode("latin-1")}
    response = client.get("/series/AAPL/stream", environ_overrides=environ)
    assert assert_problem(response, 400)["errors"].keys() == {"Last-Event-ID"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("interval=0.05", "interval"),
        ("interval=61", "interval"),
        ("interval=soon", "interval"),
        ("window=2h", "window"),
        ("window=0", "window"),
        ("last=0", "last"),
        ("series=", "series"),
        ("include=mode", "include"),
        ("intervall=1", "intervall"),
        ("interval=1&interval=2", "interval"),
    ],
)
def test_a_bad_parameter_is_refused(client: FlaskClient, query: str, field: str) -> None:
    response = client.get(f"/stream?{query}", environ_overrides=THREADED)
    assert assert_problem(response, 400)["errors"].keys() == {field}


@pytest.mark.parametrize("query", ["after=x", "since=1", "after=1&after=2"])
def test_a_bad_parameter_of_an_event_stream_is_refused(client: FlaskClient, query: str) -> None:
    assert_problem(client.get(f"/series/AAPL/stream?{query}", environ_overrides=THREADED), 400)


@pytest.mark.parametrize("interval", ["0.1", "0.1s", "1m", "60"])
def test_the_bounds_of_the_interval_are_allowed(client: FlaskClient, feed: Feed, interval: str) -> None:
    with opened(client, f"/stream?interval={interval}") as response:
        assert response.status_code == 200


def test_a_bad_series_name_is_refused(client: FlaskClient) -> None:
    assert_problem(client.get(f"/series/{'x' * 129}/stream", environ_overrides=THREADED), 400)


@pytest.mark.parametrize("path", ["/stream", "/series/AAPL/stream", "/series/BTC/USD/stream"])
def test_headers_keep_proxies_from_holding_events_back(client: FlaskClient, feed: Feed, path: str) -> None:
    with opened(client, path) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-cache"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["Log-Position"] == "0"


@pytest.mark.parametrize("path", ["/stream", "/series/AAPL/stream"])
def test_a_server_that_cannot_stream_says_so_and_the_way_out(client: FlaskClient, path: str) -> None:
    problem = assert_problem(client.get(path), 501)
    assert "-k gevent" in problem["detail"]
    assert client.get("/statistics").status_code == 200


@pytest.mark.parametrize("path", ["/ws/AAPL", "/dialects/tickers/ws/AAPL"])
def test_a_websocket_under_such_a_server_is_refused_before_the_handshake(client: FlaskClient, path: str) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert client.get(path, headers=upgrade, base_url="ws://localhost").status_code == 501


@pytest.mark.parametrize("path", ["/ws/AAPL", "/v1/ws/AAPL", "/dialects/tickers/ws/AAPL", "/dialects/tickers/ws/a%0Ab"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_that_is_no_handshake_is_told_the_way_out(client: FlaskClient, path: str, method: str) -> None:
    response = client.open(path, method=method, environ_overrides=THREADED)
    assert response.status_code == 426
    assert (response.headers["Upgrade"], response.headers["Connection"]) == ("websocket", "Upgrade")
    if method != "HEAD":
        assert "connect with a WebSocket client" in response.get_json()["detail"]
    response = client.open(path, method=method)
    assert response.status_code == 501


@pytest.mark.parametrize("path", ["/ws/AAPL", "/v1/ws/AAPL", "/dialects/tickers/ws/AAPL", "/statistics"])
def test_options_are_told_with_and_without_a_handshake(client: FlaskClient, path: str) -> None:
    for headers in ({}, {"Upgrade": "websocket", "Connection": "Upgrade"}):
        response = client.options(path, headers=headers)
        assert (response.status_code, response.data) == (204, b"")
        assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/statistics", "/series/a/stream"])
def test_a_handshake_where_there_is_no_websocket_is_told_where_one_is(client: FlaskClient, path: str) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert_problem(client.get(path, headers=upgrade, base_url="ws://localhost"), 400, "/ws/<series>")


def test_no_more_streams_than_allowed(client: FlaskClient, feed: Feed) -> None:
    with opened(client, "/stream"), opened(client, "/series/AAPL/stream"):
        response = client.get("/stream", environ_overrides=THREADED)
        assert "MAX_STREAMS" in assert_problem(response, 503)["detail"]
        assert response.headers["Retry-After"] == "5"
    with opened(client, "/stream") as response:
        assert response.status_code == 200


def test_neither_head_nor_a_client_that_leaves_at_once_keeps_a_place(client: FlaskClient, feed: Feed) -> None:
    client.head("/stream", environ_overrides=THREADED).close()
    with opened(client, "/series/AAPL/stream"):
        assert feed.open_streams == 1
    assert feed.open_streams == 0


def test_a_stream_that_the_server_ends_says_so(client: FlaskClient, feed: Feed) -> None:
    with opened(client, "/series/AAPL/stream") as response:
        feed.close()
        (last,) = messages(response)
    assert (last.event, last.json) == ("close", {"reason": SHUTDOWN.reason})


def test_a_worker_that_is_ending_sends_an_event_source_on_without_an_error(client: FlaskClient, feed: Feed) -> None:
    feed.close()
    with opened(client, "/stream") as response:
        assert response.status_code == 200
        (last,) = messages(response)
    assert last.event == "close"
    assert feed.open_streams == 0


def test_a_worker_that_is_ending_takes_no_websocket(client: FlaskClient, feed: Feed) -> None:
    feed.close()
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    response = client.get("/ws/a", headers=upgrade, base_url="ws://localhost", environ_overrides=THREADED)
    assert assert_problem(response, 503)["detail"] == SHUTDOWN.reason
    assert response.headers["Retry-After"] == "1"


def test_each_process_has_a_feed_of_its_own(app: Flask, feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        assert stream_answers.feed() is feed
        monkeypatch.setattr(os, "getpid", lambda: -1)
        assert stream_answers.feed() is not feed


def test_the_rate_counts_what_arrives_however_it_is_dated(
    client: FlaskClient, service: EventService, clock: FakeClock
) -> None:
    rates = Rates()
    subject = stream_answers.Subject(Several(("AAPL",)), None, None, (), SECOND)

    def look() -> object:
        [message] = parse(stream_answers.statistics_message(service, subject, rates).chunk)
        return message.json["rate"]

    assert look() == 0.0
    clock.advance(SECOND)
    late = format_timestamp(START - 10 * SECOND)
    client.post("/event", json={"series": "AAPL", "timestamp": late, "value": 1.0})
    post(client, 2.0, series="other")
    assert look() == 1.0
