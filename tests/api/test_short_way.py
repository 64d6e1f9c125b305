"""Nobody can tell the short way from Flask."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi as gunicorn_wsgi
from gunicorn.http.parser import RequestParser

import app as composition
from api import short_way
from api.context import context
from api.flask_app import route_of
from api.reading.bodies import JSON
from api.short_way import ShortWay, is_bare, native_takes
from event_log.base import LogUncertain
from settings import Settings
from tests.api.both_ways import ENOUGH, SEED, Side, first_difference
from tests.api.generated import Generator
from tests.api.problems import assert_problem
from tests.conftest import START, FakeClock


@pytest.mark.no_cover
@pytest.mark.soak(requests=(ENOUGH, 100_000))
def test_nobody_can_tell(requests: int) -> None:
    assert not first_difference(requests)


def test_plain_requests_take_the_short_way_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    side = Side(clock, short=True)
    left: list[str] = []

    def leave(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        left.append(environ["PATH_INFO"])
        start_response("left", [])
        return []

    monkeypatch.setattr(side.app.wsgi_app, "_flask", leave)
    generator = Generator(SEED)
    statuses = Counter(side.tell(generator.request(clock.now))[0] for _ in range(2_000))
    assert statuses.keys() == {"200 OK", "201 CREATED", "204 NO CONTENT", "left"}
    assert 800 < statuses["left"] < 1_200
    assert statuses["left"] == len(left)


def test_what_went_this_way_is_counted_under_the_names_of_flask() -> None:
    side = Side(FakeClock(), short=True)
    counted: list[tuple[str, str, int]] = []
    way = ShortWay(side.app, native_takes(context(side.app).service), lambda *told: counted.append(told[:3]))
    side.call = way
    generator = Generator(SEED)
    seen: set[tuple[str, str, int]] = set()
    for _ in range(2_000):
        request = generator.request(START)
        environ = request.environ
        before = len(counted)
        status = int(side.tell(request)[0][:3])
        if len(counted) > before:
            route = side.app.url_map.bind("x").match(environ["PATH_INFO"], environ["REQUEST_METHOD"], return_rule=True)
            seen.add((route_of(route[0].rule), environ["REQUEST_METHOD"], status))
    assert set(counted) == seen
    assert {rule for rule, _, _ in seen} > {"/event", "/v1/events", "/statistics", "/v1/statistics/<series>"}


def test_a_bug_is_answered_as_flask_answers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("a bug")

    side = Side(FakeClock(), short=True)
    monkeypatch.setattr(context(side.app).service.log, "append_one", fail)
    body = b'{"timestamp": "2025-06-26T14:30:00Z", "value": 1}'
    answer = side.app.test_client().post("/event", data=body, headers={"X-Request-ID": "x1"}, content_type=JSON)
    assert answer.headers["X-Request-ID"] == "x1"
    assert_problem(answer, 500, "request id x1")


def test_what_may_have_been_stored_is_not_tried_again_through_flask(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, flasks = Side(FakeClock(), short=True), Side(FakeClock(), short=False)
    tried: list[object] = []

    def lose(*what: object) -> int:
        tried.append(what)
        raise LogUncertain("the answer was lost")

    for side in (ours, flasks):
        for name in ("append", "append_one"):
            monkeypatch.setattr(side.log, name, lose)
    generator = Generator(SEED)
    lost = Counter[str]()
    for _ in range(1_000):
        request = generator.request(START)
        tried.clear()
        told = ours.tell(request)
        assert len(tried) <= 1
        assert told == flasks.tell(request)
        lost[told[0]] += len(tried)
    assert +lost == {"503 SERVICE UNAVAILABLE": lost.total()}
    assert lost.total() > 200


@pytest.mark.parametrize("settings", [Settings(cors_origins=("*",)), Settings(log_level="DEBUG")])
def test_hooks_see_every_request(settings: Settings) -> None:
    app = composition.create_app(settings)
    assert not is_bare(app, "POST", "/event")
    assert not is_bare(app, "GET", "/statistics")
    assert isinstance(app.wsgi_app, ShortWay)
    assert not app.wsgi_app._takes
    assert not app.wsgi_app._statistics


def test_a_hook_of_one_blueprint_leaves_the_others_alone() -> None:
    app = composition.create_app(Settings())
    app.before_request_funcs.setdefault("v1_events", []).append(lambda: None)
    assert is_bare(app, "GET", "/statistics")
    assert not is_bare(app, "POST", "/v1/event")


def test_gunicorn_hands_over_nothing_unknown() -> None:
    """Else its requests would all go to Flask, and only the benchmarks would tell."""
    client, server = socket.socketpair()
    with client, server:
        client.sendall(
            b"POST /event HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n1"
        )
        request = next(RequestParser(config := Config(), server, ("127.0.0.1", 1)))
        _, environ = gunicorn_wsgi.create(request, server, ("127.0.0.1", 1), ("127.0.0.1", 2), config)
    assert environ.keys() <= short_way._WITH_BODY
