"""The fast reading of a batch: what it reads, the schema reads alike; the rest it leaves to the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app import create_app
from dialects.batches import NewBatch
from dialects.plain_batches import read_plain_batch
from dialects.requests import parse
from settings import Settings

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**65), 2**65)
OTHERS = st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.integers(), max_size=2) | st.floats()
BATCHES = st.fixed_dictionaries(
    {"symbol": st.text(max_size=130) | OTHERS, "values": st.lists(NUMBERS | OTHERS, max_size=5) | st.lists(NUMBERS)},
    optional={"other": OTHERS, "Symbol": OTHERS},
)


@pytest.fixture(scope="module", autouse=True)
def application() -> Iterator[Flask]:
    app = create_app(Settings(log_url="memory:"))
    with app.app_context():
        yield app


def agree(body: bytes) -> None:
    """Check that a body which is read fast gives what the schema reads."""
    batch = read_plain_batch(body)
    if batch is not None:
        expected = NewBatch().load(parse(body))
        assert batch["symbol"] == expected["symbol"]
        assert batch["values"].tobytes() == expected["values"].tobytes()


@given(BATCHES)
def test_what_is_read_fast_is_what_the_schema_reads(batch: dict[str, Any]) -> None:
    agree(json.dumps(batch).encode())


WORDS = ["true", "false", "null", "NaN", "-Infinity", "[1]", "{}", '"1"', "01", "1.", ".5", "+1"]
LITERALS = st.sampled_from([*WORDS, "1e400", "-1e-400", "-0", "0.1", "1E+2"]) | st.sampled_from(
    [2**53 + 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**308, 10**309, 10**400]
).map(str)


@given(st.sampled_from(["X", "bitcoin", "true", "False"]), st.lists(LITERALS | NUMBERS.map(str), max_size=6))
def test_numbers_as_they_are_written_are_read_as_the_schema_reads_them(symbol: str, numbers: list[str]) -> None:
    agree(f'{{"symbol": "{symbol}", "values": [{", ".join(numbers)}]}}'.encode())


@given(st.data())
def test_damaged_bodies_are_never_read_otherwise(data: st.DataObject) -> None:
    body = bytearray(b'{"symbol": "AB", "values": [1.5, -2e3, 30], "x": null}')
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(
            st.sampled_from(b'{}[]",:0159.-+eE \\\x00\xff"valuesymbo')
        )
    batch = read_plain_batch(bytes(body))
    if batch is not None:
        agree(bytes(body))


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ('{"symbol": "X", "values": [1, 2.5, -3e-7]}', [1.0, 2.5, -3e-7]),
        (' {"values":[0.1],"symbol":"X"}\n', [0.1]),
        ('{"symbol": "X", "values": [18446744073709551615, -9223372036854775808]}', [2.0**64, -(2.0**63)]),
        ('{"symbol": "X", "values": [9007199254740993]}', [9007199254740992.0]),
        ('{"symbol": "X", "values": [5e-324, 1.7976931348623157e308]}', [5e-324, 1.7976931348623157e308]),
        ('{"symbol": "X", "values": [1], "other": {"a": null}}', [1.0]),
        ('{"symbol": "X", "values": [1], "other": [true, [false]]}', [1.0]),
        ('{"symbol": "X", "values": [18446744073709551616, -9223372036854775809]}', [2.0**64, -(2.0**63)]),
        ('{"symbol": "X", "values": [true], "values": [2]}', [2.0]),
    ],
)
def test_plainly_valid(body: str, values: list[float]) -> None:
    batch = read_plain_batch(body.encode())
    assert batch is not None
    assert (batch["symbol"], batch["values"].tolist()) == ("X", values)
    agree(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        '{"symbol": "X", "values": [[1]]}',
        '{"symbol": "X", "values": [1, [2]]}',
        '{"symbol": "X", "values": [1, null]}',
        '{"symbol": "X", "values": [{}]}',
        '{"symbol": "X", "values": [true]}',
        '{"symbol": "X", "values": [1, false]}',
        '{"symbol": "true", "values": [1, true]}',
        '{"symbol": "X", "values": [1], "values": [false]}',
        '{"symbol": "X", "values": [NaN]}',
        '{"symbol": "X", "values": [-Infinity]}',
        '{"symbol": "X", "values": ["1"]}',
        '{"symbol": "X", "values": [1e400]}',
        f'{{"symbol": "X", "values": [1{"0" * 400}]}}',
        '{"a":' * 2000 + "1" + "}" * 2000,
        '{"symbol": "X", "values": []}',
        '{"symbol": "X", "values": {}}',
        '{"symbol": "X"}',
        '{"symbol": "", "values": [1]}',
        '{"symbol": 1, "values": [1]}',
        '{"symbol": "a\\nb", "values": [1]}',
        '{"symbol": "\\ud800", "values": [1]}',
        f'{{"symbol": "X", "values": [{",".join(["1"] * 10_001)}]}}',
        "[1]",
        "1",
        "null",
        "",
        "{",
    ],
    ids=lambda body: body[:50],
)
def test_left_to_the_schema(body: str) -> None:
    assert read_plain_batch(body.encode()) is None


def test_negative_zero_becomes_zero() -> None:
    batch = read_plain_batch(b'{"symbol": "X", "values": [-0.0, -0, -1e-400]}')
    assert batch is not None
    assert batch["values"].tobytes() == b"\x00" * 24
