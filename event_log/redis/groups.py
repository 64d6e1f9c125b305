"""Group commit: those who append while a trip to Redis is under way go together with the next one.

Who finds nobody under way leads: it makes the trip for all who have gathered, and hands over to the next of those who
wait when they are answered. A leader that is killed leaves its group to another one of it, which looks for it first.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

from event_log.errors import LogError
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

    __slots__ = ("_bell", "appended", "fault", "group", "guard", "is_answered", "is_left", "leads", "packed", "record")

    def __init__(self, record: Record, guard: Guard) -> None:
        self.record = record
        self.guard = guard
        self.packed = pack_record(record)
        self.appended: Appended | None = None
        self.fault: LogError | None = None
        self.is_answered = False
        self.is_left = False
        """True if its owner was killed."""
        self.leads = False
        """True if its owner makes the next trip."""
        self.group: Group | None = None
        """The group that a killed leader has left, for this job's owner to complete."""
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

    def heir(self) -> Job | None:
        """Return one who still waits for it."""
        return next((job for job in self.jobs if not job.is_left), None)


class Gathering:
    """Group commit of one process: those who append gather, and one makes the trip for all."""

    def __init__(self, settle: Callable[[Group], list[Group]]) -> None:
        """`settle` answers all jobs of a group, but for those of the groups that it returns, which are next."""
        self._settle = settle
        self.most = 1
        """Trips that may be under way at once."""
        self._mutex = threading.Lock()
        # Under _mutex.
        self._waiting: deque[Job] = deque()
        self._left: deque[Group] = deque()  # by leaders that were killed
        self._leaders = 0
        self._under_way = 0  # records
        self._many = 0.0  # how many there were at most, under way or waiting, of late

    def append(self, record: Record, guard: Guard) -> Appended:
        """Append a record with those of others. Raises what `settle` has said."""
        job = Job(record, guard)
        with self._mutex:
            job.leads = self._leaders < self.most and self._is_time(1)
            if job.leads:
                self._leaders += 1
            else:
                job.prepare()
                self._waiting.append(job)
        try:
            job.wait()
            if job.leads:
                self._lead(job)
        finally:
            self._leave(job)
        return job.outcome()

    def _lead(self, job: Job) -> None:
        """Settle a group: that of others which was left, or the one that has gathered behind this job."""
        if self._many > FEW:
            time.sleep(0)  # whoever is about to append goes with this trip
        with self._mutex:
            group, job.group = job.group or self._take(job), None
            self._under_way += len(group.jobs)
            self._many = max(self._under_way + len(self._waiting), FADING * self._many)
        begun = deque([group])
        try:
            while begun:
                parts = self._settle(begun[0])
                for other in begun.popleft().jobs:
                    if other.is_answered and other is not job:
                        other.wake()
                begun.extendleft(reversed(parts))
        except BaseException:
            job.is_left = True
            with self._mutex:
                self._left.extend(begun)
            raise
        finally:
            with self._mutex:
                self._under_way -= len(group.jobs)

    def _is_time(self, more: int) -> bool:
        """Return whether to make a trip for those who wait and `more`: beside another one only for enough of them."""
        return not self._leaders or len(self._waiting) + more >= self._many / self.most

    def _take(self, first: Job) -> Group:
        """The next records that can go together."""
        waiting = self._waiting
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
            job.is_left = True
            if not job.leads:
                if job in self._waiting:
                    self._waiting.remove(job)
                return
            if job.group is not None:
                self._left.appendleft(job.group)
            self._leaders -= 1
            heir = self._heir()
            if heir is None:
                return
            heir.leads = True
            self._leaders += 1
        heir.wake()

    def _heir(self) -> Job | None:
        """The next one to lead: one of a group that was left, else one of those who wait."""
        while self._left:
            group = self._left.popleft()
            if (heir := group.heir()) is not None:
                heir.group = group
                return heir
        return self._waiting.popleft() if self._waiting and self._is_time(0) else None
