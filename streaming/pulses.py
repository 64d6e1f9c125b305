"""Statistics at intervals: each distinct question is asked once per interval, however many listen."""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from event_log.errors import LogUnavailable
from streaming.subscriber import Subscriber

FRESH_SECONDS = 1.0
"""A newcomer is given the last answer, if that is no older than this (or than the interval) and nothing came since."""
SLICE = 100
"""Number of listeners that are handed an answer at a time; all 2,000 would keep requests waiting for 70 ms."""
REST = 4
"""Pause of a question, as a multiple of the time of its answer: it must leave the worker to others."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question in a form that the one who answers understands, and the seconds between two answers."""

    subject: Hashable
    seconds: float


class Answered(NamedTuple):
    """An answer as a chunk, and the position up to which the view had read."""

    chunk: bytes
    position: int


NOTHING = Answered(b"", -1)


@dataclass(slots=True, eq=False)
class _Pulse:
    question: Question
    due: float
    members: set[Subscriber] = field(default_factory=set)
    answered: Answered = NOTHING
    asked_at: float = -math.inf


class Pulses:
    """Scheduled questions and their listeners. The feed's lock guards them; questions are asked outside of it."""

    def __init__(
        self,
        answer: Callable[[Hashable], Answered],
        newest: Callable[[], int],
        lock: threading.RLock,
        clock: Callable[[], float],
    ) -> None:
        self._answer = answer
        self._newest = newest
        self._lock = lock
        self._clock = clock
        self._pulses: dict[Question, _Pulse] = {}
        self._questions: dict[Subscriber, Question] = {}
        self._agenda: list[tuple[float, int, _Pulse]] = []  # a heap; may still hold pulses that have ended
        self._numbers = itertools.count()
        self._to_hand_out: deque[tuple[Subscriber, bytes]] = deque()

    def join(self, subscriber: Subscriber, question: Question) -> int:
        """Let the subscriber listen, with an answer to begin with that knows all that was acknowledged by now; returns
        the position that the view had read for it. Raises LogUnavailable, nothing being done."""
        answered, asked_at = self._fresh(question) or self._ask(question)
        with self._lock:
            pulse = self._pulses.get(question)
            if pulse is None:
                pulse = self._pulses[question] = _Pulse(question, asked_at + question.seconds)
                self._schedule(pulse)
            if asked_at >= pulse.asked_at:
                pulse.answered, pulse.asked_at = answered, asked_at
            pulse.members.add(subscriber)
            self._questions[subscriber] = question
            subscriber.put(answered.chunk)
            return answered.position

    def leave(self, subscriber: Subscriber) -> None:
        """Let the subscriber listen no more, if it does; a question nobody listens to is forgotten."""
        with self._lock:
            question = self._questions.pop(subscriber, None)
            if question is not None and (pulse := self._pulses.get(question)):
                pulse.members.discard(subscriber)
                if not pulse.members:
                    del self._pulses[question]

    def step(self) -> float:
        """Hand out some answers, or ask the question that has been due longest; seconds until there is more to do."""
        if pulse := self._due():
            self._answer_all(pulse)
        with self._lock:
            for _ in range(min(SLICE, len(self._to_hand_out))):
                listener, chunk = self._to_hand_out.popleft()
                listener.put(chunk)
            if self._to_hand_out:
                return 0.0
            return max(0.0, self._agenda[0][0] - self._clock()) if self._agenda else math.inf

    def _fresh(self, question: Question) -> tuple[Answered, float] | None:
        """The last answer, if one asked now would be the same but for the passing of a moment."""
        pulse = self._pulses.get(question)
        if pulse is None or self._clock() - pulse.asked_at > min(question.seconds, FRESH_SECONDS):
            return None
        return (pulse.answered, pulse.asked_at) if self._newest() <= pulse.answered.position else None

    def _ask(self, question: Question) -> tuple[Answered, float]:
        asked_at = self._clock()
        return self._answer(question.subject), asked_at

    def _due(self) -> _Pulse | None:
        with self._lock:
            now = self._clock()
            if self._to_hand_out or not self._agenda or self._agenda[0][0] > now:
                return None
            pulse = heappop(self._agenda)[2]
            if self._pulses.get(pulse.question) is not pulse:
                return None
            # What was missed while the worker was busy is left out; the rhythm stays.
            seconds = pulse.question.seconds
            pulse.due += (math.floor((now - pulse.due) / seconds) + 1) * seconds
            return pulse

    def _answer_all(self, pulse: _Pulse) -> None:
        """Ask for all who listen. A log that cannot answer may do so next time; heartbeats keep the streams open."""
        asked_at = self._clock()
        try:
            answered = self._answer(pulse.question.subject)
        except LogUnavailable:
            answered = NOTHING
        with self._lock:
            cost = self._clock() - asked_at
            pulse.due = max(pulse.due, asked_at + cost * (1 + REST))
            self._schedule(pulse)
            if answered is not NOTHING:
                pulse.answered, pulse.asked_at = answered, asked_at
                self._to_hand_out.extend((member, answered.chunk) for member in pulse.members)

    def _schedule(self, pulse: _Pulse) -> None:
        heappush(self._agenda, (pulse.due, next(self._numbers), pulse))
