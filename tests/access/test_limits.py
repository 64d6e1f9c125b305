"""Limits of a key's writes: exactly its rate and burst, over all workers, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from access.keys import hash_of
from event_service import EventService
from settings import Settings
from times import SECOND

from ..conftest import START, FakeClock
from ..servers import Server

TOKENS = {"slow": "tm_slow", "other": "tm_other", "free": "tm_free"}
"""Tokens of keys: ten events a second, twenty at once; the same; no limit."""
NOW = "2025-06-26T14:30:00Z"


def keys() -> str:
    rate = 'rate = "10/s"\nburst = 20'
    entries = []
    for name, token in TOKENS.items():
        entry = f'[[key]]\nname = "{name}"\nhash = "{hash_of(token)}"\ncan = ["write", "metrics"]\n'
        entries.append(entry + ("" if name == "free" else rate))
    return "\n".join(entries)


def header(name: str = "slow") -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "keys.toml"
    path.write_text(keys())
    return Settings(keys=str(path))


def post(client: FlaskClient, count: int, name: str = "slow") -> TestResponse:
    return client.post("/events", json={"values": [1.0] * count}, headers=header(name))


def stored(service: EventService) -> int:
    return service.statistics().summary.count


def test_the_burst_at_once_then_the_rate(client: FlaskClient, service: EventService, clock: FakeClock) -> None:
    assert post(client, 20).status_code == 201
    refused = post(client, 1)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert "may not write so many events just now" in refused.get_json()["detail"]
    clock.advance(SECOND // 10)
    assert post(client, 1).status_code == 201
    assert post(client, 1).status_code == 429
    assert stored(service) == 21


def test_what_is_refused_costs_nothing_and_retry_after_is_true(client: FlaskClient, clock: FakeClock) -> None:
    assert post(client, 20).status_code == 201
    for _ in range(50):
        assert post(client, 15).headers["Retry-After"] == "2"
    clock.advance(int(1.4 * SECOND))
    assert post(client, 15).status_code == 429
    clock.advance(int(0.6 * SECOND))  # two seconds, as it was told
    assert post(client, 15).status_code == 201


def test_a_bucket_holds_no_more_than_the_burst(client: FlaskClient, clock: FakeClock) -> None:
    clock.advance(3600 * SECOND)
    assert post(client, 20).status_code == 201
    assert post(client, 1).status_code == 429


def test_each_key_has_its_own_and_who_has_none_pays_nothing(client: FlaskClient) -> None:
    assert post(client, 20).status_code == 201
    assert post(client, 20, "other").status_code == 201
    for _ in range(5):
        assert post(client, 1000, "free").status_code == 201
    assert post(client, 1).status_code == post(client, 1, "other").status_code == 429


def test_a_batch_larger_than_the_burst_is_told_the_way_out(client: FlaskClient, service: EventService) -> None:
    refused = post(client, 21)
    assert refused.status_code == 413
    assert refused.get_json()["detail"] == (
        "The key slow may write at most 20 events at once, not 21; send them in parts."
    )
    assert stored(service) == 0
    assert post(client, 20).status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/event", {"timestamp": NOW, "value": 1}),
        ("/dialects/ticks/ticks", {"instrument": "x", "price": 1, "timestamp": START // 1000}),
        ("/dialects/transactions/transactions", {"amount": 1, "timestamp": START // 1000}),
        ("/dialects/batches/add_batch/", {"symbol": "x", "values": [1]}),
    ],
)
def test_every_way_to_write_pays_from_one_budget(path: str, body: Any, client: FlaskClient) -> None:
    assert post(client, 19).status_code == 201
    assert client.post(path, json=body, headers=header()).status_code == 201
    refused = client.post(path, json=body, headers=header())
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert ("title" in refused.get_json()) == (not path.startswith("/dialects"))


OLD = "2025-06-26T12:00:00Z"


@pytest.mark.parametrize("key", [False, True], ids=["without a key", "each under a new Idempotency-Key"])
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/event", {"timestamp": OLD, "value": 1}, 200),
        ("/events", [{"timestamp": OLD, "value": 1}] * 20, 200),
        ("/dialects/ticks/ticks", {"instrument": "x", "price": 1, "timestamp": START // 1000 - 61_000}, 204),
        ("/dialects/transactions/transactions", {"amount": 1, "timestamp": START // 1000 - 61_000}, 204),
    ],
)
def test_a_request_that_has_all_expired_costs_one_event(
    path: str, body: Any, status: int, key: bool, client: FlaskClient
) -> None:
    def ask(number: int) -> TestResponse:
        return client.post(path, json=body, headers=header() | ({"Idempotency-Key": f"k{number}"} if key else {}))

    assert post(client, 15).status_code == 201
    assert [ask(number).status_code for number in range(6)] == [*[status] * 5, 429]
    if key:
        assert [ask(number).status_code for number in range(5)] == [status] * 5  # stores nothing new
    assert post(client, 1).status_code == 429


def test_expired_events_among_others_cost_nothing(client: FlaskClient) -> None:
    mixed = [{"timestamp": OLD, "value": 1}, {"timestamp": NOW, "value": 1}]
    assert [client.post("/events", json=mixed, headers=header()).status_code for _ in range(21)] == [*[201] * 20, 429]


def test_a_key_without_a_rate_makes_no_conditions(app: Flask) -> None:
    from api.guard import conditions, guard_of
    from event_log.writes import PLAIN

    guard = guard_of(app)
    assert guard is not None
    with app.test_request_context("/event", method="POST", headers=header("free")):
        guard.check()
        assert conditions(5) is PLAIN


class TestSeries:
    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        path = tmp_path / "keys.toml"
        path.write_text(keys().replace('name = "slow"', 'name = "slow"\nmax_series = 2'))
        return Settings(keys=str(path))

    def begin(self, client: FlaskClient, *names: str, key: str = "slow") -> TestResponse:
        events = [{"timestamp": NOW, "value": 1.0, "series": name} for name in names]
        return client.post("/events", json=events, headers=header(key))

    def test_a_key_may_have_begun_so_many_that_live(self, client: FlaskClient, service: EventService) -> None:
        assert self.begin(client, "of another", key="free").status_code == 201
        assert self.begin(client, "a", "of another").status_code == 201
        refused = self.begin(client, "b", "c")
        assert refused.status_code == 429
        assert "Retry-After" not in refused.headers
        assert "the key slow may have begun at most 2 that live (max_series)" in refused.get_json()["detail"]
        assert self.begin(client, "b").status_code == 201
        assert self.begin(client, "a", "b").status_code == 201
        assert self.begin(client, "c").status_code == 429
        assert self.begin(client, "c", key="free").status_code == 201
        service.end_series("a")
        assert self.begin(client, "d").status_code == 201


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Server]:
    path = tmp_path / "keys.toml"
    path.write_text(keys().replace('"10/s"', '"1/h"').replace("burst = 20", "burst = 100"))
    with Server(["-w", "2"], {"TIDEMARK_KEYS": str(path)}) as server:
        yield server


def test_workers_together_let_exactly_the_burst_through(two: Server) -> None:
    def ask(_: int) -> int:
        answer = two.post("/events", json.loads('{"values": [1, 2, 3]}'), headers=header())
        assert answer.status_code == 201 or int(answer.headers["Retry-After"]) > 60
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(ask, range(80)))
    assert statuses.count(201) == 33
    assert statuses.count(429) == 47
    assert "tidemark_events_stored_total 99.0" in two.get("/metrics", headers=header()).text
