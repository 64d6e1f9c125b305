"""Each answer of a history beside the model's, in the order of their positions."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, combinations, product
from math import comb
from operator import itemgetter
from typing import Any

from tests.history.model import Stored, answers
from tests.history.placing import Log, reads_of, stored
from tests.history.recording import Attempt, Delete, History, Read, Write

MOST_AT_ONCE = 3
"""Writes of unknown outcome that may turn up between two answers about their series."""
MOST_TRIED = 5000
"""Maximum number of choices tried, so that a fault among many of unknown outcome is told within a minute."""


class State:
    """The events in the log up to a position."""

    def __init__(self) -> None:
        self.events: dict[str, list[Stored]] = {}

    def about(self, series: str | None) -> list[Stored]:
        """The events of a series, or all, in the order of time and arrival."""
        if series is not None:
            return self.events.get(series, [])
        return sorted(chain.from_iterable(self.events.values()))

    def add(self, events: Sequence[Stored]) -> None:
        """Take in the events of a write."""
        for event in events:
            insort(self.events.setdefault(event.series, []), event)

    def drop(self, values: set[float]) -> None:
        """Lose events."""
        for series, events in self.events.items():
            self.events[series] = [event for event in events if event.value not in values]

    def cut(self, series: str, before: int) -> None:
        """End a series: what stands before a position is gone."""
        self.events[series] = [event for event in self.events.get(series, []) if event.position >= before]


class Replay:
    """Goes through a log, and finds the answers that differ from the model's."""

    def __init__(self, history: History, log: Log) -> None:
        self._history = history
        self._log = log
        self._state = State()
        self._pending = list(log.pending)
        self._turned_up: list[Write] = []

    def wrong(self) -> Iterator[str]:
        """Yield them."""
        for _, _, step in sorted(self._steps(), key=itemgetter(0, 1)):
            if (fault := step()) is not None:
                yield fault

    def _steps(self) -> Iterator[tuple[int, int, Any]]:
        """Yield what happens at a position, and in which order there: losses, changes, answers."""
        for jump in self._log.jumps:
            yield jump, 0, partial(self._lose, jump)
        for placed in self._log.placed:
            yield placed.position, 1, partial(self._state.add, placed.events)
        for position, delete in self._log.deletes:
            yield position, 1, partial(self._state.cut, delete.series, position)
        for read, answer in reads_of(self._history):
            yield answer.position or 0, 2, partial(self._compare, read, answer)

    def _lose(self, jump: int) -> None:
        """Drop what nobody acknowledged and is not there behind a jump."""
        gone = [placed.write for placed in self._log.placed if placed.lost_at == jump] + self._turned_up
        self._state.drop({event.value for write in gone for event in write.events})
        self._turned_up.clear()

    def _compare(self, read: Read, answer: Attempt) -> str | None:
        if answer.status not in (200, 404) or (answer.status == 404 and read.question.kind != "events"):
            return f"{read}: status {answer.status}, {answer.body[:300]!r}"
        told = answer.json if answer.status == 200 else None
        if self._is_right(read, answer, told) or self._is_explained(read, answer, told):
            return None
        best = next(answers(read.question, self._state.about(read.question.series), moments(answer)))
        return f"{read}: told {told}, not {best}"

    def _is_right(self, read: Read, answer: Attempt, told: Any) -> bool:
        events = self._state.about(read.question.series)
        return any(told == right for right in answers(read.question, events, moments(answer)))

    def _is_explained(self, read: Read, answer: Attempt, told: Any) -> bool:
        """Return whether the answer is right if some of unknown outcome have been carried out; then they have for
        all."""
        before = {series: list(events) for series, events in self._state.events.items()}
        for cut, turned_up in product(self._cuts(read, answer), self._some_pending(read, answer)):
            if cut:
                self._state.cut(*cut)
            for write in turned_up:
                self._state.add(list(stored(self._log, write.stored, answer.position or 0)))
            if self._is_right(read, answer, told):
                self._pending = [write for write in self._pending if write not in turned_up]
                self._turned_up += turned_up if self._history.losses else ()
                return True
            self._state.events = {series: list(events) for series, events in before.items()}
        return False

    def _some_pending(self, read: Read, answer: Attempt) -> Iterator[tuple[Write, ...]]:
        possible = [write for write in self._pending if _may_show(write, read, answer)]
        for number in range(MOST_AT_ONCE + 1):
            if comb(len(possible), number) <= MOST_TRIED:
                yield from combinations(possible, number)

    def _cuts(self, read: Read, answer: Attempt) -> list[tuple[str, int] | None]:
        """No end of a series, or one at any place in it, where one of unknown outcome may have been carried out."""
        ended = {delete.series for delete in self._log.pending_deletes if _may_have_ended(delete, read, answer)}
        cuts: list[tuple[str, int] | None] = [None]
        for series in ended:
            positions = sorted({event.position for event in self._state.events.get(series, [])}, reverse=True)
            cuts += [(series, position + 1) for position in positions]
        return cuts


def moments(answer: Attempt) -> tuple[int, int]:
    """Between which moments the answer was worked out."""
    return answer.wall_began, answer.wall_ended


def _may_show(write: Write, read: Read, answer: Attempt) -> bool:
    series = read.question.series
    return write.first.began < answer.ended and any(series in (None, event.series) for event in write.events)


def _may_have_ended(delete: Delete, read: Read, answer: Attempt) -> bool:
    return delete.first.began < answer.ended and read.question.series in (None, delete.series)


def wrong_answers(history: History, log: Log) -> Iterator[str]:
    """Yield the answers that the model does not give."""
    yield from Replay(history, log).wrong()
