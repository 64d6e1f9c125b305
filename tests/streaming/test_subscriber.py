"""The mailbox of one stream: what comes out, and that little can wait in it."""

from __future__ import annotations

import socket

from streaming.endings import GONE, SHUTDOWN, TOO_SLOW
from streaming.subscriber import MOST_WAITING_BYTES, MOST_WAITING_CHUNKS, Subscriber


def test_what_is_put_comes_out_in_order_and_in_one_piece() -> None:
    subscriber = Subscriber()
    for chunk in (b"a", b"b", b"c"):
        subscriber.put(chunk)
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


def test_too_many_waiting_chunks_end_the_stream() -> None:
    subscriber = Subscriber()
    for _ in range(2):
        for _ in range(MOST_WAITING_CHUNKS):
            subscriber.put(b"x")
        assert subscriber.ending is None
        next(iter(subscriber))
    for _ in range(MOST_WAITING_CHUNKS + 1):
        subscriber.put(b"x")
    assert subscriber.ending is TOO_SLOW


def test_too_many_waiting_bytes_end_the_stream_but_one_large_chunk_does_not() -> None:
    subscriber = Subscriber()
    for _ in range(2):
        subscriber.put(b"x" * 3 * MOST_WAITING_BYTES)
        assert subscriber.ending is None
        next(iter(subscriber))
    for _ in range(2):
        subscriber.put(b"x" * MOST_WAITING_BYTES)
    assert subscriber.ending is TOO_SLOW


def test_a_reader_of_only_the_latest_gets_the_latest() -> None:
    subscriber = Subscriber(only_latest=True)
    for number in range(2 * MOST_WAITING_CHUNKS):
        subscriber.put(b"%d" % number)
    assert subscriber.ending is None
    assert next(iter(subscriber)) == b"1999"


def test_the_ending_forgets_what_waits_and_ends_the_reader() -> None:
    subscriber = Subscriber()
    subscriber.put(b"x")
    chunks = iter(subscriber)
    assert next(chunks) == b"x"
    subscriber.put(b"y")
    subscriber.end(TOO_SLOW)
    assert list(chunks) == []
    subscriber.put(b"z")  # nobody's fault, and nobody's chunk
    assert list(subscriber) == []


def test_a_reader_that_waits_when_the_ending_comes_is_woken() -> None:
    subscriber = Subscriber()
    chunks = iter(subscriber)
    subscriber.put(b"x")
    next(chunks)
    subscriber.put(b"y")
    next(chunks)
    subscriber.end(GONE)
    assert list(chunks) == []


def test_only_the_first_ending_counts() -> None:
    subscriber = Subscriber()
    subscriber.end(TOO_SLOW)
    subscriber.end(SHUTDOWN)
    assert subscriber.ending is TOO_SLOW


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
