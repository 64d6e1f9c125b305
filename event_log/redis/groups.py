"""Group commit: those who append while a trip to Redis is under way go together with the next one.

Who finds nobody under way leads: it makes the trip for all who have gathered, and hands over to the next of those who
wait when they are answered. What becomes of a group whose leader is killed, as at the end of a worker, nobody knows.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

from event_log.errors import LogError, LogUncertain
from event_log.port import Appended, Guard, Record
from event_log.redis.entries import NONCE, pack_record
from event_log.redis.session import Client

MOST_TOGETHER = 256
"""Records of one group."""
MOST_BYTES = 1 << 20
"""Bytes of one group of more than one."""

FEW = 1.5
"""Records under way and waiting, up to which nobody waits for others to gather."""
FADING = 0.95
"""Factor by which the remembered number of records at a time shrinks with each trip."""


class Job:
    """A record to be appended, and what became of it."""

    __slots__ = ("_bell", "appended", "fault", "guard", "is_answered", "leads", "packed", "record")

    def __init__(self, record: Record, guard: Guard) -> None:
        self.record = record
        self.guard = guard
        self.packed = pack_record(record)
        self.appended: Appended | None = None
        self.fault: LogError | None = None
        self.is_answered = False
        self.leads = False
        """True if its owner makes the next trip."""
        self._bell: threading.Lock | None = None

    @property
    def is_alone(self) -> bool:
        """Return whether no other record goes with it: what it changes for others takes effect between two entries."""
        return self.record.fences or self.record.raises is not None

    def prepare(self) -> None:
        """Make it possible to wait."""
        self._bell = threading.Lock()
        self._bell.acquire()

    def wait(self) -> None:
        """Until it is answered or leads."""
        if self._bell is not None:
            self._bell.acquire()

    def wake(self) -> None:
        """Let the one who waits go on."""
        if self._bell is not None:
            self._bell.release()

    def answer(self, appended: Appended | None, fault: LogError | None = None) -> None:
        """Say what became of it."""
        self.appended, self.fault, self.is_answered = appended, fault, True

    def outcome(self) -> Appended:
        """Return where it stands, or raise its error."""
        if self.appended is None:
            raise self.fault or AssertionError("nobody has answered")
        return self.appended


class Group:
    """Records that become one entry."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.nonce = os.urandom(NONCE)
        self.takes = sum(job.record.takes for job in jobs)
        """Number of positions that its records take."""
        self.history = jobs[0].guard.history
        self.sent_by: Client | None = None
        """The connection through which it may have been stored, or may yet be."""
        self.deadline = 0.0
        self.behind = Appended(0, 0)
        """The newest record known before it was sent."""

    def answer(self, end: Appended) -> None:
        """Say where each of its records stands, of which the last one stands here."""
        number, position = end.number - len(self.jobs), end.position - self.takes
        for job in self.jobs:
            number, position = number + 1, position + job.record.takes
            job.answer(Appended(number, position))

    def fail(self, fault: LogError) -> None:
        """Say that none of them was stored, or that it is not known."""
        for job in self.jobs:
            job.answer(None, fault)


class Gathering:
    """Group commit of one process: those who append gather, and one makes the trip for all."""

    def __init__(self, settle: Callable[[Group], list[Group]]) -> None:
        """`settle` answers all jobs of a group, but for those of the groups that it returns, which are next."""
        self._settle = settle
        self.most = 1
        """Trips that may be under way at once."""
        self._mutex = threading.Lock()
        # Under _mutex.
        self.waiting: deque[Job] = deque()
        self.leaders = 0
        self.under_way = 0  # records
        self._many = 0.0  # how many there were at most, under way or waiting, of late

    def append(self, record: Record, guard: Guard) -> Appended:
        """Append a record with those of others. Raises what `settle` has said."""
        job = Job(record, guard)
        with self._mutex:
            job.leads = self.leaders < self.most and self._is_time(1)
            if job.leads:
                self.leaders += 1
            else:
                job.prepare()
                self.waiting.append(job)
        try:
            job.wait()
            if job.leads:
                self._lead(job)
        finally:
            self._leave(job)
        return job.outcome()

    def _lead(self, job: Job) -> None:
        """Settle the group that has gathered behind this job."""
        if self._many > FEW:
            time.sleep(0)  # whoever is about to append goes with this trip
        with self._mutex:
            group = self._take(job)
            self.under_way += len(group.jobs)
            self._many = max(self.under_way + len(self.waiting), FADING * self._many)
        begun = deque([group])
        try:
            while begun:
                parts = self._settle(begun[0])
                self._wake(begun.popleft(), job)
                begun.extendleft(reversed(parts))
        finally:
            for left in begun:  # by a greenlet that is killed
                left.fail(LogUncertain("who was to store this with others was killed; it may have been stored"))
                self._wake(left, job)
            with self._mutex:
                self.under_way -= len(group.jobs)

    @staticmethod
    def _wake(group: Group, leader: Job) -> None:
        for job in group.jobs:
            if job.is_answered and job is not leader:
                job.wake()

    def _is_time(self, more: int) -> bool:
        """Return whether to make a trip for those who wait and `more`: beside another one only for enough of them."""
        return not self.leaders or len(self.waiting) + more >= self._many / self.most

    def _take(self, first: Job) -> Group:
        """The next records that can go together."""
        waiting = self.waiting
        jobs, size = [first], len(first.packed)
        while waiting and len(jobs) < MOST_TOGETHER and not first.is_alone:
            size += len(waiting[0].packed)
            if waiting[0].is_alone or waiting[0].guard.history != first.guard.history or size > MOST_BYTES:
                break
            jobs.append(waiting.popleft())
        return Group(jobs)

    def _leave(self, job: Job) -> None:
        """Hand over where this one has led, or would have; it may have been killed."""
        with self._mutex:
            if not job.leads:
                if job in self.waiting:
                    self.waiting.remove(job)
                return
            self.leaders -= 1
            if not self.waiting or not self._is_time(0):
                return
            heir = self.waiting.popleft()
            heir.leads = True
            self.leaders += 1
        heir.wake()
