"""The way to Redis for those who write, over connections that do what the test says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Thread

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from event_log import redis_link
from event_log.errors import LogUnavailable
from event_log.redis.crew import Crew, Ticket
from event_log.redis.link import Link, Lost
from event_log.redis.session import Command, Reply
from event_log.redis.url import RedisUrl, parse_redis_url

SOON = 20.0
"""Far more seconds than any step takes; a test that waits so long has failed."""
URL = "redis://nowhere"


class Fake:
    """A connection that answers each command with its own first word, until it breaks."""

    breaks_after = 1000
    fault: Exception = RedisConnectionError("it broke")
    opened = 0

    def __init__(self, url: RedisUrl, scripts: object = ()) -> None:
        del url, scripts
        Fake.opened += 1
        self.name = f"connection {Fake.opened}"
        self.stamp = "stamp"
        self.far = False

    def trip(self, commands: Iterable[Command]) -> Iterator[Reply]:
        for index, command in enumerate(commands):
            if index == Fake.breaks_after:
                Fake.breaks_after = 1000
                raise Fake.fault
            yield 1 if command[0] == "WAIT" else command[0]

    def close(self) -> None:
        return


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_link, "Session", Fake)
    monkeypatch.setattr(Fake, "breaks_after", 1000)
    monkeypatch.setattr(Fake, "opened", 0)
    monkeypatch.setattr(Fake, "fault", Fake.fault)


def said(link: Link, *words: str) -> list[object]:
    """What becomes of those who ask for these words with one trip: the answer, or the fault."""
    crew = Crew()
    tickets = [Ticket(lambda _, word=word: [(word,)], link.url.wait > 0) for word in words]  # type: ignore[misc]
    crew.waiting.extend(tickets)
    trip = Thread(target=link._run, args=(crew,), daemon=True)
    trip.start()
    answers: list[object] = []
    for ticket in tickets:
        assert ticket._done.acquire(timeout=SOON), "nobody has told it"
        answers.append(ticket.fault or ticket.replies)
    with link._mutex:
        crew.closed = True
        crew.rouse()
    trip.join(SOON)
    return answers


@pytest.mark.parametrize("wait", [0, 1])
def test_all_of_a_trip_are_answered(wait: int) -> None:
    assert said(Link(parse_redis_url(f"{URL}?wait={wait}")), "a", "b", "c") == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("fault", [RedisConnectionError("it broke"), MemoryError()])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_where_a_trip_breaks_amid_the_answers_nobody_waits_for_ever(fault: Exception) -> None:
    Fake.breaks_after, Fake.fault = 2, fault
    answers = said(Link(parse_redis_url(f"{URL}?wait=1")), "a", "b", "c")
    assert [type(answer) for answer in answers] == [Lost] * 3  # the first two were done: they are looked for


def test_who_was_answered_before_the_connection_broke_has_the_answer() -> None:
    Fake.breaks_after = 2
    *done, lost = said(Link(parse_redis_url(URL)), "a", "b", "c")
    assert done == [["a"], ["b"]]
    assert isinstance(lost, Lost)


def test_where_no_thread_can_be_started_it_says_so_and_the_next_one_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    link = Link(parse_redis_url(URL))
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", refuse)
        with pytest.raises(LogUnavailable, match="can't start new thread"):
            link.ask(lambda _: [("a",)])
    assert link.ask(lambda _: [("a",)]) == ["a"]
    link.close()
