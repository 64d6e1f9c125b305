"""Retrying: which answers are temporary, and how long the pauses are."""

from __future__ import annotations

import pytest

from tidemark import Unanswered
from tidemark.retrying import FIRST_PAUSE, LONGEST_PAUSE, retry
from tidemark.transport import Reply

STORED = Reply(201, {}, b"{}")


def pauses_of(*answers: Reply | None, longest: float | None = None, give_up_after: int = 99) -> list[float]:
    """Return the pauses until the first answer that decides; None stands for one that did not come."""
    script, pauses = iter(answers), list[float]()

    def attempt() -> Reply:
        if (answer := next(script)) is None:
            raise Unanswered("timeout")
        return answer

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) < give_up_after

    decided = retry(attempt, pause, longest)
    assert decided is (answers[-1] if len(pauses) < give_up_after else None)
    return pauses


def busy(status: int, after: str | None = None) -> Reply:
    return Reply(status, {} if after is None else {"Retry-After": after}, b"")


@pytest.mark.parametrize("answer", [STORED, busy(400), busy(401), busy(403), busy(404), busy(413), busy(429)])
def test_these_decide(answer: Reply) -> None:
    assert pauses_of(answer) == []


@pytest.mark.parametrize(
    "answer", [None, busy(408), busy(429, "0"), busy(500), busy(502), busy(503), busy(503, "0"), busy(504)]
)
def test_pauses_grow_to_30_seconds(answer: Reply | None) -> None:
    pauses = pauses_of(*[answer] * 14, STORED)
    for number, pause in enumerate(pauses):
        most = min(FIRST_PAUSE * 2**number, LONGEST_PAUSE)
        assert 0.75 * most <= pause <= most
    assert len(pauses) == 14
    assert LONGEST_PAUSE == 30


def test_the_server_is_given_the_time_that_it_asks_for_up_to_the_longest_pause() -> None:
    assert pauses_of(busy(503, "7"), busy(429, "7"), busy(503, "3600"), STORED) == [7, 7, LONGEST_PAUSE]


def test_shorter_pauses_are_for_what_the_server_does_not_ask_for() -> None:
    pauses = pauses_of(*[None] * 9, busy(503, "7"), STORED, longest=2)
    assert max(pauses[:-1]) <= 2
    assert pauses[-1] == 7


def test_it_may_be_given_up() -> None:
    assert len(pauses_of(None, None, give_up_after=2)) == 2
