"""One WebSocket, on a TCP connection instead of a server."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Message, Ping, Pong, TextMessage

from event_log.log import Log
from event_log.memory_store import MemoryStore
from event_service import EventService
from settings import Settings
from streaming import Feed
from streaming.pulses import Answered
from streaming.websocket import CLOSING_SECONDS, MOST_FRAMES, MOST_MESSAGE_BYTES, WebSocket, serve
from streaming.wire import WEBSOCKET
from tests.conftest import FakeClock

CHANNEL = ("a", WEBSOCKET)


class Client:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(60)
        self.connection = Connection(ConnectionType.CLIENT)

    def say(self, *events: Event) -> None:
        """Send these, in one piece."""
        self.sock.sendall(b"".join(map(self.connection.send, events)))

    def receive(self) -> list[Event]:
        """Return what comes next, at least one event unless the socket is closed."""
        while data := self.sock.recv(1 << 16):
            self.connection.receive_data(data)
            if events := list(self.connection.events()):
                return events
        return []

    def receive_pongs(self, count: int) -> list[Event]:
        """Return the next `count` events, all of them pongs."""
        pongs: list[Event] = []
        while len(pongs) < count:
            pongs += self.receive()
        assert [type(event) for event in pongs] == [Pong] * count
        return pongs

    def receive_close(self) -> CloseConnection:
        """Return the server's close, whatever comes before it."""
        while events := self.receive():
            for event in events:
                if isinstance(event, CloseConnection):
                    return event
        raise AssertionError("the server has not closed")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Client]]:
    """A server's and a client's end after the handshake."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with ours, theirs:
        yield ours, Client(theirs)


def feed(store: MemoryStore, max_streams: int = 1) -> Feed:
    """A feed with its own thread."""
    service = EventService(store, Settings(log_url="memory:"), FakeClock())
    feed = Feed(service, lambda subject: Answered(b"", 0), max_streams)
    service.listen(feed.hear)
    return feed


@contextmanager
def serving(sock: socket.socket, streams: Feed) -> Iterator[None]:
    """The server's end served from the log's beginning; at the end of it the stream must have ended by itself."""
    handler = threading.Thread(target=serve, args=(WebSocket(sock), streams, CHANNEL, 0))
    handler.start()
    yield
    handler.join(60)
    assert not handler.is_alive()
    assert streams.open_streams == 0


def one_event() -> MemoryStore:
    store = MemoryStore(FakeClock().moment)
    Log(store).append_one("a", FakeClock().now, 1.5)
    return store


def test_it_sends_events_until_the_feed_closes(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    streams = feed(one_event())
    with serving(sock, streams):
        (message,) = client.receive()
        assert isinstance(message, TextMessage)
        assert '"value":1.5' in message.data
        streams.close()
        goodbye = client.receive_close()
        assert goodbye.code == 1001
        client.say(goodbye.response())
        assert client.receive() == []


def test_a_client_that_does_not_answer_the_close_is_not_waited_for_long(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    now = iter(range(1000))
    ws = WebSocket(sock, lambda: float(next(now)))
    ws.close(1001, "")
    assert next(now) <= CLOSING_SECONDS + 3
    assert client.receive_close().code == 1001
    assert client.receive() == []


def test_a_close_is_answered_and_frees_its_place(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    with serving(sock, feed(MemoryStore(FakeClock().moment))):
        client.say(CloseConnection(code=3001, reason="enough"))
        (answer,) = client.receive()
        assert isinstance(answer, CloseConnection)
        assert (answer.code, client.connection.state) == (3001, ConnectionState.CLOSED)
        assert client.receive() == []


def test_a_client_that_leaves_without_a_word_frees_its_place(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    with serving(sock, feed(MemoryStore(FakeClock().moment))):
        client.sock.close()


def test_a_client_that_vanishes_in_the_middle_of_a_write_frees_its_place(pair: tuple[socket.socket, Client]) -> None:
    sock, _ = pair
    sock.shutdown(socket.SHUT_RDWR)
    with serving(sock, feed(one_event())):
        pass


def test_pings_are_answered_in_their_order(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    streams = feed(MemoryStore(FakeClock().moment))
    with serving(sock, streams):
        client.say(Ping(b"1"), Message("no matter"), Ping(b"2"))
        assert client.receive_pongs(2) == [Pong(b"1"), Pong(b"2")]
        client.say(CloseConnection(code=1000))


def test_what_is_within_the_bounds_closes_nothing(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    ws = WebSocket(sock, lambda: 0.0)
    client.say(*[Message("")] * (MOST_FRAMES - 2), Message("x" * MOST_MESSAGE_BYTES), Ping(b"last"))
    assert ws.receive() is None
    assert client.receive() == [Pong(b"last")]


PING, PONG, BEGINNING, PIECE = (bytes((first, 0x80, 0, 0, 0, 0)) for first in (0x89, 0x8A, 0x01, 0x00))
"""Frames without content; the last two are of one text message that never ends."""


@pytest.mark.parametrize(
    ("first", "frame"), [(PING, PING), (PONG, PONG), (BEGINNING, PIECE)], ids=["pings", "pongs", "empty pieces"]
)
def test_one_frame_more_in_a_second_than_allowed_closes(
    pair: tuple[socket.socket, Client], first: bytes, frame: bytes
) -> None:
    sock, client = pair
    now = 0.0
    ws = WebSocket(sock, lambda: now)
    for begin in (first, frame):  # as many as allowed, two seconds in turn
        client.sock.sendall(begin + frame * (MOST_FRAMES - 1))
        assert ws.receive() is None
        client.receive_pongs(MOST_FRAMES if frame == PING else 0)
        now += 1.0
    client.sock.sendall(frame * (MOST_FRAMES + 1))
    ending = ws.receive()
    assert ending is not None
    assert (ending.code, str(MOST_FRAMES) in ending.reason) == (1008, True)


def test_a_flood_is_told_why_it_is_closed(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    with serving(sock, feed(MemoryStore(FakeClock().moment))):
        client.sock.sendall(PING * 10 * MOST_FRAMES)
        assert client.receive_close().code == 1008
        client.sock.close()


def test_a_message_is_measured_in_bytes_over_all_its_pieces(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    ws = WebSocket(sock)
    half = "é" * (MOST_MESSAGE_BYTES // 4)
    for last in (half, half + "x"):
        client.say(Message(half, message_finished=False), Message(last))
    ending = ws.receive()
    assert ending is not None
    assert (ending.code, f"{MOST_MESSAGE_BYTES:,}" in ending.reason) == (1009, True)


def test_a_frame_that_only_begins_is_measured_as_it_comes(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    ws = WebSocket(sock)
    client.sock.sendall(b"\x82\xff" + struct.pack("!Q", 2**62) + bytes(4))
    assert ws.receive() is None
    client.sock.sendall(bytes(MOST_MESSAGE_BYTES))
    assert ws.receive() is None
    client.sock.sendall(bytes(1))
    ending = ws.receive()
    assert ending is not None
    assert ending.code == 1009


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x89\x00", 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x88\x81\0\0\0\0x", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
    ],
    ids=["not masked", "compressed", "unknown", "half a code", "not UTF-8"],
)
def test_what_is_no_websocket_is_closed_with_the_code_that_says_why(
    pair: tuple[socket.socket, Client], data: bytes, code: int
) -> None:
    sock, client = pair
    with serving(sock, feed(MemoryStore(FakeClock().moment))):
        client.sock.sendall(data)
        assert client.receive_close().code == code
        client.sock.close()


@pytest.mark.parametrize(("max_streams", "closed", "code"), [(0, False, 1013), (1, True, 1001)])
def test_places_that_ran_out_during_the_handshake(
    pair: tuple[socket.socket, Client], max_streams: int, closed: bool, code: int
) -> None:
    sock, client = pair
    streams = feed(MemoryStore(FakeClock().moment), max_streams)
    if closed:
        streams.close()
    with serving(sock, streams):
        goodbye = client.receive_close()
        assert goodbye.code == code
        client.say(goodbye.response())


def test_a_frame_is_sent_whole_even_to_a_full_socket(pair: tuple[socket.socket, Client]) -> None:
    sock, client = pair
    frame = b"x" * 5_000_000
    sender = threading.Thread(target=WebSocket(sock).send, args=(frame,))
    sender.start()
    received = 0
    while received < len(frame):
        received += len(client.sock.recv(1 << 20))
    sender.join(60)
    assert received == len(frame)


def test_nothing_follows_a_frame_that_was_not_sent_whole(
    pair: tuple[socket.socket, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    sock, client = pair
    monkeypatch.setattr("streaming.websocket.STUCK_SECONDS", 0.05)
    ws = WebSocket(sock)
    with pytest.raises(TimeoutError):
        ws.send(b"x" * 5_000_000)
    ws.close(1001, "")
    while data := client.sock.recv(1 << 20):
        assert not data.strip(b"x")
