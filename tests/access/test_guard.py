"""Every operation of the OpenAPI document, without a key and with each kind of key; and what only some of them do."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import app as composition
from access.keys import SCOPES
from api import boundary
from api.context import context
from api.guard import Guard, guard_of, lease, need_of
from api.openapi.document import build
from event_log.memory_store import MemoryStore
from event_service import EventService
from settings import BadSetting, Settings
from watched.file import LOOK_SECONDS

from ..conftest import FakeClock
from .guarded import KEYS, START, TOKENS, Call, basic, bearer, calls, write_keys


def described(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    with app.app_context():
        return build(app)


CALLS = list(calls(described(composition.create_app(Settings(), store=MemoryStore()))))
OPEN = {"/health", "/health/live", "/health/ready", "/dialects/tickers/health"} | {
    f"/dialects/influx/{name}" for name in ("health", "ping")
}
GUARDED = [call for call in CALLS if call.path not in OPEN]
each_call = pytest.mark.parametrize("call", CALLS, ids=str)
each_guarded_call = pytest.mark.parametrize("call", GUARDED, ids=str)

REACHES_ITS_VIEW = range(200, 600)


@pytest.fixture
def settings(key_file: Path) -> Settings:
    return Settings(log_url="memory:", keys=str(key_file))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An application behind keys that the tests of every operation share: to make one for each took most of them."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    write_keys(keys)
    app = composition.create_app(Settings(log_url="memory:", keys=str(keys)), clock=FakeClock())
    app.testing = True
    stored(context(app).service)  # the first question puts the settings in force, which is a record
    return app


@pytest.fixture(scope="module")
def unguarded() -> Flask:
    """The same without keys."""
    return composition.create_app(Settings(), store=MemoryStore())


@pytest.fixture
def guard(app: Flask) -> Guard:
    guard = guard_of(app)
    assert guard is not None
    return guard


@pytest.fixture
def look(guard: Guard) -> Callable[[], None]:
    """Let the time pass after which the file is looked at again."""

    def look() -> None:
        guard.watch.pause = lambda seconds: None
        guard.watch.looked_at -= 10 * LOOK_SECONDS

    return look


def stored(service: EventService) -> int:
    return service.statistics().summary.count


def end_of(app: Flask) -> int:
    """The number of the last record in the log: it grows with whatever is written."""
    return context(app).service.store.end().number


def assert_refused(call: Call, answer, status: int) -> None:  # type: ignore[no-untyped-def]
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert_shape(call, answer, status)
    if status == 401:
        schemes = [challenge.partition(" ")[0] for challenge in answer.headers.getlist("WWW-Authenticate")]
        assert schemes == ["Basic", "Bearer"]  # Chromium reads one scheme of a line


def assert_shape(call: Call, answer, status: int) -> None:  # type: ignore[no-untyped-def]
    if call.path.startswith("/dialects/influx/"):
        assert list(answer.get_json()) == ["code", "message"]
    elif call.path.startswith("/dialects/"):
        assert list(answer.get_json()) == ["detail"]
    elif call.path.startswith("/prometheus/"):
        assert answer.get_json()["status"] == "error"
        assert answer.get_json()["errorType"] == {401: "unauthorized", 403: "forbidden"}.get(status, "bad_data")
    else:
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["status"] == status


def test_every_route_says_what_it_needs(app: Flask) -> None:
    undecided = {rule.rule for rule in app.url_map.iter_rules() if need_of(app.view_functions[rule.endpoint]) is None}
    assert not undecided, f"add @needs(...) or @open_to_all to the views of {undecided}"


def test_what_is_open_is_the_health(app: Flask) -> None:
    assert {call.path for call in CALLS if call.scope is None} == OPEN
    assert {call.scope for call in GUARDED} <= set(SCOPES)
    assert len(GUARDED) > 30


@each_guarded_call
def test_without_a_key_nothing_is_done(call: Call, shared: Flask) -> None:
    before = end_of(shared)
    assert_refused(call, call.ask(shared.test_client()), 401)
    assert end_of(shared) == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer tm_{'x' * 43}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": TOKENS["everything"]},
        {"Authorization": f"Token {TOKENS['everything']}"},
        {"Authorization": f"Bearer {TOKENS['everything']}x"},
        {"Authorization": f"Bearer {TOKENS['everything'][:-1]}"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic bWU="},
        {"Authorization": "Bearer \xfc\xff"},
        {"Authorization": ""},
        bearer("expired"),
        basic("expired"),
    ],
    ids=lambda headers: headers["Authorization"][:40],
)
@pytest.mark.parametrize("call", [GUARDED[0], GUARDED[-1]], ids=str)
def test_a_wrong_or_expired_key_is_none(call: Call, headers: dict[str, str], shared: Flask) -> None:
    assert_refused(call, call.ask(shared.test_client(), headers), 401)


@each_guarded_call
def test_each_key_opens_what_it_may(call: Call, shared: Flask) -> None:
    for name in ("expired", "reading", "writing", "restricted", "everything"):
        assert_opens_what_it_may(call, name, shared)


def assert_opens_what_it_may(call: Call, name: str, shared: Flask) -> None:
    before = end_of(shared)
    answer = call.ask(shared.test_client(), bearer(name))
    may = name == "everything" or (name == "reading" and call.scope == "read")
    may |= name == "writing" and call.scope == "write"
    if name == "expired":
        assert_refused(call, answer, 401)
    elif may:
        assert answer.status_code not in (401, 403), answer.get_data(as_text=True)
    elif name == "restricted":
        # None of these requests is for its series: it may open pages, look at lists, and nothing else.
        # (A stream of all series finds no server that could hold it before it comes to that.)
        listed = call.url.endswith(
            ("/alerts", "/rules", "/series", "/tickers", "/tickers/", "/metrics", "/metrics/windows", "/settings")
        ) or call.path.startswith("/prometheus/")  # where only what the key may see is there
        assert (answer.status_code not in (403, 501)) == (listed or "/{name}" in call.path or is_page(call)), call
    else:
        assert_refused(call, answer, 403)
        assert f"a key that may {call.scope}" in answer.get_data(as_text=True)
    if not may:
        assert end_of(shared) == before


def is_page(call: Call) -> bool:
    return call.path.removeprefix("/v1") in ("/", "/docs", "/openapi.json", "/dashboard/{name}")


@pytest.mark.parametrize("call", [call for call in CALLS if call.path in OPEN], ids=str)
def test_health_is_open_to_all(call: Call, shared: Flask) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert call.ask(shared.test_client(), headers).status_code in (200, 204)


@each_call
def test_without_keys_everyone_may_do_everything(call: Call, unguarded: Flask) -> None:
    assert call.ask(unguarded.test_client()).status_code not in (401, 403)
    assert unguarded.before_request_funcs[None] == [boundary.check]  # nor does anyone pay for a guard


def test_a_route_without_a_decision_is_closed(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/forgotten", view_func=lambda: "secret")
    assert client.get("/forgotten").status_code == 401
    answer = client.get("/forgotten", headers=bearer("everything"))
    assert (answer.status_code, answer.get_json()["detail"]) == (
        403,
        "Nobody may ask this: its route does not say who may.",
    )


@pytest.mark.parametrize("path", ["/nothing/here", "/dialects/none", "/event"])
def test_what_is_not_there_is_told_only_to_those_with_a_key(path: str, client: FlaskClient) -> None:
    assert client.get(path).status_code == 401
    assert client.get(path, headers=bearer("writing")).status_code in (404, 405)


def test_head_is_guarded_like_get(client: FlaskClient) -> None:
    assert client.head("/statistics").status_code == 401
    assert client.head("/statistics", headers=bearer("reading")).status_code == 200


def test_the_token_comes_as_a_password_too(client: FlaskClient) -> None:
    for user in ("", "me", "tidemark"):
        assert client.get("/statistics", headers=basic("reading", user)).status_code == 200
    assert client.get("/statistics", headers={"Authorization": f"bearer   {TOKENS['reading']} "}).status_code == 200


# Series


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/event", {"timestamp": START, "value": 1, "series": "{}"}),
        (
            "/events",
            [{"timestamp": START, "value": 1, "series": "ours"}, {"timestamp": START, "value": 1, "series": "{}"}],
        ),
        ("/events", {"series": "{}", "values": [1, 2]}),
        ("/dialects/batches/add_batch/", {"symbol": "{}", "values": [1]}),
        ("/dialects/ticks/ticks", {"instrument": "{}", "price": 1, "timestamp": 1750948200000}),
    ],
)
def test_a_write_is_for_its_series_or_nothing(
    path: str, body: object, client: FlaskClient, service: EventService
) -> None:
    import json

    def post(series: str) -> int:
        text = json.dumps(body).replace("{}", series)
        return client.post(path, data=text, headers=bearer("restricted"), content_type="application/json").status_code

    assert post("theirs") == 403
    assert stored(service) == 0
    assert service.series() == ([], None, 0)
    assert post("ours/a") == 201
    assert stored(service) > 0


def test_a_csv_and_lines_are_checked_whole(client: FlaskClient, service: EventService) -> None:
    csv = f"timestamp,value,series\n{START},1,ours\n{START},2,\n"
    answer = client.post("/events", data=csv, headers=bearer("restricted"), content_type="text/csv")
    assert answer.status_code == 403
    assert "ours, ours/*, not for 'default'" in answer.get_json()["detail"]
    assert stored(service) == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/statistics", 403),
        ("/statistics/ours", 200),
        ("/statistics/ours/deep/down", 200),
        ("/statistics/theirs", 403),
        ("/histogram", 403),
        ("/histogram/ours", 200),
        ("/histogram/theirs", 403),
        ("/settings", 200),
        ("/series/ours/events", 200),
        ("/series/theirs/events", 403),
        ("/series/never/events", 403),
        ("/dialects/ticks/statistics", 403),
        ("/dialects/ticks/statistics/ours", 200),
        ("/dialects/transactions/statistics", 403),
        ("/dialects/batches/stats/?symbol=ours&k=1", 200),
        ("/dialects/batches/stats/?symbol=theirs&k=1", 403),
        ("/dialects/batches/stats/theirs/1", 403),
        ("/dialects/tickers/api/v1/tickers/ours/history", 200),
        ("/dialects/tickers/api/v1/tickers/theirs/history", 403),
        ("/stream", 403),
        ("/stream?series=theirs", 403),
        ("/series/theirs/stream", 403),
    ],
)
def test_a_question_is_for_its_series_or_nothing(
    path: str, status: int, client: FlaskClient, service: EventService
) -> None:
    for name in ("ours", "theirs"):
        service.add(name, None, 1.0)
    environ = {"SERVER_SOFTWARE": "Werkzeug"}  # which can stream
    assert client.get(path, headers=bearer("restricted"), environ_overrides=environ).status_code == status


def test_a_listing_shows_what_may_be_seen_and_pages_as_if_there_were_nothing_else(
    client: FlaskClient, service: EventService
) -> None:
    ours = [f"ours/{number:04}" for number in range(0, 2500, 5)]
    for number in range(2500):
        service.add(f"ours/{number:04}" if number % 5 == 0 else f"theirs/{number:04}", None, 1.0)
    found: list[str] = []
    url: str | None = "/series?limit=100"
    while url is not None:
        answer = client.get(url, headers=bearer("restricted")).get_json()
        assert 0 < len(answer["series"]) <= 100
        found += [entry["series"] for entry in answer["series"]]
        url = f"/series?limit=100&after={answer['next']}" if answer["next"] else None
    assert found == ours
    tickers = client.get("/dialects/tickers/api/v1/tickers", headers=bearer("restricted")).get_json()
    assert [ticker["id"] for ticker in tickers] == ours
    assert client.get("/series?prefix=theirs", headers=bearer("restricted")).get_json() == {"series": [], "next": None}
    assert len(client.get("/series?limit=1000", headers=bearer("reading")).get_json()["series"]) == 1000


# Browsers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 201),
        ({"Origin": "http://localhost"}, 201),
        ({"Origin": "https://proxied.example", "Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_of_another_origin_cannot_write_whatever_key_it_has(
    headers: dict[str, str], status: int, client: FlaskClient
) -> None:
    body = {"instrument": "x", "price": 1, "timestamp": 1750948200000}
    answer = client.post("/dialects/ticks/ticks", json=body, headers=basic("writing") | headers)
    assert answer.status_code == status
    assert client.post("/dialects/ticks/ticks", json=body, headers=bearer("writing") | headers).status_code == status


def test_nor_read_over_a_websocket(client: FlaskClient) -> None:
    [call] = [call for call in CALLS if call.path == "/ws/{series}"]
    evil = {"Origin": "https://evil.example"}
    assert call.ask(client, basic("reading") | evil).status_code == 403
    assert call.ask(client, bearer("reading") | evil).status_code == 403
    assert call.ask(client, basic("reading") | {"Origin": "http://localhost"}).status_code != 403


def test_a_star_names_no_page_for_the_password_that_a_browser_sends_by_itself(key_file: Path, clock: FakeClock) -> None:
    settings = Settings(log_url="memory:", keys=str(key_file), cors_origins=("https://pages.example", "*"))
    client = composition.create_app(settings, clock=clock).test_client()
    body = {"timestamp": START, "value": 1}
    for origin, status in (("https://pages.example", 201), ("https://evil.example", 403)):
        headers = basic("writing") | {"Origin": origin}
        assert client.post("/event", json=body, headers=headers).status_code == status
        assert client.post("/event", json=body, headers=bearer("writing") | {"Origin": origin}).status_code == 201


def test_a_preflight_needs_no_key_and_allows_one(key_file: Path) -> None:
    app = composition.create_app(
        Settings(log_url="memory:", keys=str(key_file), cors_origins=("https://pages.example",))
    )
    asked = {"Origin": "https://pages.example", "Access-Control-Request-Method": "POST"}
    answer = app.test_client().options("/event", headers=asked)
    assert answer.status_code == 204
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    refused = app.test_client().get("/statistics", headers={"Origin": "https://pages.example"})
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, "https://pages.example")


# The file


def test_a_withdrawn_key_is_none_within_two_seconds(
    key_file: Path, client: FlaskClient, look: Callable[[], None]
) -> None:
    assert client.get("/statistics", headers=bearer("reading")).status_code == 200
    write_keys(key_file, "writing")
    look()
    assert client.get("/statistics", headers=bearer("reading")).status_code == 401


def test_a_key_expires(client: FlaskClient, key_file: Path, clock: FakeClock, look: Callable[[], None]) -> None:
    clock.advance(-1)
    assert client.get("/statistics", headers=bearer("expired")).status_code == 200
    clock.advance(1)
    assert client.get("/statistics", headers=bearer("expired")).status_code == 401


class Dribble(BytesIO):
    """A body during which something happens."""

    def __init__(self, body: bytes, happens: Callable[[], object]) -> None:
        super().__init__(body)
        self._happens = happens

    def read(self, size: int | None = -1) -> bytes:
        """All of it; by then it has happened."""
        self._happens()
        return super().read(size)


WRITES = [call for call in GUARDED if call.scope == "write"]


def dribble(call: Call, name: str, client: FlaskClient, happens: Callable[[], object]) -> TestResponse:
    """The answer to a request during whose body something happens."""
    assert call.body is not None
    more = {"Content-Length": str(len(call.body))}
    body = Dribble(call.body, happens)
    return client.post(call.url, input_stream=body, headers={**call.headers, **bearer(name), **more})


@pytest.mark.parametrize("call", WRITES, ids=str)
def test_a_key_that_expires_while_the_body_comes_stores_nothing(
    call: Call, client: FlaskClient, service: EventService, clock: FakeClock
) -> None:
    clock.advance(-1)
    assert_refused(call, dribble(call, "expired", client, lambda: clock.advance(1)), 401)
    assert stored(service) == 0
    assert dribble(call, "writing", client, lambda: clock.advance(1)).status_code in (200, 201, 204)


CHANGES = (
    ('"sha256:', '"sha256:0', 401),
    ('can = ["write"]', 'can = ["read"]', 403),
    ('can = ["write"]', 'can = ["write"]\nseries = ["ours"]', 403),
)


# Each way to write meets one of the changes, and each change several of the ways.
@pytest.mark.parametrize(("call", "change"), list(zip(WRITES, cycle(CHANGES), strict=False)), ids=map(str, WRITES))
def test_nor_does_one_that_is_changed_meanwhile(
    call: Call,
    change: tuple[str, str, int],
    client: FlaskClient,
    service: EventService,
    key_file: Path,
    look: Callable[[], None],
) -> None:
    old, new, status = change

    def rewrite() -> None:
        text = key_file.read_text()
        key_file.write_text(re.sub(r'(?<=:0)([0-9a-f]*)[0-9a-f](?=")', r"\1", text.replace(old, new)))
        look()

    assert_refused(call, dribble(call, "writing", client, rewrite), status)
    assert stored(service) == 0


def test_health_tells_of_a_broken_file(client: FlaskClient, key_file: Path, look: Callable[[], None]) -> None:
    assert client.get("/health").get_json() == {"status": "healthy"}
    key_file.write_text(f"[[key]]\n{TOKENS['everything']} = 1")
    look()
    answer = client.get("/health")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "healthy")
    assert answer.get_json()["notice"] == (
        "The key file is not used as it is now, the last good one is; the log of the service says why, as does "
        "`python -m access check`."
    )
    assert client.get("/statistics", headers=bearer("reading")).status_code == 200
    write_keys(key_file)
    look()
    assert client.get("/health").get_json() == {"status": "healthy"}


def test_a_lease_ends_with_its_key(
    app: Flask, guard: Guard, key_file: Path, clock: FakeClock, look: Callable[[], None]
) -> None:
    with app.test_request_context("/stream?series=ours", headers=bearer("restricted")):
        guard.check()
        valid = lease("ours")
    assert valid is not None
    assert valid()
    write_keys(key_file, "reading")
    look()
    assert not valid()
    write_keys(key_file)
    look()
    assert valid()
    key_file.write_text(key_file.read_text().replace('["ours", "ours/*"]', '["ours/*"]'))
    look()
    assert not valid()
    key_file.write_text(key_file.read_text().replace('["ours/*"]', '["ours"]\nexpires = 2025-06-26T14:31:00'))
    look()
    assert valid()
    clock.advance(60_000_000)
    assert not valid()


def test_a_file_that_cannot_be_used_stops_the_start(key_file: Path) -> None:
    key_file.write_text("")
    with pytest.raises(BadSetting, match=r"^TIDEMARK_KEYS: .*keys\.toml: it has no key"):
        composition.create_app(Settings(log_url="memory:", keys=str(key_file)))


def test_no_token_is_in_any_log_or_answer(
    client: FlaskClient, key_file: Path, caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    client = composition.create_app(
        Settings(log_url="memory:", keys=str(key_file), log_level="DEBUG"), clock=clock
    ).test_client()
    said = []
    with caplog.at_level(logging.DEBUG):
        for name in (*KEYS, "wrong"):
            headers = bearer(name) if name in KEYS else {"Authorization": f"Bearer tm_{'w' * 43}"}
            for call in CALLS:
                answer = call.ask(client, headers)
                said.append(answer.get_data(as_text=True) + str(answer.headers))
    text = "".join(said) + caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert not any(token in text for token in (*TOKENS.values(), "w" * 43))


def test_the_document_says_which_key_it_needs(app: Flask, client: FlaskClient) -> None:
    document = described(app)
    assert set(document["components"]["securitySchemes"]) == {"token", "password"}
    assert document["paths"]["/event"]["post"]["security"] == [{"token": []}, {"password": []}]
    assert "security" not in document["paths"]["/health"]["get"]
    free = described(composition.create_app(Settings(log_url="memory:")))
    assert free["paths"]["/event"]["post"]["security"] == [{}, {"token": []}, {"password": []}]


def test_a_token_may_come_as_clients_of_influxdb_send_it(client: FlaskClient) -> None:
    headers = {"Authorization": f"Token {TOKENS['everything']}"}
    assert client.post("/dialects/influx/write", data="a v=1", headers=headers).status_code == 204
    assert client.get("/statistics", headers=headers).status_code == 401
    assert client.post("/dialects/influx/write?p=" + TOKENS["everything"], data="a v=1").status_code == 401
