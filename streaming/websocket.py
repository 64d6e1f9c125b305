"""One WebSocket after its handshake: events out, and the little that a client may say in.

One thread (under gevent, one greenlet) both reads and writes, that of the request: it wakes when there is something to
send, or when the feed has found bytes to read. wsproto knows the frames.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Message, Ping

from event_log.aside import give_way
from streaming.channels import Channel
from streaming.endings import GONE, TOO_BIG, TOO_MANY_FRAMES, Ending
from streaming.feed import Feed, NoPlace
from streaming.polling import disconnect, notice_silence
from streaming.subscriber import Subscriber
from streaming.wire import PING

MOST_MESSAGE_BYTES = 4096
"""Maximum bytes of one message from a client, which has nothing to tell us; a longer one closes its WebSocket."""
MOST_FRAMES = 200
"""Maximum frames from a client within one second; one more closes its WebSocket."""
STUCK_SECONDS = 30.0
"""Seconds in which a client takes nothing at all of what is sent, after which the connection is given up."""
CLOSING_SECONDS = 2.0
"""Seconds that the client may take to close after the server has."""
_LOOK_SECONDS = 0.01
"""Between two reads of what comes after the server's close; with `_READ_BYTES` it bounds what a flood costs."""
_READ_BYTES = 1 << 16
"""Maximum of one read. More than a TLS record has (16 KiB): no poll would tell of what is left in the TLS layer."""
_WOULD_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class WebSocket(Subscriber):
    """The server's end of an open WebSocket: a mailbox whose reader also takes in what the client says, before it takes
    out what waits. Not thread-safe but as a mailbox: the reader also writes.

    Extensions are never agreed on, so nothing is compressed.
    """

    two_way = True

    def __init__(self, sock: socket.socket, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(sock, PING)
        self.socket = sock
        self._may_read = False
        self._clock = clock
        self._connection = Connection(ConnectionType.SERVER)
        self._connected = True
        self._message_bytes = 0
        self._second = -math.inf  # when the second began in which frames are counted
        self._frames = 0

    def hear(self) -> None:
        """Let the reader read."""
        self._may_read = True
        self._wake()

    def take(self) -> bytes:
        """Everything that waits now, in one piece; nothing once the client has ended the stream."""
        if self._may_read:
            self._may_read = False
            if ending := self.receive():
                self.end(ending)
        return super().take()

    def send(self, frames: bytes) -> None:
        """Send all of these frames, ready-made. Raises OSError, after which nothing more can be sent: a part of a
        frame may have left."""
        try:
            self.socket.settimeout(STUCK_SECONDS)
            rest = memoryview(frames)
            while rest:
                rest = rest[self.socket.send(rest) :]
        except OSError:
            self._connected = False
            raise

    def receive(self) -> Ending | None:
        """Take in what the client has said, without waiting for more; return how that ends the stream, if it does."""
        for event in self._events():
            if ending := self._answer(event):
                return ending
        if self._is_flooding():
            return TOO_MANY_FRAMES
        return None if self._connected else GONE

    def close(self, code: int, reason: str) -> None:
        """Close with this code, unless the client has closed already; the connection ends with it."""
        with suppress(OSError):
            if self._connected and self._connection.state is ConnectionState.OPEN:
                self._send(CloseConnection(code, reason))
                self._hear_out()
        self._connected = False
        disconnect(self.socket)

    def _events(self) -> Iterator[Event]:
        """Each frame that has come, or a part of a long one, after others have had their turn: gevent changes to
        nobody in a read that finds bytes there."""
        data = self._read()
        if not data or self._is_flooding():
            return
        self._connection.receive_data(data)
        for event in self._connection.events():
            self._frames += 1
            if self._is_flooding():
                return
            give_way()
            yield event

    def _read(self) -> bytes:
        try:
            self.socket.settimeout(0)
            data = self.socket.recv(_READ_BYTES)
        except _WOULD_WAIT:
            return b""
        except OSError:
            data = b""
        self._connected = bool(data)
        now = self._clock()  # when frames came counts, not when their turn is, or a busy worker would notice no flood
        if now - self._second >= 1:
            self._second = now
            self._frames = 0
        return data

    def _is_flooding(self) -> bool:
        return self._frames > MOST_FRAMES

    def _answer(self, event: Event) -> Ending | None:
        match event:
            case Ping():
                self._send(event.response())
            case Message():
                return self._measure(event)
            case CloseConnection() if self._connection.state is ConnectionState.REMOTE_CLOSING:
                self._send(event.response())
                return GONE
            case CloseConnection():  # this is how wsproto tells of a fault
                return Ending("", event.code, event.reason or "")
        return None

    def _measure(self, part: Message[str] | Message[bytes | bytearray]) -> Ending | None:
        data = part.data
        self._message_bytes += len(data.encode() if isinstance(data, str) else data)
        if self._message_bytes > MOST_MESSAGE_BYTES:
            return TOO_BIG
        if part.message_finished:
            self._message_bytes = 0
        return None

    def _send(self, event: Event) -> None:
        self.send(self._connection.send(event))

    def _hear_out(self) -> None:
        """Wait until the client closes too. To close on what nobody has read would reset the connection, and the
        client might never see why."""
        deadline = self._clock() + CLOSING_SECONDS
        while self._connected and self._connection.state is not ConnectionState.CLOSED and self._clock() < deadline:
            time.sleep(_LOOK_SECONDS)
            for _ in self._events():
                pass


def serve(ws: WebSocket, feed: Feed, channel: Channel, after: int, allowed: Callable[[], bool] | None = None) -> None:
    """Send the channel's events until one of the two sides ends it, or it is `allowed` no longer."""
    ws.allowed = allowed
    notice_silence(ws.socket)
    try:
        feed.enter(ws)
    except NoPlace as fault:
        ws.close(fault.ending.code, fault.ending.reason)
        return
    try:
        with suppress(OSError), closing(feed.events(ws, channel, after)) as chunks:
            for chunk in chunks:  # OSError: the client has left in the middle of it
                ws.send(chunk)
    finally:
        feed.leave(ws)
    ending = ws.ending or GONE
    ws.close(ending.code, ending.reason)
