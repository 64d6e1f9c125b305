"""Statistics at intervals: each distinct question is asked once per interval, however many listen."""

from __future__ import annotations

import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from event_log.base import LogUnavailable
from streaming.subscriber import Subscriber

FRESH_SECONDS = 1.0
"""A newcomer is given the last answer at once, if that is no older than this (or than the interval)."""
SLICE = 100
"""To how many listeners an answer is handed at once; all 2,000 would keep requests waiting for 70 ms."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, in a form that the one who answers understands, and how often."""

    subject: Hashable
    seconds: float


@dataclass(slots=True, eq=False)
class _Pulse:
    question: Question
    due: float
    members: set[Subscriber] = field(default_factory=set)
    chunk: bytes = b""
    asked_at: float = -math.inf


class Pulses:
    """Who listens to which question, and when each is due. All of it is guarded by the feed's lock."""

    def __init__(self, answer: Callable[[Hashable], bytes], lock: threading.RLock, clock: Callable[[], float]) -> None:
        self._answer = answer
        self._lock = lock
        self._clock = clock
        self._pulses: dict[Question, _Pulse] = {}
        self._agenda: list[tuple[float, int, _Pulse]] = []  # a heap; may still hold pulses that have ended
        self._numbers = itertools.count()
        self._to_hand_out: deque[tuple[Subscriber, bytes]] = deque()

    def join(self, subscriber: Subscriber, question: Question) -> None:
        """Let the subscriber listen, with an answer to begin with. Raises LogUnavailable, nothing being done."""
        with self._lock:
            now = self._clock()
            pulse = self._pulses.get(question) or _Pulse(question, now + question.seconds)
            if now - pulse.asked_at > min(question.seconds, FRESH_SECONDS):
                pulse.chunk, pulse.asked_at = self._answer(question.subject), now
            if question not in self._pulses:
                self._pulses[question] = pulse
                self._schedule(pulse)
            pulse.members.add(subscriber)
            subscriber.put(pulse.chunk)

    def leave(self, subscriber: Subscriber, question: Question) -> None:
        """Let the subscriber listen no more; a question nobody listens to is forgotten."""
        with self._lock:
            if pulse := self._pulses.get(question):
                pulse.members.discard(subscriber)
                if not pulse.members:
                    del self._pulses[question]

    def step(self) -> float:
        """Hand out some answers, or ask the question that has been due longest; seconds until there is more to do."""
        with self._lock:
            now = self._clock()
            if not self._to_hand_out and self._agenda and self._agenda[0][0] <= now:
                pulse = heappop(self._agenda)[2]
                if self._pulses.get(pulse.question) is pulse:
                    self._ask(pulse, now)
            for _ in range(min(SLICE, len(self._to_hand_out))):
                listener, chunk = self._to_hand_out.popleft()
                listener.put(chunk)
            if self._to_hand_out:
                return 0.0
            return max(0.0, self._agenda[0][0] - now) if self._agenda else math.inf

    def _schedule(self, pulse: _Pulse) -> None:
        heappush(self._agenda, (pulse.due, next(self._numbers), pulse))

    def _ask(self, pulse: _Pulse, now: float) -> None:
        # What was missed while the worker was busy is left out; the rhythm stays.
        pulse.due += (math.floor((now - pulse.due) / pulse.question.seconds) + 1) * pulse.question.seconds
        self._schedule(pulse)
        try:
            pulse.chunk, pulse.asked_at = self._answer(pulse.question.subject), now
        except LogUnavailable:
            return  # the next round may fare better; the heartbeat keeps the streams open meanwhile
        self._to_hand_out.extend((member, pulse.chunk) for member in pulse.members)
