"""A body whose items are looked at one by one lets other requests in between them."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import orjson
import pytest
from flask import Flask

from api.problems import Problem
from api.reading.batch_formats import NDJSON, parse_events
from api.reading.bodies import JSON, explain_loosely
from api.reading.csv_format import CSV
from view import portions

ITEMS = 400
SECONDS_AN_ITEM = 0.001
STAMPS = [f"2025-06-26T14:30:00{'Z' if number % 2 else '+02:00'}" for number in range(ITEMS)]
UNLIKE = ["2025-06-26T14:30:00.25Z" if number % 2 else "2025-06-26T14:30:00.250" for number in range(ITEMS)]
"""Timestamps of one length, and yet of two forms."""


@pytest.fixture
def given_way(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes each time others are let in, by a clock that shows a while more at each look."""
    looks, times = count(), list[int]()
    clock = SimpleNamespace(perf_counter=lambda: next(looks) * SECONDS_AN_ITEM)
    monkeypatch.setattr(portions, "time", clock)  # not that of the threads that other tests have left
    monkeypatch.setattr(portions, "give_way", lambda: times.append(1))
    return times


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, orjson.dumps([{"timestamp": stamp, "value": "x"} for stamp in STAMPS])),
        (JSON, orjson.dumps([{"value": 1, "timestamp": "x", "serie": "a"}] * ITEMS)),
        (JSON, orjson.dumps({"values": [*range(ITEMS - 1), "x"]})),
        (JSON, orjson.dumps({"values": [1] * ITEMS, "timestamps": ["x"] * ITEMS})),
        (NDJSON, b"{}\n" * ITEMS),
        (CSV, b"timestamp,value\n" + b"2025-06-26T14:30:00Z,x\n" * ITEMS),
    ],
)
def test_where_something_is_wrong(app: Flask, given_way: list[int], kind: str, body: bytes) -> None:
    with app.test_request_context("/events", method="POST"), pytest.raises(Problem):
        parse_events(kind, body)
    assert len(given_way) >= ITEMS * SECONDS_AN_ITEM / portions.SECONDS - 1


@pytest.mark.parametrize(
    "data",
    [
        {"values": [1] * ITEMS, "timestamps": UNLIKE},
        {"values": [1] * ITEMS, "timestamps": [1_750_948_200.5] * (ITEMS - 1) + [16_000.5]},
        [{"value": 1, "series": '"'}] * ITEMS,
    ],
    ids=["unlike timestamps", "unlike numbers", "escaped quotation marks"],
)
def test_where_what_is_well_is_read_one_by_one(app: Flask, given_way: list[int], data: object) -> None:
    body = orjson.dumps(data)
    with app.test_request_context("/events", method="POST"):
        assert len(parse_events(JSON, body)) == ITEMS
    assert len(given_way) >= ITEMS * SECONDS_AN_ITEM / portions.SECONDS - 1


def test_where_json_is_read_loosely(given_way: list[int]) -> None:
    explain_loosely(b"[%b]" % b",".join([b'{"value":NaN}'] * ITEMS), lambda data: None)
    assert len(given_way) >= ITEMS * SECONDS_AN_ITEM / portions.SECONDS - 1


def test_not_where_all_is_well(app: Flask, given_way: list[int]) -> None:
    body = orjson.dumps([{"timestamp": stamp, "value": 1} for stamp in STAMPS])
    with app.test_request_context("/events", method="POST"):
        assert len(parse_events(JSON, body)) == ITEMS
    assert not given_way
