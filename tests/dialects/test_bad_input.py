"""Whatever a client sends: an answer in the dialect's shape, never a 500, and nothing stored of what was refused."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from api.context import context
from api.reading.columns import gather
from app import create_app
from dialects import PREFIX
from dialects.fields import Number
from dialects.requests import MISSING, refuse
from event_log.errors import LogFull
from event_service import EventService
from settings import Settings
from tests.conftest import START, FakeClock

NOW = START // 1000
WRITES = ["/dialects/ticks/ticks", "/dialects/transactions/transactions", "/dialects/batches/add_batch/"]
VALID: dict[str, dict[str, Any]] = {
    WRITES[0]: {"instrument": "AAPL", "price": 1.5, "timestamp": NOW},
    WRITES[1]: {"amount": 1.5, "timestamp": NOW},
    WRITES[2]: {"symbol": "AAPL", "values": [1.5]},
}
# Surrogates too: JSON can spell halves of a pair that UTF-8 cannot.
TEXTS = st.text(st.characters(codec=None), max_size=150)
SCALARS = st.none() | st.booleans() | st.floats() | st.integers(-(10**400), 10**400) | st.integers(-5, 5) | TEXTS
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, Any]:
    """A path to write to, with a document that is a valid one but for some of its fields, or any at all."""
    path = draw(st.sampled_from(WRITES))
    if draw(st.booleans()):
        return path, draw(DOCUMENTS)
    document = dict(VALID[path])
    for name in draw(st.sets(st.sampled_from(sorted(document)))):
        document[name] = draw(DOCUMENTS)
    return path, document


@pytest.fixture(scope="module")
def shared() -> Flask:
    """One application for all the examples of a property: making one costs more than an example."""
    app = create_app(Settings(log_url="memory:"), clock=FakeClock())
    app.testing = True
    return app


def judge(app: Flask, path: str, body: bytes) -> None:
    """Post, and check that what is not accepted is refused in the dialect's shape and leaves the log as it was."""
    service = context(app).service
    before = service.position()
    response = app.test_client().post(path, data=body, content_type="application/json")
    assert response.status_code in {201, 204, 400, 422}
    if response.status_code >= 400:
        assert list(response.get_json()) == ["detail"]
    if response.status_code != 201:
        assert service.position() == before


@given(requests())
def test_no_document_breaks_a_dialect(shared: Flask, request: tuple[str, Any]) -> None:
    path, document = request
    judge(shared, path, json.dumps(document).encode())


@given(st.sampled_from(WRITES), st.binary(max_size=60))
def test_no_bytes_break_a_dialect(shared: Flask, path: str, body: bytes) -> None:
    judge(shared, path, body)


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("depth", [200, 1000, 1024, 5000, 100_000])
def test_no_nesting_breaks_a_dialect(shared: Flask, path: str, depth: int) -> None:
    judge(shared, path, b"[" * depth + b"]" * depth)
    judge(shared, path, b'{"symbol":' * depth + b"1" + b"}" * depth)
    judge(shared, path, b'{"symbol": "X", "values": ' + b"[" * depth + b"]" * depth + b"}")


@given(
    st.sampled_from(
        [
            "/ticks/statistics/{}",
            "/batches/stats/{}/1",
            "/batches/stats/X/{}",
            "/batches/stats/?symbol={}&k=1",
            "/batches/stats/?symbol=X&k={}",
            "/tickers/api/v1/tickers/{}/history",
            "/tickers/api/v1/tickers/X/history?limit={}",
        ]
    ),
    st.binary(max_size=40) | st.text(max_size=40).map(str.encode),
)
def test_no_path_or_query_breaks_a_dialect(shared: Flask, target: str, raw: bytes) -> None:
    response = shared.test_client().get("/dialects" + target.format(quote(raw, safe="")))
    assert response.status_code in {200, 404, 422}
    assert response.status_code == 200 or list(response.get_json()) == ["detail"]


@pytest.mark.parametrize("path", ["/batches/stats", "/tickers/api/v1/tickers/X/history"])
def test_no_bytes_in_a_query_break_a_dialect(client: FlaskClient, path: str) -> None:
    response = client.get(f"/dialects{path}", environ_overrides={"QUERY_STRING": "symbol=\xff&k=1&limit=\xff"})
    assert response.status_code in {404, 422}
    assert list(response.get_json()) == ["detail"]


@given(st.lists(SCALARS | st.lists(st.integers()), max_size=5))
def test_the_fast_check_of_a_column_agrees_with_the_field(values: list[Any]) -> None:
    assert (gather(values) is not None) == all(map(is_number, values))


def is_number(value: Any) -> bool:
    try:
        Number().deserialize(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("path", WRITES)
def test_a_body_that_is_too_large(client: FlaskClient, path: str) -> None:
    response = client.post(path, data=b" " * (2 * 1024**2 + 1), content_type="application/json")
    assert response.status_code == 413
    assert list(response.get_json()) == ["detail"]


@pytest.mark.parametrize("path", WRITES)
def test_a_full_log_is_503_with_retry_after(
    client: FlaskClient, service: EventService, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> int:
        raise LogFull("10 bytes are not enough")

    service.start()
    monkeypatch.setattr(service.log, "append", refuse)
    monkeypatch.setattr(service.log, "append_one", refuse)
    response = client.post(path, json=VALID[path])
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert list(response.get_json()) == ["detail"]


def test_a_series_too_many_is_429(clock: FakeClock) -> None:
    client = create_app(Settings(log_url="memory:", max_series=1), clock=clock).test_client()
    assert client.post(WRITES[0], json=VALID[WRITES[0]]).status_code == 201
    response = client.post(WRITES[1], json=VALID[WRITES[1]])
    assert response.status_code == 429
    assert list(response.get_json()) == ["detail"]


def test_a_new_dialect_says_no_like_the_others_without_asking_for_it(app: Flask) -> None:
    bp = Blueprint("new", __name__)
    bp.get("/<number>")(lambda number: refuse(MISSING, ["path"], number))
    app.register_blueprint(bp, url_prefix=f"{PREFIX}/new")
    client = app.test_client()
    assert client.get("/dialects/new/1").status_code == 422
    assert client.get("/dialects/new").get_json() == {"detail": "Not Found"}
