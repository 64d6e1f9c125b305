"""WebSocket frames as a client reads them."""

from __future__ import annotations

from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage


def websocket_messages(frames: bytes) -> list[str]:
    """The text messages in these bytes."""
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(frames)
    return [event.data for event in client.events() if isinstance(event, TextMessage) and event.message_finished]
