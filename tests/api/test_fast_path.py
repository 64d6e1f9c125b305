"""Nobody can tell the fast path from Flask."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from flask import Flask

import app as composition
from api.context import context
from api.fast_path import FastPath, Way, is_bare, native_takes
from api.flask_app import route_of
from api.reading.bodies import JSON
from event_log.errors import LogUncertain
from settings import Settings
from tests.api.both_ways import SEED, Side, first_difference, of_flask
from tests.api.generated import Generator
from tests.conftest import START, FakeClock


@pytest.mark.no_cover
@pytest.mark.soak(requests=(1_000, 100_000))
def test_nobody_can_tell(requests: int) -> None:
    assert not first_difference(of_flask(requests))


def test_plain_requests_take_the_fast_path_and_others_do_not() -> None:
    clock = FakeClock()
    side = Side(clock, fast=True)
    generator = Generator(SEED)
    for _ in range(1_000):
        side.tell(generator.request(clock.now))
    assert 400 < side.left < 650


def test_what_went_this_way_is_counted_under_the_names_of_flask() -> None:
    side = Side(FakeClock(), fast=True)
    counted: list[tuple[str, str, int]] = []
    takes = native_takes(context(side.app).service)
    side.path = FastPath(side.app, takes, lambda *told: counted.append(told[:3]))
    generator = Generator(SEED)
    seen: set[tuple[str, str, int]] = set()
    for _ in range(1_000):
        request = generator.request(START)
        environ = request.environ
        before = len(counted)
        status = int(side.tell(request)[0][:3])
        if len(counted) > before:
            route = side.app.url_map.bind("x").match(environ["PATH_INFO"], environ["REQUEST_METHOD"], return_rule=True)
            seen.add((route_of(route[0].rule), environ["REQUEST_METHOD"], status))
    assert set(counted) == seen
    assert {rule for rule, _, _ in seen} > {"/event", "/v1/events", "/statistics", "/v1/statistics/<series>"}


BODY = b'{"timestamp": "2025-06-26T14:30:00Z", "value": 1}'


def path_and_way(app: Flask, **fields: str) -> tuple[FastPath, Way]:
    """The fast path of an application, and the way of a plain POST of BODY."""
    path = context(app).fast_path(app)
    assert path is not None
    way = path.of("POST", "/event", "", {"CONTENT-TYPE": JSON, "CONTENT-LENGTH": str(len(BODY)), **fields})
    assert way is not None
    return path, way


def test_a_bug_is_answered_as_flask_answers_it_and_not_tried_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[object] = []

    def fail(*args: object) -> None:
        tried.append(args)
        raise RuntimeError("a bug")

    app.testing = False
    context(app).service.start()
    monkeypatch.setattr(context(app).service.log, "append_one", fail)
    counted: list[Any] = []
    monkeypatch.setattr(context(app).meter, "request", lambda *told: counted.append(told[:3]))
    path, way = path_and_way(app, **{"X-REQUEST-ID": "x1"})
    answer = path.answer(way, BODY, b"Server: x\r\n")
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 500 INTERNAL SERVER ERROR\r\nServer: x\r\n")
    assert b"\r\nX-Request-ID: x1\r\n" in answer
    assert b"request id x1" in answer
    assert len(tried) == 1
    assert counted == [("/event", "POST", 500)]
    assert "a bug" in caplog.text


def test_what_may_have_been_stored_is_not_tried_again_through_flask(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, flasks = Side(FakeClock(), fast=True), Side(FakeClock(), fast=False)
    tried: list[object] = []

    def lose(*what: object) -> int:
        tried.append(what)
        raise LogUncertain("the answer was lost")

    for side in (ours, flasks):
        for name in ("append", "append_one"):
            monkeypatch.setattr(context(side.app).service.log, name, lose)
    generator = Generator(SEED)
    lost = Counter[str]()
    for _ in range(500):
        request = generator.request(START)
        tried.clear()
        told = ours.tell(request)
        assert len(tried) <= 1
        assert told == flasks.tell(request)
        lost[told[0]] += len(tried)
    assert +lost == {"503 SERVICE UNAVAILABLE": lost.total()}
    assert lost.total() > 100


@pytest.mark.parametrize("settings", [Settings(cors_origins=("*",)), Settings(log_level="DEBUG")])
def test_hooks_see_every_request(settings: Settings) -> None:
    app = composition.create_app(settings)
    assert not is_bare(app, "POST", "/event")
    assert not is_bare(app, "GET", "/statistics")
    path = context(app).fast_path(app)
    assert path is not None
    assert path.of("GET", "/statistics", "", {"HOST": "x"}) is None
    assert path.of("POST", "/event", "", {"CONTENT-TYPE": JSON, "CONTENT-LENGTH": "1"}) is None


@pytest.mark.parametrize(("length", "is_plain"), [("0", True), ("2", False), ("00", False), ("", False), ("-0", False)])
def test_a_get_that_tells_the_length_of_no_body_takes_the_fast_path(app: Flask, length: str, is_plain: bool) -> None:
    path = context(app).fast_path(app)
    assert path is not None
    way = path.of("GET", "/statistics", "", {"HOST": "localhost", "CONTENT-LENGTH": length})
    assert (way is not None) == is_plain  # what is left of a body would be read as the next request


def test_a_hook_of_one_blueprint_leaves_the_others_alone() -> None:
    app = composition.create_app(Settings())
    app.before_request_funcs.setdefault("v1_events", []).append(lambda: None)
    assert is_bare(app, "GET", "/statistics")
    assert not is_bare(app, "POST", "/v1/event")


def test_nothing_is_gone_round() -> None:
    app = composition.create_app(Settings())
    assert context(app).fast_path(app) is not None
    assert context(app).fast_path(lambda *args: app(*args)) is None
    inner = app.wsgi_app
    app.wsgi_app = lambda *args: inner(*args)  # type: ignore[method-assign]  # how Flask has it done
    assert context(app).fast_path(app) is None


def test_a_query_is_read_under_the_retention_of_its_moment(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = path_and_way(app)
    way = path.of("GET", "/statistics", "window=30m", {})
    assert way is not None
    assert path.answer(way, b"", b"") is not None
    service = context(app).service
    shorter = service.rules._replace(retention=60_000_000)
    monkeypatch.setattr(type(service), "rules", shorter)
    assert path.answer(way, b"", b"") is None
