"""Group commit: those who append while a trip to Redis is under way go together with the next one.

What becomes of a group whose leader is killed, as at the end of a worker, nobody knows.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable

from event_log.errors import LogError, LogUncertain
from event_log.port import Appended, Guard, Record
from event_log.redis.entries import NONCE, pack_record
from event_log.redis.session import Session
from event_log.single_flight import SingleFlight

MOST_TOGETHER = 256
"""Records of one group."""
MOST_BYTES = 1 << 20
"""Bytes of one group of more than one."""


class Job:
    """A record to be appended, and what became of it."""

    __slots__ = ("goes_alone", "guard", "heals", "outcome", "packed", "record")

    def __init__(self, record: Record, guard: Guard) -> None:
        self.record = record
        self.guard = guard
        self.packed = pack_record(record)
        self.heals = record.fences or record.raises is not None
        """True if it may be stored where others may not."""
        self.goes_alone = self.heals
        """True if no other record goes with it: what it changes for others takes effect between two entries."""
        self.outcome: Appended | LogError | None = None


class Group:
    """Records that become one entry."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.nonce = os.urandom(NONCE)
        self.takes = sum(job.record.takes for job in jobs)
        """Number of positions that its records take."""
        self.history = jobs[0].guard.history
        self.sent_by: Session | None = None
        """The connection through which it may have been stored, or may yet be."""
        self.deadline = 0.0
        self.behind = Appended(0, 0)
        """The newest record known before it was sent."""

    def answer(self, end: Appended) -> None:
        """Say where each of its records stands, of which the last one stands here."""
        number, position = end.number - len(self.jobs), end.position - self.takes
        for job in self.jobs:
            number, position = number + 1, position + job.record.takes
            job.outcome = Appended(number, position)

    def fail(self, fault: LogError) -> None:
        """Say that none of them was stored, or that it is not known."""
        for job in self.jobs:
            job.outcome = fault


class Gathering:
    """Group commit of one process: those who append gather, and one makes the trip for all."""

    def __init__(self, settle: Callable[[Group], None]) -> None:
        """`settle` gives each job of a group its outcome, or leaves them all without: then they are tried one by
        one."""
        self._settle = settle
        self.flight = SingleFlight()
        self.waiting: deque[Job] = deque()

    def append(self, record: Record, guard: Guard) -> Appended:
        """Append a record with those of others. Raises what `settle` has said."""
        job = Job(record, guard)
        self.waiting.append(job)
        try:
            while job.outcome is None:
                self.flight.step(self._trip, lambda: self._is_done(job))
        finally:
            if job.outcome is None and job in self.waiting:  # it was killed
                self.waiting.remove(job)
        if isinstance(job.outcome, LogError):
            raise job.outcome
        return job.outcome

    def _is_done(self, job: Job) -> bool:
        if job.outcome is None and len(self.waiting) > 1:
            time.sleep(0)  # whoever is about to append goes with this trip
        return job.outcome is not None

    def _trip(self) -> bool:
        """Settle the next group of those who have gathered; says whether some of them are left."""
        gathered = len(self.waiting)
        group = self._next()
        try:
            self._settle(group)
        except BaseException:
            group.fail(LogUncertain("who was to store this with others was killed; it may have been stored"))
            raise
        left = [job for job in group.jobs if job.outcome is None]
        for job in reversed(left):
            job.goes_alone = True
            self.waiting.appendleft(job)
        return bool(left) or gathered > len(group.jobs)

    def _next(self) -> Group:
        """Take the next records that can go together."""
        waiting, first = self.waiting, self.waiting.popleft()
        jobs, size = [first], len(first.packed)
        while waiting and len(jobs) < MOST_TOGETHER and not first.goes_alone:
            size += len(waiting[0].packed)
            if waiting[0].goes_alone or waiting[0].guard.history != first.guard.history or size > MOST_BYTES:
                break
            jobs.append(waiting.popleft())
        return Group(jobs)
