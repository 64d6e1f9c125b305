from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from simulator.dialects import Call, target
from simulator.events import Event, Feed
from simulator.pacing import Pacer, Phases, Unpaced
from simulator.posting import LONGEST_PAUSE, Poster
from simulator.prices import Walk
from simulator.tally import Tally
from tests.simulator.fakes import CLOSED_PORT, FakeTime
from tests.simulator.stub import Scripted, Stub
from tidemark.retrying import FIRST_PAUSE
from tidemark.transport import Transport

NOW = 1_750_948_200_000_000
FULL = Scripted(503, b'{"detail": "The log is full."}', {"Retry-After": "7"})


class Posting:
    """A poster of `count` events to `url`, with what it needs."""

    def __init__(self, url: str, count: int = 3, timeout: float = 60) -> None:
        self.time = FakeTime()
        self.tally = Tally()
        self.said: list[str] = []
        self.poster = Poster(
            Feed([Walk("AAPL", 1, (100, 100), 1, 2)], batch=1, one_series=False, budget=count),
            Pacer(Unpaced(Phases()), clock=self.time, sleep=self.time.sleep),
            target("native", 1, None).form,
            Transport(url, None, timeout),
            self.tally,
            wall_clock=lambda: NOW,
            sleep=self.sleep,
            announce=self.announce,
        )
        self.pauses: list[float] = []
        self.most_pauses = 100

    def sleep(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return len(self.pauses) >= self.most_pauses

    def announce(self, events: Sequence[Event], call: Call, outcome: str) -> None:
        self.said.append(outcome.partition(" in ")[0])


def are_about(pauses: Sequence[float], longest: Sequence[float]) -> bool:
    """Return True where each is at most a quarter shorter than its longest."""
    return all(0.75 * most <= pause <= most for pause, most in zip(pauses, longest, strict=True))


def test_all_events_are_posted_and_counted() -> None:
    with Stub() as server:
        posting = Posting(server.url, 5)
        posting.poster.run()
    totals = posting.tally.totals()
    assert (totals.events, totals.requests, totals.statuses, totals.errors) == (5, 5, {201: 5}, {})
    assert [request.json["series"] for request in server.received] == ["AAPL"] * 5
    assert server.received[0].json["timestamp"] == "2025-06-26T14:30:00Z"
    assert posting.said == ["201"] * 5
    assert totals.latencies["max"] > 0


def test_a_full_server_gets_the_same_event_again_when_it_asks() -> None:
    with Stub(Scripted(), FULL, FULL) as server:
        posting = Posting(server.url)
        posting.poster.run()
    bodies = [request.body for request in server.received]
    assert bodies[1] == bodies[2] == bodies[3]
    assert len(set(bodies)) == 3
    keys = [request.headers["Idempotency-Key"] for request in server.received]
    assert [keys.index(key) for key in keys] == [0, 1, 1, 1, 4]
    assert posting.pauses == [7.0, 7.0]
    totals = posting.tally.totals()
    assert (totals.events, totals.statuses) == (3, {201: 3, 503: 2})
    assert (totals.errors, totals.examples) == ({"status 503": 2}, {"status 503": "The log is full."})


def test_a_refused_event_is_not_sent_again() -> None:
    with Stub(Scripted(400, b'{"detail": "No."}')) as server:
        posting = Posting(server.url)
        posting.poster.run()
    assert len({request.body for request in server.received}) == 3
    assert posting.tally.counts() == (2, 1)
    assert posting.said == ["400", "201", "201"]


def test_an_event_that_may_have_arrived_is_sent_again_under_its_key() -> None:
    with Stub(Scripted(), Scripted(drop=True), Scripted(drop=True)) as server:
        posting = Posting(server.url)
        posting.poster.run()
    sent = [(request.headers["Idempotency-Key"], request.body) for request in server.received]
    assert [sent.index(request) for request in sent] == [0, 1, 1, 1, 4]
    assert are_about(posting.pauses, [FIRST_PAUSE, 2 * FIRST_PAUSE])
    assert posting.tally.counts() == (3, 2)
    assert posting.tally.totals().errors == {"connection lost": 2}
    assert posting.said == ["201", "connection lost", "connection lost", "201", "201"]


def test_a_server_that_is_gone_is_tried_again_ever_more_rarely() -> None:
    posting = Posting(f"http://127.0.0.1:{CLOSED_PORT}", count=1)
    posting.most_pauses = 8
    posting.poster.run()
    assert are_about(posting.pauses, [FIRST_PAUSE * 2**k for k in range(6)] + [LONGEST_PAUSE] * 2)
    assert posting.tally.totals().errors == {"connection refused": 8}
    assert posting.tally.totals().requests == 0


def test_an_event_survives_the_absence_of_the_server() -> None:
    with Stub() as server:
        pass
    with ExitStack() as stack:

        class Returning(Posting):
            def sleep(self, seconds: float) -> bool:
                stack.enter_context(server)
                return super().sleep(seconds)

        posting = Returning(server.url)
        posting.poster.run()
    assert len({request.headers["Idempotency-Key"] for request in server.received}) == 3
    assert posting.tally.totals().errors == {"connection refused": 1}


def test_no_two_runs_share_a_key() -> None:
    with Stub() as server:
        for _ in range(2):
            Posting(server.url).poster.run()
    assert len({request.headers["Idempotency-Key"] for request in server.received}) == 6


def test_who_may_not_post_does_not_wait_for_it() -> None:
    with Stub(Scripted(401, b'{"detail": "No key."}')) as server:
        posting = Posting(server.url)
        posting.poster.run()
    assert posting.pauses == []
    assert posting.tally.totals().examples == {"status 401": "No key."}
