"""A request with an `Idempotency-Key` is done once, on every kind of log."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import app as composition
from access.keys import hash_of
from api.answers import POSITION
from api.context import context
from event_log.errors import LogUnavailable
from event_log.idempotency import Done
from event_log.memory_store import MemoryStore
from event_service import EventService
from settings import Settings
from tests.api.problems import assert_names, assert_problem
from tests.conftest import START, FakeClock, Shared
from tests.event_log.stores import STORES
from times import HOUR, MINUTE, SECOND, format_timestamp

NOW = "2025-06-26T14:30:00Z"
OLD = "2025-06-26T12:00:00Z"
MILLISECONDS = START // 1000
EVENT: dict[str, Any] = {"timestamp": NOW, "value": 1}
TICK = {"instrument": "x", "price": 1, "timestamp": MILLISECONDS}
TRANSACTION = {"amount": 1, "timestamp": MILLISECONDS}
BATCH = {"symbol": "x", "values": [1, 2]}
DIALECTS = "/dialects/ticks/ticks", "/dialects/transactions/transactions", "/dialects/batches/add_batch/"
POSTS: list[tuple[str, str, Any, int, int]] = [
    ("/event", "application/json", EVENT, 201, 1),
    ("/event", "application/json", EVENT | {"timestamp": OLD}, 200, 0),
    ("/events", "application/json", [EVENT, EVENT | {"timestamp": OLD}, EVENT], 201, 2),
    ("/events", "application/json", [EVENT | {"timestamp": OLD}] * 3, 200, 0),
    ("/events", "application/json", {"values": [1, 2, 3]}, 201, 3),
    ("/events", "application/x-ndjson", json.dumps(EVENT), 201, 1),
    ("/events", "text/csv", f"timestamp,value\n{NOW},1\n{OLD},2\n", 201, 1),
    (DIALECTS[0], "application/json", TICK, 201, 1),
    (DIALECTS[0], "application/json", TICK | {"timestamp": MILLISECONDS - 61_000}, 204, 0),
    (DIALECTS[1], "application/json", TRANSACTION, 201, 1),
    (DIALECTS[1], "application/json", TRANSACTION | {"timestamp": MILLISECONDS - 61_000}, 204, 0),
    (DIALECTS[2], "application/json", BATCH, 201, 2),
]
"""Path, media type, body, the status it gets, how many events it stores."""


@pytest.fixture(params=STORES)
def app(request: pytest.FixtureRequest, settings: Settings, clock: FakeClock, tmp_path: Path) -> Iterator[Flask]:
    store = STORES[request.param](tmp_path, Shared(clock))
    app = composition.create_app(settings, clock=clock, store=store.open())
    app.testing = True
    yield app
    store.close()


def post(client: FlaskClient, path: str, body: Any, key: str = "k", **options: Any) -> TestResponse:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    headers = {"Idempotency-Key": key, **options.pop("headers", {})}
    return client.post(path, data=data, headers=headers, **{"content_type": "application/json", **options})


def told(answer: TestResponse) -> tuple[int, bytes, Mapping[str, str]]:
    """All of an answer but what marks a replay."""
    return answer.status_code, answer.data, {k: v for k, v in answer.headers.items() if k != "Idempotent-Replayed"}


def count(service: EventService) -> int:
    return service.statistics(last=10**6).summary.count


@pytest.mark.parametrize(("path", "kind", "body", "status", "stored"), POSTS)
def test_sent_again_it_gets_the_same_answer_and_stores_nothing(
    path: str, kind: str, body: Any, status: int, stored: int, client: FlaskClient, service: EventService
) -> None:
    client.post("/event", json=EVENT)
    first = post(client, path, body, content_type=kind)
    assert first.status_code == status
    assert "Idempotent-Replayed" not in first.headers
    client.post("/event", json=EVENT)  # the log goes on, the answer does not
    position = service.position()
    for _ in range(2):
        again = post(client, path, body, content_type=kind)
        assert told(again) == told(first)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert POSITION in again.headers
    assert count(service) == stored + 2
    assert service.position() == position


@pytest.mark.parametrize(
    ("path", "body", "other"),
    [
        ("/event", EVENT, EVENT | {"value": 2}),
        ("/events", [EVENT], [EVENT, EVENT]),
        (DIALECTS[0], TICK, TICK | {"price": 2}),
        (DIALECTS[1], TRANSACTION, TRANSACTION | {"amount": 2}),
        (DIALECTS[2], BATCH, BATCH | {"symbol": "y"}),
    ],
)
def test_another_body_under_the_same_key_is_refused(
    path: str, body: Any, other: Any, client: FlaskClient, service: EventService
) -> None:
    first = post(client, path, body)
    before = count(service)
    refused = post(client, path, other)
    if path in DIALECTS:
        assert refused.status_code == 422
        assert refused.get_json().keys() == {"detail"}
        assert "came before with another request" in refused.get_json()["detail"]
    else:
        assert_problem(refused, 422, "came before with another request")
    assert "Idempotent-Replayed" not in refused.headers
    assert count(service) == before
    assert told(post(client, path, body)) == told(first)
    assert post(client, path, other, "another").status_code == 201


def test_the_stable_form_is_the_same_operation_and_another_path_is_not(client: FlaskClient) -> None:
    body = {"values": [1]}
    post(client, "/events", body)
    assert post(client, "/v1/events", body).headers["Idempotent-Replayed"] == "true"
    post(client, DIALECTS[2], BATCH, "batch")
    assert "Idempotent-Replayed" in post(client, DIALECTS[2].rstrip("/"), BATCH, "batch").headers
    both = EVENT | TICK | TRANSACTION  # a body that two of the operations take
    assert post(client, DIALECTS[0], both, "both").status_code == 201
    assert post(client, DIALECTS[1], both, "both").status_code == 422


def test_the_media_type_belongs_to_the_body(client: FlaskClient) -> None:
    line = json.dumps(EVENT)
    assert post(client, "/events", line, content_type="application/x-ndjson").status_code == 201
    assert "errors" in assert_problem(post(client, "/events", line), 400)  # not an array: nothing to compare with
    text = "[" + line + "]"
    post(client, "/events", text, "array")
    for kind in ("application/json; charset=utf-8", "application/json"):
        assert "Idempotent-Replayed" in post(client, "/events", text, "array", content_type=kind).headers


def test_a_packed_body_is_the_one_it_unpacks_to(client: FlaskClient, service: EventService) -> None:
    text = json.dumps([EVENT] * 3)
    first = post(client, "/events", text)
    for level in (1, 9):
        packed = gzip.compress(text.encode(), level)
        again = post(client, "/events", packed, headers={"Content-Encoding": "gzip"})
        assert told(again) == told(first)
        assert "Idempotent-Replayed" in again.headers
    assert count(service) == 3


@pytest.mark.parametrize(("path", "body"), [("/event", EVENT), (DIALECTS[0], TICK), (DIALECTS[2], BATCH)])
def test_a_key_that_is_none_is_refused(path: str, body: Any, client: FlaskClient, service: EventService) -> None:
    for key in ("", " ", "a b", "x" * 256, "é", "\x7f", "a\tb"):
        refused = post(client, path, body, environ_overrides={"HTTP_IDEMPOTENCY_KEY": key})
        if path in DIALECTS:
            assert refused.status_code == 400
            assert "Must be 1 to 255 visible ASCII characters" in refused.get_json()["detail"]
        else:
            assert_names(refused, "Idempotency-Key", "Must be 1 to 255 visible ASCII characters")
    assert count(service) == 0


def test_any_visible_characters_are_a_key(client: FlaskClient) -> None:
    for key in ("x" * 255, "!", "~", '"8e03978e-40d5-43e8-bc93-6894a57f9324"', "a,b"):
        post(client, "/event", EVENT, key)
        assert "Idempotent-Replayed" in post(client, "/event", EVENT, key).headers


@pytest.mark.parametrize(
    ("path", "bad", "good"),
    [
        ("/event", EVENT | {"value": "1"}, EVENT),
        ("/event", EVENT | {"timestamp": "2025-06-26T14:32:00Z"}, EVENT),
        ("/events", [EVENT, EVENT | {"timestamp": "2025-06-26T14:32:00Z"}], [EVENT]),
        (DIALECTS[0], TICK | {"timestamp": MILLISECONDS + 120_000}, TICK),
        (DIALECTS[2], BATCH | {"values": []}, BATCH),
    ],
)
def test_a_refused_request_leaves_its_key_free(path: str, bad: Any, good: Any, client: FlaskClient) -> None:
    assert post(client, path, bad).status_code in (400, 422)
    accepted = post(client, path, good)
    assert accepted.status_code == 201
    assert "Idempotent-Replayed" not in accepted.headers


def test_neither_time_nor_order_changes_the_answer(
    client: FlaskClient, service: EventService, clock: FakeClock
) -> None:
    """An event accepted once is accepted again, though it has expired or a clock set back makes it too far ahead."""
    ahead = format_timestamp(START + MINUTE)
    first = [post(client, "/event", {"timestamp": time, "value": 1}, time) for time in (NOW, ahead)]
    for passes in (-10 * MINUTE, HOUR + 9 * MINUTE):
        clock.advance(passes)
        for time, answer in zip((NOW, ahead), first, strict=True):
            again = post(client, "/event", {"timestamp": time, "value": 1}, time)
            assert told(again) == told(answer)
            assert answer.status_code == 201
    assert count(service) == 2


def test_it_is_remembered_for_the_retention_and_max_future(
    client: FlaskClient, service: EventService, clock: FakeClock
) -> None:
    body = {"values": [1]}
    post(client, "/events", body)
    clock.advance(HOUR + MINUTE - 1)
    while service.tick():
        pass
    assert "Idempotent-Replayed" in post(client, "/events", body).headers
    clock.advance(SECOND * 4)  # by which the horizon has risen
    for _ in range(2):  # the horizon rises, and what it says is taken in
        while service.tick():
            pass
    for other in (True, False):
        fresh = post(client, "/events", {"values": [2]} if other else body, "k" if other else "l")
        assert fresh.status_code == 201
        assert "Idempotent-Replayed" not in fresh.headers
    assert count(service) == 3


class TestLimits:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(max_symbols=1, max_series=2)

    def test_those_that_are_reached_refuse_no_replay(self, client: FlaskClient) -> None:
        assert post(client, DIALECTS[2], BATCH).status_code == 201
        refused = post(client, DIALECTS[2], BATCH | {"symbol": "y"}, "other")
        assert refused.get_json()["detail"] == "Maximum number of symbols (1) reached"
        post(client, "/event", EVENT, "event")
        third = EVENT | {"series": "third"}
        assert post(client, "/event", third, "third").status_code == 429
        client.delete("/series/default")
        assert post(client, "/event", third, "third").status_code == 201
        for path, body, key in ((DIALECTS[2], BATCH, "k"), ("/event", EVENT, "event")):
            assert post(client, path, body, key).headers["Idempotent-Replayed"] == "true"


def test_a_replay_is_not_counted_as_stored(client: FlaskClient) -> None:
    before = counted(client)
    events = [EVENT, EVENT, EVENT | {"timestamp": OLD}]
    for _ in range(3):
        post(client, "/events", events)
        post(client, "/event", EVENT | {"timestamp": OLD}, "old")
    assert post(client, "/events", [EVENT]).status_code == 422
    assert [now - then for now, then in zip(counted(client), before, strict=True)] == [2, 2, 1]


def counted(client: FlaskClient) -> list[float]:
    """Events stored, expired, and refused as invalid; by all applications of this process."""
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    kinds = "stored_total", "expired_total", 'refused_total{reason="invalid"}'
    return [float(lines[f"tidemark_events_{kind}"]) for kind in kinds]


class TestAccessKeys:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        path = tmp_path / "keys.toml"
        entries = [
            f'[[key]]\nname = "{name}"\nhash = "{hash_of(f"tm_{name}")}"\ncan = ["write", "read"]\nseries = ["*"]\n'
            for name in ("a", "b")
        ]
        path.write_text(entries[0] + 'rate = "1/h"\nburst = 10\n' + entries[1])
        return Settings(keys=str(path))

    def send(self, client: FlaskClient, name: str, body: Any, key: str = "k", path: str = "/events") -> TestResponse:
        return post(client, path, body, key, headers={"Authorization": f"Bearer tm_{name}"})

    def test_each_has_its_own(self, client: FlaskClient, service: EventService) -> None:
        first = self.send(client, "a", {"values": [1]})
        other = self.send(client, "b", {"values": [1, 2]})
        assert [answer.status_code for answer in (first, other)] == [201, 201]
        assert told(self.send(client, "a", {"values": [1]})) == told(first)
        assert told(self.send(client, "b", {"values": [1, 2]})) == told(other)
        assert self.send(client, "b", {"values": [1]}).status_code == 422
        assert count(service) == 3

    def test_a_replay_costs_no_budget(self, client: FlaskClient) -> None:
        for _ in range(20):
            assert self.send(client, "a", {"values": [1] * 8}).status_code == 201
        assert self.send(client, "a", {"values": [1] * 3}, "l").status_code == 429
        assert self.send(client, "a", {"values": [1] * 2}, "l").status_code == 201
        assert self.send(client, "a", {"values": [1]}, "m").status_code == 429
        assert self.send(client, "a", {"values": [1] * 8}).headers["Idempotent-Replayed"] == "true"

    def test_each_dialect_knows_whose_it_is(self, client: FlaskClient, service: EventService) -> None:
        for path, body in zip(DIALECTS, (TICK, TRANSACTION, BATCH), strict=True):
            for name in ("a", "b"):
                first, again = (self.send(client, name, body, path, path) for _ in range(2))
                assert told(first) == told(again)
                assert first.status_code == 201
                assert "Idempotent-Replayed" not in first.headers
        assert count(service) == 8


def test_a_log_that_failed_has_not_done_it(
    settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore(clock.moment)
    app = composition.create_app(settings, clock=clock, store=store)
    client = app.test_client()

    def fails(*_: Any) -> int:
        raise LogUnavailable("no disk")

    with monkeypatch.context() as patched:
        patched.setattr(store, "append", fails)
        assert_problem(post(client, "/event", EVENT), 503)
    assert "Idempotent-Replayed" not in post(client, "/event", EVENT).headers
    assert "Idempotent-Replayed" in post(client, "/event", EVENT).headers
    assert count(context(app).service) == 1


def test_one_that_was_first_between_look_and_write_decides(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """And though its events have expired meanwhile, the second gets the answer of the first."""
    store = MemoryStore(clock.moment)
    app = composition.create_app(Settings(), clock=clock, store=store)
    client, service = app.test_client(), context(app).service
    first: list[TestResponse] = []
    recall = service.recall

    def look(key: bytes) -> Done | None:
        found = recall(key)
        monkeypatch.undo()
        first.append(post(client, "/event", EVENT))
        clock.advance(HOUR)
        return found

    monkeypatch.setattr(service, "recall", look)
    second = post(client, "/event", EVENT)
    assert told(second) == told(first[0])
    assert (second.status_code, second.headers["Idempotent-Replayed"]) == (201, "true")
    assert store.end().position == 1
