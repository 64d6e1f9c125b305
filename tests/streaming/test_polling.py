"""Clients that leave are noticed on a stream where nothing happens."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from streaming.polling import DISCONNECTED, UNANSWERED_MS, SocketPoll, notice_silence

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def connection() -> Iterator[Pair]:
    """Both ends of a TCP connection: the server's, the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield server, client


def test_a_client_that_stays_is_not_found(connection: Pair) -> None:
    disconnects = SocketPoll[str](DISCONNECTED)
    disconnects.watch(connection[0].fileno(), "me")
    assert disconnects.found() == []


def test_a_client_that_leaves_is_found_until_it_is_forgotten(connection: Pair) -> None:
    server, client = connection
    disconnects = SocketPoll[str](DISCONNECTED)
    disconnects.watch(server.fileno(), "me")
    client.close()
    assert disconnects.found() == ["me"]
    assert disconnects.found() == ["me"]
    disconnects.forget(server.fileno(), "me")
    assert disconnects.found() == []


def test_a_client_that_sent_something_before_it_left_is_found(connection: Pair) -> None:
    server, client = connection
    disconnects = SocketPoll[str](DISCONNECTED)
    disconnects.watch(server.fileno(), "me")
    client.sendall(b"GET / HTTP/1.1\r\n")
    assert disconnects.found() == []
    client.close()
    assert disconnects.found() == ["me"]


def test_a_client_behind_a_unix_socket_is_found() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        disconnects = SocketPoll[str](DISCONNECTED)
        disconnects.watch(ours.fileno(), "me")
        notice_silence(ours)
        theirs.close()
        assert disconnects.found() == ["me"]


def test_forgetting_does_not_hit_the_next_owner_of_a_descriptor(connection: Pair) -> None:
    server, client = connection
    disconnects = SocketPoll[str](DISCONNECTED)
    disconnects.watch(server.fileno(), "first")
    disconnects.watch(server.fileno(), "second")
    disconnects.forget(server.fileno(), "first")
    client.close()
    assert disconnects.found() == ["second"]


def test_no_descriptor_is_no_client() -> None:
    disconnects = SocketPoll[str](DISCONNECTED)
    disconnects.watch(-1, "me")
    disconnects.forget(-1, "me")
    assert disconnects.found() == []


def test_a_client_that_vanished_is_given_up_by_the_kernel(connection: Pair) -> None:
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux has it
    notice_silence(connection[0])
    assert option is None or connection[0].getsockopt(socket.IPPROTO_TCP, option) == UNANSWERED_MS


def test_a_connection_that_has_ended_already_is_let_be(connection: Pair) -> None:
    connection[0].close()
    notice_silence(connection[0])
