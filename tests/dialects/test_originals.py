"""Where a request is refused, the original's own answer is ours: status, types, places, messages, inputs."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.conftest import START
from tests.dialects import originals

NOW = START // 1000
TICK = f'{{"instrument": "AAPL", "price": 1, "timestamp": {NOW}}}'
TICKS = "/ticks/ticks"
TRANSACTIONS = "/transactions/transactions"
ADD_BATCH = "/batches/add_batch/"
HISTORY = "/tickers/api/v1/tickers/X/history"

BODIES: list[tuple[str, str]] = [
    *[(target, body) for target in (TICKS, TRANSACTIONS, ADD_BATCH) for body in ("", "{}", "null", "[]", '"x"', "3")],
    (TICKS, TICK),
    (TICKS, TICK.replace("}", ', "extra": {"a": [1]}}')),
    (TICKS, f'{{"instrument": "AAPL", "price": 1, "timestamp": {NOW}.0}}'),
    (TICKS, '{"instrument": 1, "price": "x", "timestamp": "y"}'),
    (TICKS, '{"instrument": null, "price": null, "timestamp": null}'),
    (TICKS, '{"instrument": [], "price": {}, "timestamp": [1]}'),
    (TICKS, '{"instrument": "", "price": "", "timestamp": ""}'),
    (TICKS, '{"instrument": "%s", "price": 1, "timestamp": 1}' % ("x" * 129)),
    (TICKS, '{"instrument": "AAPL", "price": 1, "timestamp": 1.5}'),
    (TICKS, '{"instrument": "AAPL", "price": 1, "timestamp": "1.5"}'),
    (TRANSACTIONS, '{"amount": "12,5"}'),
    (TRANSACTIONS, '{"timestamp": 1}'),
    (TRANSACTIONS, f'{{"amount": 1e308, "timestamp": {NOW}}}'),
    (ADD_BATCH, '{"symbol": "X", "values": [1, 2.5, -0.0]}'),
    (ADD_BATCH, '{"symbol": "", "values": []}'),
    (ADD_BATCH, '{"symbol": "X", "values": [1, "x", null, [2], {"a": 1}]}'),
    (ADD_BATCH, '{"symbol": "X", "values": "abc"}'),
    (ADD_BATCH, '{"symbol": "X", "values": null}'),
    (ADD_BATCH, '{"symbol": "X", "values": {"0": 1}}'),
    # Not JSON
    *[
        (TICKS, body)
        for body in ("{bad", "  ", TICK + " x", '{"a"', '{"a":tru', '"abc', '"\x01"', TICK[:-1] + ",}", "[" * 99)
    ],
    (TICKS, "[" * 100_000),
]

QUERIES = [
    "/batches/stats/",
    "/batches/stats/?symbol=X",
    "/batches/stats/?k=3",
    *(f"/batches/stats/?symbol=X&k={k}" for k in ("abc", "", "1.5", "1e2", "0x1", "%C2%B2")),
    *(f"/batches/stats/X/{k}" for k in ("abc", "1.5", "--1", "3_")),
    *(f"{HISTORY}?limit={limit}" for limit in ("0", "-1", "1001", "abc", "", "1.5", "1_0_", "9" * 30)),
]


@pytest.mark.parametrize(("target", "body"), BODIES, ids=lambda value: value[:60])
def test_bodies_are_judged_as_by_the_original(client: FlaskClient, target: str, body: str) -> None:
    status, answer = originals.ask("POST", target, body.encode())
    response = client.post(f"/dialects{target}", data=body, content_type="application/json")
    assert (response.status_code, response.json if response.data else None) == (status, answer)


@pytest.mark.parametrize("body", [b"\xff\xfe{}", TICK.replace("AAPL", "\udcff").encode(errors="surrogateescape")])
def test_invalid_utf_8_is_judged_as_by_the_original(client: FlaskClient, body: bytes) -> None:
    response = client.post(f"/dialects{TICKS}", data=body, content_type="application/json")
    assert (response.status_code, response.json) == originals.ask("POST", TICKS, body)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_json_in_other_unicode_encodings_is_read_as_by_the_original(client: FlaskClient, encoding: str) -> None:
    body = TICK.encode(encoding)
    response = client.post(f"/dialects{TICKS}", data=body, content_type="application/json")
    assert (response.status_code, response.json) == originals.ask("POST", TICKS, body) == (201, {})


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "text/plain",
        "bogus",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.api+json",
    ],
)
def test_media_types_are_judged_as_by_the_original(client: FlaskClient, media_type: str | None) -> None:
    response = client.post(f"/dialects{TICKS}", data=TICK, content_type=media_type)
    assert (response.status_code, response.json) == originals.ask("POST", TICKS, TICK.encode(), media_type)


@pytest.mark.parametrize("target", QUERIES, ids=lambda value: value[:60])
def test_queries_and_paths_are_judged_as_by_the_original(client: FlaskClient, target: str) -> None:
    response = client.get(f"/dialects{target}")
    status, answer = originals.ask("GET", target)
    assert (response.status_code, response.json) == (status, answer)
    assert status == 422


@pytest.mark.parametrize("k", ["3", "+3", "03", "%203", "3.0", "3.", "0_3"])
def test_whole_numbers_are_read_as_by_the_original(client: FlaskClient, k: str) -> None:
    original, _ = originals.ask("GET", f"/batches/stats/X/{k}")
    response = client.get(f"/dialects/batches/stats/X/{k}")
    assert original in {200, 422}
    assert response.status_code == (404 if original == 200 else 422)


@pytest.mark.parametrize(
    ("method", "target"), [("GET", TICKS), ("DELETE", TICKS), ("POST", HISTORY), ("GET", "/ticks/nope")]
)
def test_wrong_methods_and_paths_answer_as_the_original(client: FlaskClient, method: str, target: str) -> None:
    response = client.open(f"/dialects{target}", method=method)
    assert (response.status_code, response.json) == originals.ask(method, target, media_type=None)


# Where we differ from the originals, on purpose


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (TICKS, '{"instrument": "AAPL", "price": 1%s, "timestamp": 1}' % ("0" * 400)),
        (TICKS, '{"extra": "%s"}' % ("x" * 1000)),
        (ADD_BATCH, f'{{"symbol": "X", "values": [{", ".join(["1"] * 10_001)}]}}'),
        (TICKS, "[" * 300 + "]" * 300),
    ],
    ids=["digits", "text", "list", "nesting"],
)
def test_a_long_input_is_not_repeated(client: FlaskClient, target: str, body: str) -> None:
    status, answer = originals.ask("POST", target, body.encode())
    for item in answer["detail"]:
        del item["input"]
    response = client.post(f"/dialects{target}", data=body, content_type="application/json")
    assert (response.status_code, response.json) == (status, answer)


@pytest.mark.parametrize("target", ["/batches/stats/X/", "/batches/stats/?symbol=X&k="])
def test_a_number_of_too_many_digits_is_not_repeated(client: FlaskClient, target: str) -> None:
    status, answer = originals.ask("GET", target + "9" * 5000)
    del answer["detail"][0]["input"]
    response = client.get(f"/dialects{target}{'9' * 5000}")
    assert (response.status_code, response.json) == (status, answer)


def test_at_most_100_faults_are_listed(client: FlaskClient) -> None:
    response = client.post(f"/dialects{ADD_BATCH}", json={"symbol": "X", "values": [None] * 10_000})
    assert [item["loc"] for item in response.get_json()["detail"]] == [
        ["body", "values", index] for index in range(100)
    ]


@pytest.mark.parametrize(
    ("number", "integer_fault"),
    [
        ('"1"', "int_type"),
        ('" 7 "', "int_type"),
        ("true", "int_type"),
        ('"1.5"', "int_parsing"),
        ('"nan"', "int_parsing"),
    ],
)
def test_a_number_is_a_json_number(client: FlaskClient, number: str, integer_fault: str) -> None:
    body = f'{{"instrument": "AAPL", "price": {number}, "timestamp": {number}}}'
    response = client.post(f"/dialects{TICKS}", data=body, content_type="application/json")
    assert response.status_code == 422
    assert [item["type"] for item in response.get_json()["detail"]] == ["float_type", integer_fault]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize(
    ("target", "body", "loc"),
    [
        (TICKS, '{"instrument": "AAPL", "price": %s, "timestamp": 1}', ["body", "price"]),
        (TICKS, '{"instrument": "AAPL", "price": 1, "timestamp": %s}', ["body", "timestamp"]),
        (TRANSACTIONS, '{"amount": %s, "timestamp": 1}', ["body", "amount"]),
        (ADD_BATCH, '{"symbol": "X", "values": [1, %s]}', ["body", "values", 1]),
    ],
)
def test_where_the_original_breaks_down_a_number_that_is_not_finite_is_named(
    client: FlaskClient, number: str, target: str, body: str, loc: list[str | int]
) -> None:
    response = client.post(f"/dialects{target}", data=body % number, content_type="application/json")
    assert response.status_code == 422
    assert response.json == {
        "detail": [{"type": "finite_number", "loc": loc, "msg": "Input should be a finite number", "input": None}]
    }
