"""The reasons for which the server ends a stream, each with its SSE event and its WebSocket close code."""

from __future__ import annotations

from dataclasses import dataclass

GOING_AWAY = 1001
INTERNAL_ERROR = 1011
POLICY = 1008
MESSAGE_TOO_BIG = 1009
TRY_AGAIN_LATER = 1013


@dataclass(frozen=True, slots=True)
class Ending:
    """One reason: the SSE event that carries it, the WebSocket close code, and the words."""

    event: str
    code: int
    reason: str


SHUTDOWN = Ending("close", GOING_AWAY, "This worker is shutting down; reconnect to go on.")
TOO_SLOW = Ending("error", TRY_AGAIN_LATER, "Events came faster than you read them; reconnect after your last id.")
NO_LOG = Ending("error", TRY_AGAIN_LATER, "The log cannot be read just now; reconnect after your last id.")
BROKEN = Ending("error", INTERNAL_ERROR, "The server failed at this stream; reconnect after your last id.")
NO_KEY = Ending("error", POLICY, "Your access key has ended, or no longer opens this stream.")
TOO_MANY_STREAMS = Ending("", TRY_AGAIN_LATER, "All streams of this worker are taken; try again later.")
TOO_MANY_FRAMES = Ending("", POLICY, "You send too many frames; this WebSocket takes 200 in a second at most.")
TOO_BIG = Ending("", MESSAGE_TOO_BIG, "Your message is too big; this WebSocket takes 4,096 bytes at most.")
GONE = Ending("", GOING_AWAY, "")
"""The client has left: there is nobody to tell."""
