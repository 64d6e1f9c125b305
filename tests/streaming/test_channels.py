"""Every subscriber gets every event of its series behind where it began, once, in log order."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_log.base import Batch, Times, Values
from event_log.memory import MemoryLog
from streaming import channels as module
from streaming.channels import Channels
from streaming.endings import SHUTDOWN, TOO_SLOW
from streaming.subscriber import MOST_WAITING_CHUNKS, Subscriber
from streaming.wire import sse_events, websocket_events

SERIES = ("a", "b", "c")


def positions_as_text(series: str, positions: Times, times: Times, values: Values) -> bytes:
    """A wire format that is easy to check."""
    return b"".join(b"%s%d " % (series.encode(), position) for position in positions.tolist())


class Following:
    """Channels over a memory log, and subscribers whose mailboxes are read on demand."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.dropped: list[Subscriber] = []
        self.channels = Channels(self.log, threading.RLock(), self.drop)
        self.accepted: list[tuple[str, int]] = []
        self.received: dict[Subscriber, bytes] = {}

    def drop(self, subscriber: Subscriber) -> None:
        self.dropped.append(subscriber)
        subscriber.end(TOO_SLOW, 0.0)

    def accept(self, which: list[int]) -> None:
        last = self.log.append(Batch(SERIES, np.array(which, np.uint32), 0, np.zeros(len(which))))
        self.accepted += [(SERIES[i], last - len(which) + 1 + n) for n, i in enumerate(which)]

    def join(self, series: str, after: int) -> Subscriber:
        subscriber = Subscriber()
        self.received[subscriber] = b"".join(self.channels.catch_up(subscriber, (series, positions_as_text), after))
        return subscriber

    def read(self, subscriber: Subscriber) -> bytes:
        self.received[subscriber] += subscriber.take()
        return self.received[subscriber]

    def expected(self, series: str, after: int) -> bytes:
        return b"".join(b"%s%d " % (name.encode(), n) for name, n in self.accepted if name == series and n > after)


Moves = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.lists(st.integers(0, 2), min_size=1, max_size=5)),
        st.tuples(st.just("step"), st.none()),
        st.tuples(st.just("join"), st.tuples(st.sampled_from(SERIES), st.floats(0, 1))),
        st.tuples(st.just("leave"), st.integers(0, 10)),
    ),
    max_size=40,
)


@pytest.fixture(params=[1, 3, 10_000])
def read_events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small block makes long catching up out of few events."""
    monkeypatch.setattr(module, "READ_EVENTS", request.param)


@pytest.mark.usefixtures("read_events")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(Moves)
def test_each_subscriber_gets_each_event_once_and_in_order(moves: list[tuple[str, Any]]) -> None:
    following = Following()
    members: list[tuple[Subscriber, str, int]] = []
    for move, what in moves:
        if move == "accept":
            following.accept(what)
        elif move == "step":
            following.channels.step()
        elif move == "join":
            series, share = what
            after = round(share * following.log.position())
            members.append((following.join(series, after), series, after))
        elif members:
            subscriber, series, _ = members.pop(what % len(members))
            following.channels.leave(subscriber, (series, positions_as_text))
    for _ in following.accepted:
        following.channels.step()
    for subscriber, series, after in members:
        assert following.read(subscriber) == following.expected(series, after)
        following.channels.leave(subscriber, (series, positions_as_text))
    assert not following.channels
    assert following.dropped == []


def test_events_accepted_while_a_subscriber_catches_up_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_EVENTS", 2)
    following = Following()
    early = following.join("a", 0)
    following.accept([0] * 7)
    following.channels.step()
    late = Subscriber()
    received = b""
    for chunk in following.channels.catch_up(late, ("a", positions_as_text), 3):
        received += chunk
        if len(following.accepted) < 30:
            following.accept([0, 1, 0])
            following.channels.step()
    for _ in following.accepted:
        following.channels.step()
    assert received + late.take() == following.expected("a", 3)
    assert following.read(early) == following.expected("a", 0)


def test_a_subscriber_that_is_ended_catches_up_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_EVENTS", 2)
    following = Following()
    following.join("b", 0)
    following.accept([0])
    for _ in range(6):
        following.accept([0])
        following.channels.step()
    late = Subscriber()
    chunks = following.channels.catch_up(late, ("a", positions_as_text), 0)
    next(chunks)
    late.end(SHUTDOWN, 0.0)
    assert list(chunks) == []


def test_all_subscribers_share_the_bytes() -> None:
    following = Following()
    members = [following.join("a", 0) for _ in range(3)]
    following.accept([0, 0, 1])
    following.channels.step()
    first, *others = [member.take() for member in members]
    assert first == b"a1 a2 "
    assert all(chunk is first for chunk in others)


def test_each_wire_format_of_a_series_is_written_for_its_own() -> None:
    following = Following()
    over_sse, over_websocket = Subscriber(), Subscriber()
    assert list(following.channels.catch_up(over_sse, ("a", sse_events), 0)) == []
    assert list(following.channels.catch_up(over_websocket, ("a", websocket_events), 0)) == []
    following.accept([0])
    following.channels.step()
    assert over_sse.take().startswith(b"id: 1\n")
    assert over_websocket.take().startswith(b"\x81")


def test_nothing_is_read_when_nobody_listens_or_nothing_is_new() -> None:
    following = Following()
    following.accept([0])
    assert following.channels.step() is False
    following.join("a", 1)
    assert following.channels.step() is False


def test_a_subscriber_that_does_not_read_is_dropped_and_the_others_go_on() -> None:
    following = Following()
    slow, quick = following.join("a", 0), following.join("a", 0)
    for _ in range(MOST_WAITING_CHUNKS + 1):
        following.accept([0])
        following.channels.step()
        following.read(quick)
    assert following.dropped == [slow]
    assert following.read(quick) == following.expected("a", 0)


def test_leaving_twice_or_without_having_joined_does_nothing() -> None:
    following = Following()
    member = following.join("a", 0)
    for subscriber in (Subscriber(), member, member):
        following.channels.leave(subscriber, ("a", positions_as_text))
    assert not following.channels
