"""Every operation of the document asked by a foreign page and by a foreign name; with keys and without."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import app as composition
from access.foreign import JSON_HEADERS
from api.boundary import own_address
from api.context import context
from settings import Settings
from tests.servers import Server

from ..conftest import FakeClock
from .guarded import Call, bearer, write_keys
from .test_guard import CALLS, GUARDED, OPEN, assert_shape, described, end_of, stored

EVIL = {"Origin": "https://evil.example"}
SCRIPT = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
EVENT = {"timestamp": "2025-06-26T14:30:00Z", "value": 1}


@pytest.fixture(params=["without keys", "with keys"])
def headers(request: pytest.FixtureRequest) -> dict[str, str]:
    """Headers with which everything is allowed."""
    return bearer("everything") if request.param == "with keys" else {}


@pytest.fixture
def settings(headers: dict[str, str], key_file: Path) -> Settings:
    return Settings(log_url="memory:", keys=str(key_file) if headers else "")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Flask]:
    """An application with keys and one without, which the tests of every operation share."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    write_keys(keys)
    settings = {True: Settings(log_url="memory:", keys=str(keys)), False: Settings(log_url="memory:")}
    apps = {keyed: composition.create_app(found, clock=FakeClock()) for keyed, found in settings.items()}
    for app in apps.values():
        stored(context(app).service)  # the first question puts the settings in force, which is a record
    return apps


def assert_refused(call: Call, answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert_shape(call, answer, status)
    assert [answer.headers.getlist(name) for name, _ in JSON_HEADERS] == [[value] for _, value in JSON_HEADERS]


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_foreign_page_changes_and_reads_nothing(call: Call, both: dict[bool, Flask], headers: dict[str, str]) -> None:
    app = both[bool(headers)]
    client, before = app.test_client(), end_of(app)
    for foreign in (EVIL, {"Origin": "null"}, EVIL | SCRIPT, EVIL | LINK):
        answer = call.ask(client, headers | foreign)
        loads = foreign == EVIL | SCRIPT and call.path.removeprefix("/v1") not in OPEN
        if loads or call.websocket or call.method not in ("get", "head"):
            assert_refused(call, answer, 403)
        else:
            assert answer.status_code not in (401, 403)
    assert end_of(app) == before


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_a_foreign_name_is_misdirected_where_no_key_is_needed(
    call: Call, both: dict[bool, Flask], headers: dict[str, str]
) -> None:
    answer = call.ask(both[bool(headers)].test_client(), headers | {"Host": "evil.example:5000"})
    if headers:
        assert answer.status_code not in (401, 403, 421)
    else:
        assert_refused(call, answer, 421)
        assert "TIDEMARK_ALLOWED_HOSTS" in answer.get_data(as_text=True)


@pytest.mark.parametrize(("path", "method"), [("/nowhere", "POST"), ("/dialects/nowhere", "PUT"), ("/event", "PATCH")])
def test_what_is_not_there_is_no_way_round(path: str, method: str, client: FlaskClient) -> None:
    assert client.open(path, method=method, headers=EVIL).status_code == 403
    assert client.get(path, headers=SCRIPT).status_code == 403


@pytest.mark.parametrize("path", ["/event", "/v1/event", "/events", "/dialects/ticks/ticks"])
@pytest.mark.parametrize("foreign", [EVIL, {"Host": "evil.example"}, {"Sec-Fetch-Site": "same-site"}], ids=str)
def test_the_fast_path_is_no_way_round(path: str, foreign: dict[str, str], clock: FakeClock) -> None:
    app = composition.create_app(Settings(log_url="memory:"), clock=clock)
    tick = {"instrument": "x", "price": 1, "timestamp": clock() // 1000}
    body = tick if "ticks" in path else {"values": [1]} if path == "/events" else EVENT
    client = app.test_client()
    assert client.post(path, json=body).status_code == 201
    assert client.post(path, json=body, headers=foreign).status_code in (403, 421)
    assert stored(context(app).service) == 1


@pytest.mark.parametrize("path", ["/statistics", "/statistics/a", "/series", "/health", "/openapi.json", "/nowhere"])
def test_every_json_answer_is_kept_from_other_origins(path: str, client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.get(path, headers=headers)
    assert answer.is_json
    assert [answer.headers.getlist(name) for name, _ in JSON_HEADERS] == [[value] for _, value in JSON_HEADERS]


@pytest.mark.parametrize(("path", "status"), [("/health/live", 200), ("/health/lively", 404), ("/v1/health/x", 404)])
def test_a_page_that_asks_after_our_health_is_answered(
    path: str, status: int, client: FlaskClient, headers: dict[str, str]
) -> None:
    assert client.get(path, headers=EVIL | SCRIPT | headers).status_code == status


def test_a_named_page_and_a_named_host_come_in() -> None:
    settings = Settings(log_url="memory:", cors_origins=("https://evil.example",), allowed_hosts=("tide.example",))
    client = composition.create_app(settings).test_client()
    body = {"values": [1]}
    assert client.post("/events", json=body, headers=EVIL | SCRIPT | {"Host": "tide.example"}).status_code == 201
    assert client.get("/statistics", headers=EVIL | SCRIPT).status_code == 200


def test_the_document_tells_of_it_wherever_a_key_is_needed(app: Flask) -> None:
    document = described(app)
    for call in GUARDED:
        assert {"403", "421"} <= document["paths"][call.path][call.method]["responses"].keys()


def test_the_address_of_a_connection_is_that_of_its_socket() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
        closing(listener.accept()[0]) as accepted,
    ):
        assert own_address({"gunicorn.socket": accepted, "REMOTE_ADDR": "10.0.0.1"}) == "127.0.0.1"
        assert own_address({"werkzeug.socket": accepted}) == "127.0.0.1"
    one, other = socket.socketpair()
    with one, other:
        assert own_address({"gunicorn.socket": one, "REMOTE_ADDR": "127.0.0.1"}) == ""
    assert own_address({"REMOTE_ADDR": "127.0.0.1"}) == "127.0.0.1"
    assert own_address({}) == ""


def raw(server: Server, head: str, body: str = "") -> bytes:
    """Return what a server answers to these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        connection.sendall(f"{head}\r\n{length}Connection: close\r\n\r\n{body}".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("worker_class", ["serving.worker.Worker", "gthread"])
def test_a_server_on_all_addresses_knows_the_one_of_the_connection(worker_class: str) -> None:
    with Server(
        ["-w", "1", "-k", worker_class], {"HOST": "0.0.0.0", "TIDEMARK_ALLOWED_HOSTS": "tide.example"}
    ) as server:
        post = "POST /events HTTP/1.1\r\nContent-Type: application/json\r\nHost: "
        for host in ("tide.example", "localhost", f"127.0.0.1:{server.port}"):
            for _ in range(2):  # the second comes by a head that is known
                assert b" 201 " in raw(server, post + host, '{"values": [1]}').splitlines()[0]
        for _ in range(2):
            answer = raw(server, post + "evil.example", '{"values": [1]}')
            assert b" 421 " in answer.splitlines()[0]
            assert b"TIDEMARK_ALLOWED_HOSTS" in answer
        assert b" 201 " in raw(server, "POST /events HTTP/1.0\r\nContent-Type: application/json", '{"values": [1]}')
        assert server.get("/statistics").json()["count"] == 7
        assert server.output().count("To close the door") == 1
