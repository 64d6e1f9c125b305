"""Every subscriber gets every event of its series after where it began, once, in log order, or is told of a gap."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_log import series as series_module
from event_log.applied import Begun, Told
from event_log.batch import Batch, Times, Values
from event_log.compaction import compact
from event_log.log import Log
from event_log.memory_store import GRACE, MemoryStore
from event_log.port import JUMP
from event_service import EventService
from settings import Settings
from streaming import channels as module
from streaming.channels import PIECE_BYTES, PIECE_EVENTS, Channels
from streaming.endings import SHUTDOWN, TOO_SLOW
from streaming.subscriber import MOST_WAITING_CHUNKS, Subscriber
from streaming.wire import SSE, WEBSOCKET, Wire
from tests.conftest import FakeClock, Shared
from tests.event_log.faulty_stores import LossyStore
from times import SECOND

SERIES = ("a", "b", "c")


def positions_as_text(series: str, positions: Times, times: Times, values: Values) -> bytes:
    return b"".join(b"%s%d " % (series.encode(), position) for position in positions.tolist())


TEXT = Wire(positions_as_text, lambda series, position: b"%s>=%d " % (series.encode(), position))
"""A wire format that is easy to check."""


class Following:
    """Channels over a service whose log is in memory, and subscribers whose mailboxes are read on demand."""

    def __init__(self, keep_last: int = 1000, store: type[MemoryStore] = MemoryStore) -> None:
        self.clock = FakeClock()
        self.store = store(Shared(self.clock))
        self.service = self.another(keep_last)
        self.channels = Channels(self.service, threading.RLock())
        self.service.start()
        self.service.listen(self.hear)
        self.service.statistics()
        self.others = Log(self.store)
        """Log that another worker writes to."""
        self.accepted: list[tuple[str, int]] = []
        self.received: dict[Subscriber, bytes] = {}
        self.series: dict[Subscriber, str] = {}

    def another(self, keep_last: int) -> EventService:
        return EventService(self.store, Settings(log_url="memory:", keep_last=keep_last), self.clock)

    def hear(self, told: Told | Begun) -> None:
        if isinstance(told, Begun):
            self.channels.begin_anew(told.position)
        else:
            self.channels.take(told)

    def accept(self, series: list[int]) -> None:
        used, indexes = np.unique(series, return_inverse=True)
        names = [SERIES[number] for number in used.tolist()]
        batch = Batch(names, indexes.astype(np.uint32), self.clock(), np.zeros(len(series)))
        last = self.others.append(batch).position
        self.accepted += [(SERIES[i], last - len(series) + 1 + n) for n, i in enumerate(series)]

    def end(self, series: str) -> int | None:
        """End a series, or none if it is not there, as another worker does: this one's view has yet to read of it."""
        self.others.catch_up()
        number = self.others.machine.series.ids.get(series)
        return None if number is None else self.others.end_series(number)

    def compact(self, worker: EventService) -> None:
        """Have another worker put blobs in place of all records, and the store forget those at once."""
        assert compact(self.store, worker.level().judge)
        self.clock.advance(GRACE)
        self.store.sync()

    def step(self) -> None:
        """Take in all there is, and hand all of it out."""
        while self.service.advance() or self.channels.step():
            pass

    def join(self, series: str, after: int) -> Subscriber:
        subscriber = Subscriber()
        self.series[subscriber] = series
        self.received[subscriber] = b"".join(self.channels.join(subscriber, (series, TEXT), after))
        return subscriber

    def read(self, subscriber: Subscriber) -> bytes:
        """Return what it has had by now, as its own thread reads it."""
        self.received[subscriber] += subscriber.take()
        if (behind := subscriber.behind) is not None:
            subscriber.behind = None
            channel = self.series[subscriber], TEXT
            self.received[subscriber] += b"".join(self.channels.join(subscriber, channel, behind))
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
MovesWithEnds = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.lists(st.integers(0, 2), min_size=1, max_size=5)),
        st.tuples(st.just("end"), st.sampled_from(SERIES)),
        st.tuples(st.just("step"), st.none()),
        st.tuples(st.just("join"), st.tuples(st.sampled_from(SERIES), st.floats(0, 1))),
    ),
    max_size=40,
)


