"""Content-Encoding: gzip, on the way in and on the way out."""

from __future__ import annotations

import gzip

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_service import EventService
from settings import Settings
from tests.api.problems import assert_problem
from tests.conftest import START

T0 = "2025-06-26T14:30:00Z"
EVENT = b'{"timestamp": "%b", "value": 1.5}' % T0.encode()
GZIP = {"Accept-Encoding": "gzip"}
MAX_BODY = 10_000


@pytest.fixture
def settings() -> Settings:
    return Settings(max_body=MAX_BODY)


def post(
    client: FlaskClient, path: str, body: bytes, kind: str = "application/json", coding: str = "gzip"
) -> TestResponse:
    return client.post(path, data=body, content_type=kind, headers={"Content-Encoding": coding})


@pytest.mark.parametrize("coding", ["gzip", "GZip", "x-gzip", "identity, gzip"])
def test_an_event_may_come_packed(client: FlaskClient, coding: str) -> None:
    assert post(client, "/event", gzip.compress(EVENT), coding=coding).status_code == 201
    assert client.get("/statistics").get_json()["max"] == 1.5


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"[%b, %b]" % (EVENT, EVENT)),
        ("application/x-ndjson", EVENT + b"\n" + EVENT),
        ("text/csv", f"timestamp,value\n{T0},1\n{T0},2".encode()),
    ],
)
def test_a_batch_may_come_packed_in_members(client: FlaskClient, kind: str, body: bytes) -> None:
    packed = gzip.compress(body[:20]) + gzip.compress(body[20:])
    assert post(client, "/events", packed, kind).get_json() == {"stored": 2, "expired": 0}


def test_dialects_take_packed_bodies_too(client: FlaskClient) -> None:
    batch = gzip.compress(b'{"symbol": "a", "values": [1, 2, 3]}')
    assert post(client, "/dialects/batches/add_batch/", batch).status_code == 201
    tick = gzip.compress(b'{"instrument": "a", "price": 4, "timestamp": %d}' % (START // 1000))
    assert post(client, "/dialects/ticks/ticks", tick).status_code == 201
    assert client.get("/statistics/a").get_json()["count"] == 4


BROKEN = {
    "plain": EVENT,
    "short": b"\x1f\x8b",
    "broken off": gzip.compress(EVENT)[:-1],
    "followed": gzip.compress(EVENT) + b"more",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("path", ["/event", "/events"])
def test_what_is_no_gzip_is_refused(client: FlaskClient, service: EventService, path: str, body: bytes) -> None:
    assert_problem(post(client, path, body), 400, "Not the gzip that Content-Encoding announces: ")
    assert service.position() == 0


@pytest.mark.parametrize(("coding", "status", "detail"), [("gzip", 400, "Not the gzip"), ("br", 415, "not 'br'")])
def test_dialects_refuse_in_their_own_shape(client: FlaskClient, coding: str, status: int, detail: str) -> None:
    answer = post(client, "/dialects/ticks/ticks", EVENT, coding=coding)
    assert answer.status_code == status
    assert list(answer.get_json()) == ["detail"]
    assert detail in answer.get_json()["detail"]


@pytest.mark.parametrize("path", ["/event", "/events", "/dialects/batches/add_batch/"])
def test_the_limit_holds_for_what_a_body_unpacks_to(client: FlaskClient, service: EventService, path: str) -> None:
    fits, bomb = EVENT.ljust(MAX_BODY), EVENT.ljust(MAX_BODY + 1)
    answer = post(client, path, gzip.compress(bomb))
    assert (answer.status_code, "10000 bytes (MAX_BODY)" in answer.get_json()["detail"]) == (413, True)
    assert service.position() == 0
    assert post(client, path, gzip.compress(fits)).status_code != 413


def unpacked(answer: TestResponse) -> bytes:
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    return gzip.decompress(answer.data)


@pytest.fixture
def many(client: FlaskClient) -> FlaskClient:
    lines = [f"{T0},1,s{i}" for i in range(50)]
    body = "\n".join(["timestamp,value,series", *lines])
    assert client.post("/events", data=body, content_type="text/csv").status_code == 201
    return client


@pytest.mark.parametrize(
    "path", ["/series", "/dialects/tickers/api/v1/tickers", "/metrics/windows", "/v1/metrics?series=s&include=p99"]
)
def test_a_large_answer_goes_out_packed_where_it_is_wanted(many: FlaskClient, path: str) -> None:
    plain, packed = many.get(path), many.get(path, headers=GZIP)
    assert unpacked(packed) == plain.data
    assert len(packed.data) < len(plain.data) / 3
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["Log-Position"] == plain.headers["Log-Position"]
    assert packed.mimetype == plain.mimetype


def test_csv_and_counters_go_out_packed_too(many: FlaskClient) -> None:
    csv = {"Accept": "text/csv"}
    plain, packed = (many.get("/history?window=200s&step=2s", headers=csv | more) for more in ({}, GZIP))
    assert unpacked(packed) == plain.data
    assert packed.headers["Log-Position"] == plain.headers["Log-Position"]
    assert set(packed.headers["Vary"].split(", ")) == {"Accept", "Accept-Encoding"}
    assert unpacked(many.get("/metrics", headers=GZIP)).startswith(b"# HELP tidemark_requests_total")


def test_a_small_answer_goes_out_as_it_is(client: FlaskClient) -> None:
    answer = client.get("/statistics", headers=GZIP)
    assert "Content-Encoding" not in answer.headers
    assert "Vary" not in answer.headers


FILES = ["/openapi.json", "/", "/dashboard/style.css", "/dashboard/vendor/uPlot.iife.js", "/docs/swagger-ui-bundle.js"]


@pytest.mark.parametrize("path", FILES)
def test_each_form_of_a_file_has_an_etag_of_its_own(client: FlaskClient, path: str) -> None:
    plain, packed = client.get(path, buffered=True), client.get(path, headers=GZIP, buffered=True)
    assert unpacked(packed) == plain.data
    assert packed.mimetype == plain.mimetype
    assert packed.headers["ETag"] != plain.headers["ETag"]
    for form, accepts in ((plain, {}), (packed, GZIP)):
        assert form.headers["Vary"] == "Accept-Encoding"
        again = client.get(path, headers=accepts | {"If-None-Match": form.headers["ETag"]}, buffered=True)
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", form.headers["ETag"])
        assert again.headers["Vary"] == "Accept-Encoding"
    for form, accepts in ((plain, GZIP), (packed, {})):
        other = client.get(path, headers=accepts | {"If-None-Match": form.headers["ETag"]}, buffered=True)
        assert other.status_code == 200


def test_a_packed_file_is_sent_whole(client: FlaskClient) -> None:
    answer = client.get("/dashboard/style.css", headers=GZIP | {"Range": "bytes=0-9"}, buffered=True)
    assert answer.status_code == 200
    assert unpacked(answer)


def test_head_says_what_get_would_send(many: FlaskClient) -> None:
    for path in ("/series", "/docs/swagger-ui-bundle.js"):
        get, head = (many.open(path, method=method, headers=GZIP, buffered=True) for method in ("GET", "HEAD"))
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
        assert head.headers["Content-Encoding"] == "gzip"
        assert head.data == b""
