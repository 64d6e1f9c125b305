"""One WebSocket, on a pair of connected sockets instead of a server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from simple_websocket import Server
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, TextMessage

from event_log.memory import MemoryLog
from streaming import Feed
from streaming.websocket import Unread, WholeFrames, serve
from streaming.wire import websocket_events

CHANNEL = ("a", websocket_events)
HANDSHAKE = {
    "HTTP_HOST": "x",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Client:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(10)
        self.connection = Connection(ConnectionType.CLIENT)

    def receive(self) -> list[Event]:
        """What comes next, at least one event unless the socket is closed."""
        while data := self.sock.recv(1 << 16):
            self.connection.receive_data(data)
            if events := list(self.connection.events()):
                return events
        return []


@pytest.fixture
def pair() -> Iterator[tuple[Server, Client]]:
    """A server's and a client's end after the handshake."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Client(theirs)
        ws = Server({"werkzeug.socket": ours, **HANDSHAKE})
        assert theirs.recv(1 << 16).startswith(b"HTTP/1.1 101 ")
        yield ws, client
        theirs.close()
        ws.thread.join(10)


def feed(log: MemoryLog, max_streams: int = 1) -> Feed:
    """A feed with its own thread."""
    return Feed(log, lambda subject: b"", max_streams)


def test_it_sends_events_until_the_feed_closes(pair: tuple[Server, Client]) -> None:
    ws, client = pair
    log = MemoryLog()
    log.append_one("a", 0, 1.5)
    streams = feed(log)
    handler = threading.Thread(target=serve, args=(ws, streams, CHANNEL, 0))
    handler.start()
    (message,) = client.receive()
    assert isinstance(message, TextMessage)
    assert '"value":1.5' in message.data
    streams.close()
    (goodbye,) = client.receive()
    assert isinstance(goodbye, CloseConnection)
    assert goodbye.code == 1001
    handler.join(10)
    assert streams.open_streams == 0


def test_a_client_that_leaves_frees_its_place(pair: tuple[Server, Client]) -> None:
    ws, client = pair
    streams = feed(MemoryLog())
    handler = threading.Thread(target=serve, args=(ws, streams, CHANNEL, 0))
    handler.start()
    client.sock.sendall(client.connection.send(CloseConnection(code=1000)))
    handler.join(10)
    assert streams.open_streams == 0


def test_a_client_that_vanishes_in_the_middle_of_a_write_frees_its_place(pair: tuple[Server, Client]) -> None:
    ws, _ = pair
    log = MemoryLog()
    log.append_one("a", 0, 1.5)
    streams = feed(log)
    ws.sock.shutdown(socket.SHUT_RDWR)
    serve(ws, streams, CHANNEL, 0)
    assert streams.open_streams == 0


@pytest.mark.parametrize(("max_streams", "closed", "code"), [(0, False, 1013), (1, True, 1001)])
def test_places_that_ran_out_during_the_handshake(
    pair: tuple[Server, Client], monkeypatch: pytest.MonkeyPatch, max_streams: int, closed: bool, code: int
) -> None:
    ws, client = pair
    streams = feed(MemoryLog(), max_streams)
    if closed:
        streams.close()
    closed_with: list[int] = []
    close = ws.close

    def note(code: int, reason: str) -> None:
        closed_with.append(code)
        close(code, reason)

    monkeypatch.setattr(ws, "close", note)
    serve(ws, streams, CHANNEL, 0)
    (goodbye,) = client.receive()
    assert isinstance(goodbye, CloseConnection)
    assert [goodbye.code] == closed_with == [code]


def test_a_frame_is_sent_whole_even_to_a_full_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        frame = b"x" * 5_000_000
        sender = threading.Thread(target=WholeFrames(ours).send, args=(frame,))
        sender.start()
        received = 0
        while received < len(frame):
            received += len(theirs.recv(1 << 20))
        sender.join(10)
        assert received == len(frame)


def test_what_nobody_reads_is_not_kept() -> None:
    unread = Unread()
    unread.append("x")
    assert unread == []
