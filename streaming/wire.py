"""Events and answers as bytes on the wire: Server-Sent Events and WebSocket frames.

Whatever a stream carries is written once and shared by all who asked for the same; so these functions
work on columns and build whole chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from event_log.batch import Times, Values
from streaming.endings import Ending
from times import SECOND

SSE_HEARTBEAT = b":\n\n"
PING = b"\x89\x00"
_TEXT = 0x81
"""First byte of a WebSocket frame that is a whole text message."""

MOST_EVENT_BYTES = 120
"""Maximum bytes that one event takes on any wire, besides the name of its series."""


class Wire(NamedTuple):
    """Functions that write the content of a stream, each as one chunk."""

    events: Callable[[str, Times, Times, Values], bytes]
    """Events of one series: its name, their positions, times, values."""
    gap: Callable[[str, int], bytes]
    """That events of a series are lost which stood before this position."""


def sse_events(series: str, positions: Times, times: Times, values: Values) -> bytes:
    """One `event: event` for each event, its position as `id`."""
    messages = _event_objects(series, positions, times, values)
    return b"".join(
        b"id: %d\nevent: event\ndata: %b\n\n" % pair for pair in zip(positions.tolist(), messages, strict=True)
    )


def websocket_events(series: str, positions: Times, times: Times, values: Values) -> bytes:
    """One text frame for each event, with the same JSON as over SSE."""
    return b"".join(map(text_frame, _event_objects(series, positions, times, values)))


def sse_gap(series: str, position: int) -> bytes:
    """One `event: gap`; its `id` lets a client that comes back go on behind it."""
    return b"id: %d\nevent: gap\ndata: %b\n\n" % (position - 1, _gap_object(series, position))


def websocket_gap(series: str, position: int) -> bytes:
    """The same as a text frame, which its `type` tells from an event."""
    return text_frame(_gap_object(series, position))


def sse_statistics(position: int, answer: object) -> bytes:
    """One `event: statistics`."""
    return b"id: %d\nevent: statistics\ndata: %b\n\n" % (position, orjson.dumps(answer))


def sse_opening(retry_ms: int) -> bytes:
    """Return the beginning of every stream: with it headers and a first byte leave at once."""
    return b"retry: %d\n\n" % retry_ms


def sse_ending(ending: Ending) -> bytes:
    """The last event of a stream that the server ends."""
    return b"event: %b\ndata: %b\n\n" % (ending.event.encode(), orjson.dumps({"reason": ending.reason}))


def text_frame(text: bytes) -> bytes:
    """A server's WebSocket text message in one frame."""
    size = len(text)
    if size < 126:
        return bytes((_TEXT, size)) + text
    if size < 1 << 16:
        return bytes((_TEXT, 126)) + size.to_bytes(2, "big") + text
    return bytes((_TEXT, 127)) + size.to_bytes(8, "big") + text


def json_numbers(values: Values) -> list[bytes]:
    """Each value as JSON; one call for all of them is ten times as fast."""
    return orjson.dumps(values.tolist())[1:-1].split(b",")


def json_timestamps(times: Times) -> list[bytes]:
    """Each time as `format_timestamp` writes it, but in quotes; events of one second share the formatting of it."""
    return list(_timestamps(times.tolist()))


def _timestamps(times: Sequence[int]) -> Iterable[bytes]:
    second, prefix = -1, b""
    for time in times:
        whole, rest = divmod(time, SECOND)
        if whole != second:
            second, prefix = whole, datetime.fromtimestamp(whole, UTC).strftime('"%Y-%m-%dT%H:%M:%S').encode()
        if not rest:
            yield prefix + b'Z"'
        elif rest % 1000:
            yield b'%b.%06dZ"' % (prefix, rest)
        else:
            yield b'%b.%03dZ"' % (prefix, rest // 1000)


def _gap_object(series: str, position: int) -> bytes:
    return orjson.dumps({"type": "gap", "series": series, "position": position})


def _event_objects(series: str, positions: Times, times: Times, values: Values) -> Iterable[bytes]:
    columns = zip(positions.tolist(), json_timestamps(times), json_numbers(values), strict=True)
    start = b'{"series":%b,"position":' % orjson.dumps(series)
    return (start + b'%d,"timestamp":%b,"value":%b}' % row for row in columns)


SSE = Wire(sse_events, sse_gap)
WEBSOCKET = Wire(websocket_events, websocket_gap)
