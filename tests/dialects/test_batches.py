"""`/dialects/batches`: batches of values of few symbols, statistics of the last 10^k."""

from __future__ import annotations

from fractions import Fraction

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from settings import Settings
from tests.conftest import FakeClock
from times import HOUR


def post(client: FlaskClient, symbol: object, values: object, path: str = "/add_batch/") -> TestResponse:
    return client.post(f"/dialects/batches{path}", json={"symbol": symbol, "values": values})


@pytest.mark.parametrize("path", ["/add_batch/", "/add_batch"])
def test_a_batch_is_confirmed(client: FlaskClient, path: str) -> None:
    response = post(client, "AAPL", [1, 2.5, -3e-7], path)
    assert (response.status_code, response.headers["Log-Position"]) == (201, "3")
    assert response.json == {"status": "success", "message": "Added batch for symbol: AAPL"}


@pytest.mark.parametrize(
    "path",
    [
        "/stats/?symbol=AAPL&k=1",
        "/stats?symbol=AAPL&k=1",
        "/stats/AAPL/1",
        "/stats/AAPL/1/",
        "/stats/?k=1&symbol=AAPL&x=y",
    ],
)
def test_statistics_cover_the_last_values(client: FlaskClient, path: str) -> None:
    post(client, "AAPL", [1000, -1000, 1, 2, 3, 4, 5])
    post(client, "AAPL", [6, 7, 8, 9, 10])
    response = client.get(f"/dialects/batches{path}")
    assert response.json == {"min": 1.0, "max": 10.0, "last": 10.0, "avg": 5.5, "var": 8.25, "values": 10}
    assert response.headers["Log-Position"] == "12"


@pytest.mark.parametrize("k", range(1, 9))
def test_each_power_of_ten_covers_what_there_is(client: FlaskClient, k: int) -> None:
    values = [i * 0.1 for i in range(12_000)]
    post(client, "AAPL", values[:10_000])
    post(client, "AAPL", values[10_000:])
    covered = values[-(10**k) :]
    exact = [Fraction(value) for value in covered]
    mean = sum(exact) / len(exact)
    assert client.get(f"/dialects/batches/stats/AAPL/{k}").json == {
        "min": covered[0],
        "max": covered[-1],
        "last": covered[-1],
        "avg": float(mean),
        "var": float(sum((value - mean) ** 2 for value in exact) / len(exact)),
        "values": len(covered),
    }


@pytest.mark.parametrize("symbol", ["BTC/USD", "température", " ", "a?b#c", "1"])
def test_any_series_name_is_a_symbol(client: FlaskClient, symbol: str) -> None:
    assert post(client, symbol, [4]).get_json()["message"] == f"Added batch for symbol: {symbol}"
    expected = {"min": 4.0, "max": 4.0, "last": 4.0, "avg": 4.0, "var": 0.0, "values": 1}
    assert client.get("/dialects/batches/stats/", query_string={"symbol": symbol, "k": 8}).json == expected
    quoted = symbol.replace("?", "%3F").replace("#", "%23")
    assert client.get(f"/dialects/batches/stats/{quoted}/8").json == expected


@pytest.mark.parametrize("path", ["/stats/?symbol=X&k=3", "/stats/X/3"])
def test_an_unknown_symbol_is_not_found(client: FlaskClient, path: str) -> None:
    response = client.get(f"/dialects/batches{path}")
    assert (response.status_code, response.json) == (404, {"detail": "Symbol X not found"})
    assert response.headers["Log-Position"] == "0"


@pytest.mark.parametrize("k", [-1, 0, 9, 10**40])
@pytest.mark.parametrize("path", ["/stats/?symbol=X&k=", "/stats/X/"])
def test_an_exponent_out_of_bounds_is_refused_first(client: FlaskClient, path: str, k: int) -> None:
    response = client.get(f"/dialects/batches{path}{k}")
    assert response.status_code == 422
    assert response.json == {"detail": f"Window size exponent (k={k}) must be between 1 and 8"}


def test_the_eleventh_symbol_is_refused(client: FlaskClient) -> None:
    for number in range(10):
        assert post(client, f"S{number}", [number]).status_code == 201
    response = post(client, "S10", [1])
    assert (response.status_code, response.json) == (400, {"detail": "Maximum number of symbols (10) reached"})
    assert client.get("/dialects/batches/stats/S10/1").status_code == 404
    assert post(client, "S0", [1]).status_code == 201


def test_a_batch_is_all_or_nothing(client: FlaskClient) -> None:
    response = post(client, "AAPL", [1, 2, "x", 4])
    assert response.status_code == 422
    assert response.get_json()["detail"][0]["loc"] == ["body", "values", 2]
    assert client.get("/dialects/batches/stats/AAPL/1").status_code == 404


@pytest.mark.parametrize(("count", "status"), [(1, 201), (10_000, 201), (10_001, 422), (0, 422)])
def test_a_batch_has_1_to_10000_values(client: FlaskClient, count: int, status: int) -> None:
    assert post(client, "AAPL", [1.5] * count).status_code == status


def test_whole_numbers_beyond_64_bits_are_values(client: FlaskClient) -> None:
    body = f'{{"symbol": "AAPL", "values": [{2**70}, {-(2**63)}, {2**64 - 1}]}}'
    client.post("/dialects/batches/add_batch", data=body, content_type="application/json")
    answer = client.get("/dialects/batches/stats/AAPL/1").get_json()
    assert (answer["min"], answer["max"], answer["last"]) == (-(2.0**63), 2.0**70, 2.0**64)


def test_a_symbol_keeps_its_values_when_it_idles(client: FlaskClient, clock: FakeClock) -> None:
    post(client, "AAPL", list(range(5000)))
    clock.advance(5 * HOUR)
    assert client.get("/dialects/batches/stats/AAPL/8").get_json()["values"] == 5000


def test_a_series_of_another_dialect_has_statistics_too(client: FlaskClient) -> None:
    client.post("/event", json={"timestamp": "2025-06-26T14:30:00Z", "value": 3, "series": "AAPL"})
    assert client.get("/dialects/batches/stats/AAPL/1").get_json()["values"] == 1


class TestLimits:
    """Settings that bound the dialect."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(max_symbols=2, max_batch=3, max_series=3)

    def test_the_limits_are_those_of_the_settings(self, client: FlaskClient) -> None:
        assert post(client, "A", [1, 2, 3, 4]).status_code == 422
        for symbol in ("A", "B"):
            assert post(client, symbol, [1, 2, 3]).status_code == 201
        response = post(client, "C", [1])
        assert (response.status_code, response.json) == (400, {"detail": "Maximum number of symbols (2) reached"})

    def test_more_series_than_allowed_are_refused(self, client: FlaskClient) -> None:
        for name in ("a", "b", "c"):
            client.post("/event", json={"timestamp": "2025-06-26T14:30:00Z", "value": 3, "series": name})
        response = post(client, "A", [1])
        assert response.status_code == 429
        assert list(response.get_json()) == ["detail"]
