from __future__ import annotations

import csv
import io
import json

import pytest

from simulator.dialects import FORMATS, Call, NoSuchForm, target
from simulator.events import Event

EVENTS = [
    Event("AAPL", 1_750_948_200_000_000, 12.34),
    Event('BTC/USD "x", ü', 1_750_948_200_123_456, 1e-7),
    Event("AAPL", 1_750_948_201_500_000, 13.0),
]
NATIVE = [
    {"timestamp": "2025-06-26T14:30:00Z", "value": 12.34, "series": "AAPL"},
    {"timestamp": "2025-06-26T14:30:00.123456Z", "value": 1e-7, "series": 'BTC/USD "x", ü'},
    {"timestamp": "2025-06-26T14:30:01.500Z", "value": 13.0, "series": "AAPL"},
]


def call(dialect: str, batch: int = 1, body_format: str | None = None) -> Call:
    return target(dialect, batch, body_format).form(EVENTS[:batch])


@pytest.mark.parametrize("dialect", ["native", "tickers"])
def test_one_native_event(dialect: str) -> None:
    one = call(dialect)
    assert (one.path, json.loads(one.body), one.events) == ("/event", NATIVE[0], 1)
    assert one.content_type == "application/json"


def test_a_native_batch_is_an_array() -> None:
    batch = call("native", 3)
    assert (batch.path, json.loads(batch.body), batch.events) == ("/events", NATIVE, 3)


@pytest.mark.parametrize("body_format", FORMATS)
def test_a_format_makes_even_one_event_a_batch(body_format: str) -> None:
    assert call("native", 1, body_format).path == "/events"


def test_columns_carry_one_series() -> None:
    where = target("native", 3, "columns")
    assert where.one_series
    assert json.loads(where.form(EVENTS).body) == {
        "series": "AAPL",
        "timestamps": [event["timestamp"] for event in NATIVE],
        "values": [event["value"] for event in NATIVE],
    }


def test_values_carry_no_time() -> None:
    assert json.loads(call("native", 3, "values").body) == {"series": "AAPL", "values": [12.34, 1e-7, 13.0]}


def test_ndjson_is_a_line_an_event() -> None:
    batch = call("native", 3, "ndjson")
    assert batch.content_type == "application/x-ndjson"
    assert [json.loads(line) for line in batch.body.splitlines()] == NATIVE
    assert batch.body.endswith(b"\n")


def test_csv_quotes_what_needs_it() -> None:
    batch = call("native", 3, "csv")
    assert batch.content_type == "text/csv"
    rows = list(csv.DictReader(io.StringIO(batch.body.decode(), newline="")))
    assert [row | {"value": float(row["value"])} for row in rows] == NATIVE


def test_a_tick() -> None:
    tick = call("ticks")
    assert tick.path == "/dialects/ticks/ticks"
    assert json.loads(tick.body) == {"instrument": "AAPL", "price": 12.34, "timestamp": 1_750_948_200_000}


def test_a_transaction() -> None:
    transaction = call("transactions")
    assert transaction.path == "/dialects/transactions/transactions"
    assert json.loads(transaction.body) == {"amount": 12.34, "timestamp": 1_750_948_200_000}


def test_a_batch_of_a_symbol() -> None:
    where = target("batches", 3, None)
    assert where.one_series
    batch = where.form(EVENTS)
    assert (batch.path, batch.events) == ("/dialects/batches/add_batch/", 3)
    assert json.loads(batch.body) == {"symbol": "AAPL", "values": [12.34, 1e-7, 13.0]}


@pytest.mark.parametrize(
    ("dialect", "all_of_them", "one"),
    [
        ("native", "/statistics", "/statistics/BTC%2FUSD%20%C3%BC"),
        ("tickers", "/statistics", "/statistics/BTC%2FUSD%20%C3%BC"),
        ("ticks", "/dialects/ticks/statistics", "/dialects/ticks/statistics/BTC%2FUSD%20%C3%BC"),
        ("batches", "/statistics", "/dialects/batches/stats/?symbol=BTC%2FUSD%20%C3%BC&k=3"),
        ("transactions", "/dialects/transactions/statistics", None),
    ],
)
def test_where_the_statistics_are(dialect: str, all_of_them: str, one: str | None) -> None:
    where = target(dialect, 1, None)
    assert where.all_statistics == all_of_them
    assert (where.statistics("BTC/USD ü") if where.statistics else None) == one


@pytest.mark.parametrize(
    ("dialect", "batch", "body_format", "message"),
    [
        ("ticks", 2, None, "--batch 2: the ticks dialect takes one event a request; leave --batch out"),
        ("transactions", 2, None, "--batch 2: the transactions dialect takes one event a request; leave --batch out"),
        ("batches", 10_001, None, "--batch 10001: the batches dialect takes at most 10000 values"),
        ("batches", 10, "csv", "--format is for the native dialect; batches has one form of its own"),
    ],
)
def test_a_form_that_a_dialect_lacks(dialect: str, batch: int, body_format: str | None, message: str) -> None:
    with pytest.raises(NoSuchForm) as fault:
        target(dialect, batch, body_format)
    assert str(fault.value) == message
