"""Bytes on the wire: what a browser's EventSource and a WebSocket client make of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import Ping, TextMessage

from dialects.tickers import price_frames
from streaming import wire
from streaming.endings import TOO_SLOW
from tests.streaming.sse import parse
from times import format_timestamp

POSITIONS = np.array([7, 9], np.int64)
TIMES = np.array([1_750_948_200_000_000, 1_750_948_200_123_456], np.int64)
VALUES = np.array([12.345, -0.5])
YEAR_9999 = 253_402_300_799_999_999


def websocket_messages(frames: bytes) -> list[str]:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(frames)
    return [event.data for event in client.events() if isinstance(event, TextMessage) and event.message_finished]


def test_an_event_over_sse() -> None:
    first, second = parse(wire.sse_events("BTC/USD", POSITIONS, TIMES, VALUES))
    assert (first.id, first.event) == ("7", "event")
    assert first.json == {"series": "BTC/USD", "position": 7, "timestamp": "2025-06-26T14:30:00Z", "value": 12.345}
    assert (second.id, second.json["timestamp"]) == ("9", "2025-06-26T14:30:00.123456Z")


def test_the_same_event_over_a_websocket() -> None:
    messages = websocket_messages(wire.websocket_events('"é"', POSITIONS, TIMES, VALUES))
    assert [json.loads(message) for message in messages] == [
        event.json for event in parse(wire.sse_events('"é"', POSITIONS, TIMES, VALUES))
    ]


def test_a_price_update() -> None:
    first, second = websocket_messages(price_frames("ITEM_00", POSITIONS, TIMES, VALUES))
    assert json.loads(first) == {
        "type": "price_update",
        "data": {"ticker_id": "ITEM_00", "price": 12.35, "timestamp": "2025-06-26T14:30:00Z"},
    }
    assert json.loads(second)["data"]["price"] == -0.5


def test_statistics_over_sse() -> None:
    (answer,) = parse(wire.sse_statistics(42, {"count": 0, "min": None}))
    assert (answer.id, answer.event, answer.json) == ("42", "statistics", {"count": 0, "min": None})


def test_an_ending_over_sse() -> None:
    (ending,) = parse(wire.sse_ending(TOO_SLOW))
    assert (ending.event, ending.json) == ("error", {"reason": TOO_SLOW.reason})


def test_opening_and_heartbeat_are_no_events() -> None:
    assert parse(wire.sse_opening(1500) + wire.SSE_HEARTBEAT) == []


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_text_frame_of_any_size(size: int) -> None:
    text = "x" * size
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(wire.text_frame(text.encode()) + wire.PING)
    *messages, ping = client.events()
    assert "".join(message.data for message in messages if isinstance(message, TextMessage)) == text
    assert isinstance(ping, Ping)


@example([0, 1_000, 1_001, 999_999, 1_000_000])
@given(st.lists(st.integers(0, YEAR_9999), min_size=1))
def test_timestamps_are_written_as_everywhere_else(times: list[int]) -> None:
    written = wire.json_timestamps(np.array(times, np.int64))
    assert [json.loads(text) for text in written] == [format_timestamp(time) for time in times]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_survive_json(values: list[float]) -> None:
    assert [json.loads(text) for text in wire.json_numbers(np.array(values))] == values