@pytest.fixture(params=[1, 3, PIECE_EVENTS])
def piece_events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pieces make long catching up out of few events."""
    monkeypatch.setattr(module, "PIECE_EVENTS", request.param)


@pytest.mark.usefixtures("piece_events")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(Moves)
def test_each_subscriber_gets_each_event_once_and_in_order(moves: list[tuple[str, Any]]) -> None:
    following = Following()
    members: list[tuple[Subscriber, str, int]] = []
    for move, what in moves:
        if move == "accept":
            following.accept(what)
        elif move == "step":
            following.service.advance()
            following.channels.step()
        elif move == "join":
            series, share = what
            after = round(share * following.service.position())
            members.append((following.join(series, after), series, after))
        elif members:
            subscriber, series, _ = members.pop(what % len(members))
            following.channels.leave(subscriber, (series, TEXT))
    following.step()
    for subscriber, series, after in members:
        assert following.read(subscriber) == following.expected(series, after)
        following.channels.leave(subscriber, (series, TEXT))
    assert not following.channels
    assert {subscriber.ending for subscriber in following.received} <= {None}


@pytest.mark.usefixtures("piece_events")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MovesWithEnds)
def test_each_subscriber_gets_each_event_or_is_told_of_a_gap_however_series_end(moves: list[tuple[str, Any]]) -> None:
    following = Following()
    members: list[tuple[Subscriber, str, int]] = []
    for move, what in moves:
        if move == "accept":
            following.accept(what)
        elif move == "end":
            following.end(what)
        elif move == "step":
            following.service.advance()
            following.channels.step()
        else:
            series, share = what
            after = round(share * following.service.position())
            members.append((following.join(series, after), series, after))
    following.step()
    for subscriber, series, after in members:
        heard = following.read(subscriber).decode().split()
        events = [int(word[1:]) for word in heard if ">" not in word]
        told = max((int(word[3:]) for word in heard if ">" in word), default=0)
        expected = {n for name, n in following.accepted if name == series and n > after}
        assert events == sorted(set(events))
        assert set(events) <= expected
        assert all(position < told for position in expected - set(events))


def test_events_accepted_while_a_subscriber_catches_up_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_EVENTS", 2)
    following = Following()
    early = following.join("a", 0)
    following.accept([0] * 7)
    following.step()
    late = Subscriber()
    received = b""
    for chunk in following.channels.join(late, ("a", TEXT), 3):
        received += chunk
        if len(following.accepted) < 30:
            following.accept([0, 1, 0])
            following.step()
    following.step()
    assert received + late.take() == following.expected("a", 3)
    assert following.read(early) == following.expected("a", 0)


def test_a_resume_inside_a_large_record_loses_nothing() -> None:
    following = Following(keep_last=20_000)
    following.accept([0] * 501)
    following.accept([0] * 10_000)
    following.step()
    assert following.read(following.join("a", 700)) == following.expected("a", 700)


def test_what_was_missed_is_written_in_bounded_pieces() -> None:
    following = Following(keep_last=20_000)
    following.accept([0] * 10_000)
    pieces = list(following.channels.join(Subscriber(), ("a", SSE), 0))
    assert len(pieces) > 10
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_others_are_let_in_between_two_pieces_however_fast_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    following = Following()
    following.accept([0] * 3 * PIECE_EVENTS)
    given_way: list[int] = []
    monkeypatch.setattr(module, "give_way", lambda: given_way.append(1))
    found = [len(given_way) for _ in following.channels.join(Subscriber(), ("a", TEXT), 0)]
    assert found == list(range(len(found)))
    assert len(found) > 2


def test_news_of_a_large_batch_are_handed_out_in_portions() -> None:
    following = Following(keep_last=20_000)
    member = following.join("a", 0)
    following.accept([0] * 10_000)
    while following.service.advance():
        pass
    portions = 1
    while following.channels.step():
        portions += 1
    assert portions == 10_000 / PIECE_EVENTS
    assert following.read(member) == following.expected("a", 0)


def test_a_subscriber_that_is_ended_catches_up_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE_EVENTS", 2)
    following = Following()
    following.accept([0] * 12)
    late = Subscriber()
    chunks = following.channels.join(late, ("a", TEXT), 0)
    next(chunks)
    late.end(SHUTDOWN)
    assert list(chunks) == []


def test_all_subscribers_share_the_bytes() -> None:
    following = Following()
    members = [following.join("a", 0) for _ in range(3)]
    following.accept([0, 0, 1])
    following.step()
    first, *others = [member.take() for member in members]
    assert first == b"a1 a2 "
    assert all(chunk is first for chunk in others)


def test_each_wire_format_of_a_series_is_written_for_its_own() -> None:
    following = Following()
    over_sse, over_websocket = Subscriber(), Subscriber()
    assert list(following.channels.join(over_sse, ("a", SSE), 0)) == []
    assert list(following.channels.join(over_websocket, ("a", WEBSOCKET), 0)) == []
    following.accept([0])
    following.step()
    assert over_sse.take().startswith(b"id: 1\n")
    assert over_websocket.take().startswith(b"\x81")


def test_nothing_waits_where_nobody_listens() -> None:
    following = Following()
    following.accept([0])
    following.step()
    following.join("b", 1)
    following.accept([0])
    assert following.service.advance() is False
    assert not following.channels._waiting


def test_a_subscriber_that_does_not_read_is_dropped_and_the_others_go_on() -> None:
    following = Following()
    slow, quick = following.join("a", 0), following.join("a", 0)
    for _ in range(MOST_WAITING_CHUNKS + 1):
        following.accept([0])
        following.step()
        following.read(quick)
    assert (slow.ending, quick.ending) == (TOO_SLOW, None)
    assert following.read(quick) == following.expected("a", 0)


def test_leaving_twice_or_without_having_joined_does_nothing() -> None:
    following = Following()
    member = following.join("a", 0)
    for subscriber in (Subscriber(), member, member):
        following.channels.leave(subscriber, ("a", TEXT))
    assert not following.channels


class TestGaps:
    def test_a_resume_older_than_what_is_held_says_so_and_goes_on(self) -> None:
        following = Following(keep_last=2)
        following.accept([0] * 3000)
        following.clock.now += 2 * following.service.rules.retention
        for _ in range(2):  # the horizon rises, then what is dead under it is let go of
            while following.service.tick():
                pass
            following.clock.advance(SECOND)
        following.accept([0])
        received = following.read(following.join("a", 7))
        assert received.startswith(b"a>=")
        first = int(received.removeprefix(b"a>=").split()[0])
        assert received == b"a>=%d " % first + following.expected("a", first - 1)

    def test_a_resume_of_a_quiet_series_that_has_lost_nothing_says_nothing(self) -> None:
        following = Following(keep_last=2)
        following.accept([1])
        following.accept([0] * 3000)
        following.clock.now += 2 * following.service.rules.retention
        while following.service.tick():
            pass
        assert following.read(following.join("b", 0)) == b"b1 "

    def test_a_position_from_another_history_is_a_gap(self) -> None:
        following = Following()
        following.accept([0])
        member = following.join("a", 10**6)
        assert following.read(member) == b"a>=2 "
        following.accept([0])
        following.step()
        assert following.read(member) == b"a>=2 a2 "

    def test_who_listens_to_a_series_that_ends_is_told_and_hears_of_its_new_beginning(self) -> None:
        following = Following()
        following.accept([0, 1])
        member, other = following.join("a", 2), following.join("b", 2)
        assert following.service.end_series("a").position == 3
        following.accept([0])
        following.step()
        assert following.read(member) == b"a>=4 a4 "
        assert following.read(other) == b""

    def test_what_began_and_ended_within_one_reading_is_handed_out_in_order(self) -> None:
        following = Following()
        member, other = following.join("a", 0), following.join("b", 0)
        following.accept([0, 0, 1])
        assert following.end("a") == 4
        following.accept([0])
        assert following.end("a") == 6
        following.accept([1, 0])
        following.step()
        assert following.read(member) == b"a1 a2 a>=5 a5 a>=7 a8 "
        assert following.read(other) == b"b3 b7 "

    @pytest.mark.parametrize("anew", [False, True])
    def test_a_resume_from_before_an_end_is_told(self, anew: bool) -> None:
        following = Following()
        following.accept([0, 0])
        assert following.end("a") == 3
        if anew:
            following.accept([0])
        assert following.read(following.join("a", 1)) == (b"a>=4 a4 " if anew else b"a>=4 ")
        assert following.read(following.join("a", 3)) == (b"a4 " if anew else b"")

    def test_ends_are_remembered_of_a_bounded_number_of_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(series_module, "MOST_ENDED", 2)
        following = Following()
        following.accept([0, 1, 2])
        for series in SERIES:
            following.end(series)
        # Of any other name a series may have ended, so that there may be a gap.
        assert [following.read(following.join(series, 1)) for series in SERIES] == [b"a>=7 ", b"b>=7 ", b"c>=7 "]

    def test_who_listens_while_what_this_worker_has_yet_to_read_leaves_the_log_is_told(self) -> None:
        following = Following(keep_last=2)
        member, other = following.join("a", 0), following.join("b", 0)
        following.accept([0] * 10)
        another = following.another(keep_last=2)
        following.clock.now += 2 * following.service.rules.retention
        while another.tick():
            pass
        following.compact(another)
        following.accept([0])
        following.step()
        assert following.read(member) == b"a>=9 a9 a10 a11 "
        assert following.read(other) == b""

    def test_a_newcomer_is_not_taken_back_by_a_gap_that_still_waits(self) -> None:
        following = Following()
        following.accept([0])
        member = following.join("a", 0)
        following.end("a")
        following.accept([0, 0])
        while following.service.advance():
            pass
        newcomer = following.join("a", 1)
        following.step()
        assert following.read(newcomer) == b"a>=3 a3 a4 "
        assert following.read(member) == b"a1 a>=3 a3 a4 "

    def test_all_go_on_at_the_jump_when_the_history_is_another_one(self) -> None:
        """And miss nothing of what the new history has."""
        following = Following(store=LossyStore)
        following.accept([0, 1])
        member, other = following.join("a", 2), following.join("b", 0)
        following.accept([0])
        following.step()
        lossy = following.store
        assert isinstance(lossy, LossyStore)
        lossy.lose(1)
        following.accept([0, 1, 0])
        following.step()
        following.accept([1])
        following.step()
        first = following.accepted[3][1]
        assert first > JUMP
        assert following.read(member) == b"a3 a>=%d a%d a%d " % (first, first, first + 2)
        assert following.read(other) == b"b2 b>=%d b%d b%d " % (first + 1, first + 1, first + 3)

    @pytest.mark.parametrize("waits", [False, True])
    def test_one_that_has_begun_anew_gives_all_what_came_since(self, waits: bool) -> None:
        following = Following()
        following.accept([0, 1])
        member, other = following.join("a", 2), following.join("b", 0)
        following.accept([0, 0])
        if waits:
            following.service.advance()
        following.service.log.retell()
        following.accept([0, 1, 0])
        following.step()
        following.accept([1])
        following.step()
        assert following.read(member) == following.expected("a", 2)
        assert following.read(other) == following.expected("b", 0)

    def test_who_cannot_be_handed_all_that_waits_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MOST_WAITING_EVENTS", 10)
        following = Following()
        member, other = following.join("a", 0), following.join("b", 0)
        following.accept([0] * 11)
        following.accept([1])
        while following.service.advance():
            pass
        following.step()
        following.accept([0])
        following.step()
        assert following.read(member) == b"a>=12 a13 "
        assert following.read(other) == b"b12 "
