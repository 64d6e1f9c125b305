"""The mailbox of one stream: what comes out, and that little can wait in it."""

from __future__ import annotations

import socket

from streaming.endings import GONE, SHUTDOWN, TOO_SLOW
from streaming.subscriber import MOST_WAITING_BYTES, MOST_WAITING_CHUNKS, Subscriber


def test_what_is_put_comes_out_in_order_and_in_one_piece() -> None:
    subscriber = Subscriber()
    for chunk in (b"a", b"b", b"c"):
        assert subscriber.put(chunk)
    assert next(iter(subscriber)) == b"abc"


def test_a_chunk_that_waits_alone_is_handed_on_uncopied() -> None:
    subscriber, chunk = Subscriber(), b"x" * 1000
    subscriber.put(chunk)
    assert next(iter(subscriber)) is chunk


def test_the_reader_goes_on_where_it_was() -> None:
    subscriber = Subscriber()
    chunks = iter(subscriber)
    for chunk in (b"a", b"b"):
        subscriber.put(chunk)
        assert next(chunks) == chunk


def test_too_many_waiting_chunks_are_refused() -> None:
    subscriber = Subscriber()
    assert all(subscriber.put(b"x") for _ in range(MOST_WAITING_CHUNKS))
    assert not subscriber.put(b"x")
    next(iter(subscriber))
    assert subscriber.put(b"x")


def test_too_many_waiting_bytes_are_refused_but_one_large_chunk_is_not() -> None:
    subscriber = Subscriber()
    assert subscriber.put(b"x" * 3 * MOST_WAITING_BYTES)
    assert not subscriber.put(b"x")
    next(iter(subscriber))
    assert subscriber.put(b"x")


def test_a_reader_of_only_the_latest_gets_the_latest() -> None:
    subscriber = Subscriber(only_latest=True)
    for number in range(2 * MOST_WAITING_CHUNKS):
        assert subscriber.put(b"%d" % number)
    assert next(iter(subscriber)) == b"1999"


def test_the_ending_forgets_what_waits_and_ends_the_reader() -> None:
    subscriber = Subscriber()
    subscriber.put(b"x")
    chunks = iter(subscriber)
    assert next(chunks) == b"x"
    subscriber.put(b"y")
    subscriber.end(TOO_SLOW, 7.0)
    assert list(chunks) == []
    assert subscriber.put(b"z")  # nobody's fault, and nobody's chunk
    assert list(subscriber) == []


def test_a_reader_that_waits_when_the_ending_comes_is_woken() -> None:
    subscriber = Subscriber()
    chunks = iter(subscriber)
    subscriber.put(b"x")
    next(chunks)
    subscriber.put(b"y")
    next(chunks)
    subscriber.end(GONE, 0.0)
    assert list(chunks) == []


def test_only_the_first_ending_counts() -> None:
    subscriber = Subscriber()
    subscriber.end(TOO_SLOW, 1.0)
    subscriber.end(SHUTDOWN, 2.0)
    assert (subscriber.ending, subscriber.cut_at) == (TOO_SLOW, 1.0)


def test_a_heartbeat_is_left_only_where_nothing_waits() -> None:
    subscriber = Subscriber(heartbeat=b":")
    subscriber.beat()
    subscriber.beat()
    assert next(iter(subscriber)) == b":"
    subscriber.put(b"x")
    subscriber.beat()
    assert next(iter(subscriber)) == b"x"


def test_cut_shuts_the_socket_down_and_may_be_repeated() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subscriber = Subscriber(ours)
        assert subscriber.fileno() == ours.fileno()
        subscriber.cut()
        assert theirs.recv(1) == b""
        ours.close()
        subscriber.cut()


def test_without_a_socket_there_is_nothing_to_watch_or_cut() -> None:
    subscriber = Subscriber()
    subscriber.cut()
    assert subscriber.fileno() == -1
