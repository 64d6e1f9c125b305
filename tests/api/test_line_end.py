"""JSON answers end with a newline; those of the dialects, whose originals have none, do not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.context import context

CALLS: list[tuple[str, Any, int]] = [
    ("/event", {"value": 1}, 201),
    ("/event", {"value": 1, "timestamp": 0}, 200),
    ("/event", {"value": None}, 400),
    ("/events", [{"value": 1}], 201),
    *[(path, None, 200) for path in ("/statistics", "/v1/statistics/a?include=sum", "/history", "/series")],
    *[(path, None, 200) for path in ("/health", "/health/live", "/openapi.json", "/histogram", "/settings")],
    ("/nowhere", None, 404),
    ("/event", None, 405),
]
DIALECTS = "/dialects"
IN_DIALECTS: list[tuple[str, Any, int]] = [
    ("/ticks/ticks", {"instrument": "a", "price": 1, "timestamp": 1750948200000}, 201),
    ("/ticks/ticks", {}, 422),
    ("/batches/add_batch/", {"symbol": "a", "values": [1]}, 201),
    ("/batches/stats/a/9", None, 422),
    *[(f"/{name}/statistics", None, 200) for name in ("ticks", "transactions")],
    *[(f"/tickers{path}", None, 200) for path in ("/health", "/api/v1/tickers", "/openapi.json")],
    ("/tickers/nowhere", None, 404),
    *[(f"/influx{path}", None, status) for path, status in (("/health", 200), ("/nowhere", 404), ("/write", 405))],
]


def told(client: FlaskClient, path: str, body: Any, status: int) -> bytes:
    answer = client.get(path) if body is None else client.post(path, json=body)
    assert answer.status_code == status
    found: bytes = answer.data
    json.loads(found)
    return found


@pytest.mark.parametrize(("path", "body", "status"), CALLS)
def test_a_native_answer_ends_with_a_newline(client: FlaskClient, path: str, body: Any, status: int) -> None:
    assert told(client, path, body, status).endswith(b"}\n")


@pytest.mark.parametrize(("path", "body", "status"), IN_DIALECTS)
def test_an_answer_of_a_dialect_does_not(client: FlaskClient, path: str, body: Any, status: int) -> None:
    assert told(client, DIALECTS + path, body, status)[-1:] in (b"}", b"]")


@pytest.mark.parametrize(
    ("path", "end"), [("/event", b"}\n"), ("/dialects/ticks/ticks", b"}"), ("/dialects/influx/", b"}")]
)
def test_a_worker_that_has_too_much_to_do_ends_its_refusal_likewise(app: Flask, path: str, end: bytes) -> None:
    assert context(app).overloaded(path).data.removesuffix(end)[-1:] == b'"'
