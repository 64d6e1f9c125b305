"""The feed of a worker: places, heartbeats, dropping, closing, and surviving what fails."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Hashable
from contextlib import ExitStack
from functools import cached_property
from itertools import chain
from typing import Any

import pytest

from event_log.errors import LogUnavailable
from event_log.log import Log
from event_log.memory_store import MemoryStore
from event_log.port import Chunk, Cursor
from event_service import EventService
from settings import Settings
from streaming import Feed, NoPlace, Subscriber
from streaming.endings import BROKEN, GONE, NO_LOG, SHUTDOWN, TOO_SLOW
from streaming.feed import CUT_SWEEPS, FOLLOW_SECONDS, HEARTBEAT_SWEEPS, SWEEP_SECONDS
from streaming.pulses import Answered, Question
from streaming.subscriber import MOST_WAITING_CHUNKS
from streaming.wire import SSE, SSE_HEARTBEAT
from tests.conftest import FakeClock

CHANNEL = ("a", SSE)
EVERY_SECOND = Question("all", 1.0)


class FailingStore(MemoryStore):
    """A memory store that can be made to fail."""

    fault: Exception | None = None

    def is_level(self, cursor: Cursor) -> bool:
        return self.fault is None and super().is_level(cursor)

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        if self.fault is not None:
            raise self.fault
        return super().read(cursor, limit)

    def accept(self) -> None:
        """One event that another worker stores, dated now."""
        self.another.append_one("a", FakeClock().now, 1.0)

    @cached_property
    def another(self) -> Log:
        return Log(self)


def feed_of(service: EventService, *arguments: Any, **options: Any) -> Feed:
    """A feed that hears what the view of the service takes in."""
    feed = Feed(service, *arguments, **options)
    service.listen(feed.hear)
    return feed


class Worker:
    """A feed as it is in a worker, except that its clock and its thread are the test's."""

    def __init__(self, max_streams: int = 10) -> None:
        self.now = 1000.0
        self.worker_is_stopping = False
        self.runs: list[Callable[[], None]] = []
        self.store = FailingStore(FakeClock().moment)
        self.service = EventService(self.store, Settings(log_url="memory:"), FakeClock())
        self.service.start()
        self.feed = feed_of(
            self.service,
            self.answer,
            max_streams,
            clock=lambda: self.now,
            worker_is_stopping=lambda: self.worker_is_stopping,
            spawn=self.runs.append,
        )
        self.listening: list[Generator[bytes]] = []

    def answer(self, subject: Hashable) -> Answered:
        if self.store.fault is not None:
            raise self.store.fault
        return Answered(f"{subject}".encode(), 0)

    def follow(self, subscriber: Subscriber | None = None) -> Subscriber:
        """A subscriber that has entered and read all there is of its series."""
        subscriber = subscriber or Subscriber(heartbeat=SSE_HEARTBEAT)
        self.feed.enter(subscriber)
        subscriber.put(b"ready")
        chunks = self.feed.events(subscriber, CHANNEL, self.store.end().position)
        assert next(chunks) == b"ready"
        self.listening.append(chunks)
        return subscriber

    def sweep(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += SWEEP_SECONDS
            self.feed.tick()


def test_news_reach_the_mailbox_with_the_next_tick() -> None:
    worker = Worker()
    subscriber = worker.follow()
    assert worker.feed.tick() == FOLLOW_SECONDS
    worker.store.accept()
    worker.feed.tick()
    assert subscriber.take().startswith(b"id: 1\nevent: event\n")


def test_without_events_to_follow_it_rests_until_the_next_sweep_or_answer() -> None:
    worker = Worker()
    subscriber = Subscriber()
    worker.feed.enter(subscriber)
    assert worker.feed.tick() == SWEEP_SECONDS
    assert worker.feed.statistics(subscriber, Question("all", 0.25)) == 0
    assert subscriber.take() == b"all"
    assert worker.feed.tick() == 0.25
    worker.feed.leave(subscriber)
    worker.now += 0.25
    assert worker.feed.tick() == SWEEP_SECONDS - 0.25


def test_there_are_as_many_places_as_allowed() -> None:
    worker = Worker(max_streams=2)
    first, second = Subscriber(), Subscriber()
    worker.feed.enter(first)
    worker.feed.enter(second)
    with pytest.raises(NoPlace, match="All streams"):
        worker.feed.enter(Subscriber())
    worker.feed.leave(first)
    worker.feed.leave(first)
    assert worker.feed.open_streams == 1
    worker.feed.enter(Subscriber())


def test_a_quiet_stream_gets_a_heartbeat_every_fifteen_seconds() -> None:
    worker = Worker()
    subscriber = worker.follow()
    worker.sweep(HEARTBEAT_SWEEPS - 1)
    assert subscriber.take() == b""
    worker.sweep()
    assert subscriber.take() == SSE_HEARTBEAT
    worker.sweep(HEARTBEAT_SWEEPS - 1)
    assert subscriber.take() == b""
    worker.store.accept()
    worker.sweep()
    assert subscriber.take().startswith(b"id: 1\n")
    worker.sweep(HEARTBEAT_SWEEPS - 2)
    assert subscriber.take() == b""


def test_a_client_that_has_left_is_noticed_by_the_next_sweep() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        worker = Worker()
        subscriber = worker.follow(Subscriber(ours))
        theirs.close()
        worker.sweep()
        assert subscriber.ending is GONE
        assert list(worker.listening[0]) == []
        worker.feed.leave(subscriber)
        worker.sweep()


def test_a_subscriber_hears_of_what_its_client_says_if_it_may_say_anything() -> None:
    class Listening(Subscriber):
        heard = 0

        def hear(self) -> None:
            self.heard += 1

    class TwoWay(Listening):
        two_way = True

    pairs = [socket.socketpair() for _ in range(2)]
    with ExitStack() as stack:
        for sock in chain(*pairs):
            stack.enter_context(sock)
        worker = Worker()
        one_way, two_way = Listening(pairs[0][0]), TwoWay(pairs[1][0])
        worker.follow(one_way)
        worker.follow(two_way)
        worker.feed.tick()
        assert (one_way.heard, two_way.heard) == (0, 0)
        for _, client in pairs:
            client.sendall(b"x")
        assert worker.feed.tick() <= FOLLOW_SECONDS
        assert (one_way.heard, two_way.heard) == (0, 1)
        worker.feed.leave(two_way)
        worker.feed.tick()
        assert two_way.heard == 1


def test_a_slow_reader_is_told_and_then_cut_off() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = Worker()
        slow, quick = worker.follow(Subscriber(ours)), worker.follow()
        for _ in range(MOST_WAITING_CHUNKS + 1):
            worker.store.accept()
            worker.feed.tick()
            quick.take()
        assert (slow.ending, quick.ending) == (TOO_SLOW, None)
        theirs.setblocking(False)
        worker.sweep(CUT_SWEEPS - 1)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        worker.sweep(2)
        assert theirs.recv(1) == b""


def test_close_ends_all_streams_and_takes_no_more() -> None:
    worker = Worker()
    follower = worker.follow()
    listener = Subscriber()
    worker.feed.enter(listener)
    worker.feed.close()
    worker.feed.close()
    assert follower.ending is listener.ending is SHUTDOWN
    assert list(worker.listening[0]) == []
    with pytest.raises(NoPlace, match="shutting down"):
        worker.feed.enter(Subscriber())


def test_a_worker_that_is_told_to_end_closes_its_streams() -> None:
    worker = Worker()
    subscriber = worker.follow()
    worker.worker_is_stopping = True
    with pytest.raises(NoPlace, match="shutting down"):
        worker.feed.check()
    worker.sweep(2)
    assert subscriber.ending is SHUTDOWN


def test_the_thread_runs_while_there_are_streams() -> None:
    worker = Worker()
    first, second = Subscriber(), Subscriber()
    worker.feed.enter(first)
    worker.feed.enter(second)
    assert len(worker.runs) == 1
    worker.feed.leave(first)
    worker.feed.leave(second)
    worker.runs[0]()  # returns, since nobody is left
    worker.feed.enter(first)
    assert len(worker.runs) == 2


def test_a_log_that_fails_for_a_while_costs_no_event() -> None:
    worker = Worker()
    subscriber = worker.follow()
    worker.store.accept()
    worker.store.fault = LogUnavailable("the disk is away")
    assert worker.feed.tick() == FOLLOW_SECONDS
    assert subscriber.take() == b""
    worker.store.fault = None
    worker.feed.tick()
    assert subscriber.take().startswith(b"id: 1\n")


def test_a_stream_goes_on_where_the_projection_begins_anew() -> None:
    worker = Worker()
    subscriber = worker.follow()
    worker.store.accept()
    worker.service.log.retell()
    for _ in range(10):
        worker.feed.tick()
    assert subscriber.behind == 0
    assert b'"position":1,' in next(worker.listening[0])
    worker.store.accept()
    worker.feed.tick()
    assert b'"position":2,' in subscriber.take()


def test_a_stream_that_cannot_begin_because_of_the_log_says_so() -> None:
    worker = Worker()
    worker.follow()
    worker.store.accept()
    worker.feed.tick()
    worker.store.fault = LogUnavailable("the disk is away")
    follower, listener = Subscriber(), Subscriber()
    assert list(worker.feed.events(follower, CHANNEL, 0)) == []
    assert worker.feed.statistics(listener, EVERY_SECOND) is None
    assert follower.ending is listener.ending is NO_LOG


def test_a_failure_of_the_feed_ends_its_streams_and_not_the_next_ones(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    subscriber = worker.follow()
    worker.store.accept()
    worker.store.fault = RuntimeError("a bug")
    worker.runs[0]()
    assert subscriber.ending is BROKEN
    assert "a bug" in caplog.text
    worker.feed.leave(subscriber)
    worker.store.fault = None
    worker.follow()
    assert len(worker.runs) == 2


def test_its_own_thread_delivers_and_ends() -> None:
    store = FailingStore(FakeClock().moment)
    service = EventService(store, Settings(log_url="memory:"), FakeClock())
    service.start()
    feed = feed_of(service, lambda subject: Answered(b"", 0), 1)
    subscriber = Subscriber()
    feed.enter(subscriber)
    chunks = feed.events(subscriber, CHANNEL, 0)
    for position in range(1, 4):
        store.accept()
        assert next(chunks).startswith(b"id: %d\n" % position)
    feed.close()
    assert list(chunks) == []
    feed.leave(subscriber)
