"""Group commit on Redis, over trips that do what the test says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from event_log import codec
from event_log.errors import LogFull, LogUncertain
from event_log.port import Appended, Guard, Record
from event_log.redis.groups import MOST_BYTES, MOST_TOGETHER, Gathering, Group
from tests.servers import until

SOON = 60.0
"""Far more seconds than any step takes; a test that waits so long has failed."""
ONE = Record(codec.SINGLE, bytes(codec.SINGLE_SIZE), 1)


class Killed(BaseException):
    """Ends a greenlet."""


class Trips:
    """Trips that wait until they are let go, each by what is to become of it."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.number = 0
        self._under_way = 0
        self._may_go = Event()
        self.ends: list[Callable[[Group], None]] = []
        self.gathering = Gathering(self._settle)
        self.pool = ThreadPoolExecutor(MOST_TOGETHER * 2)

    def append(self, count: int, record: Record = ONE) -> list[Future[Appended]]:
        """Append in threads of their own; return once all have gathered, behind the first, which is under way."""
        wanted = self._gathered() + count
        found = [self.one(record) for _ in range(count)]
        until(lambda: self._gathered() == wanted and self._under_way == 1, "all to wait", SOON)
        until(lambda: len(self.gathering.flight.waiting) == wanted - 1, "all to wait for their turn", SOON)
        return found

    def _gathered(self) -> int:
        return len(self.gathering.waiting) + self._under_way

    def one(self, record: Record = ONE) -> Future[Appended]:
        return self.pool.submit(self.gathering.append, record, Guard(1))

    def go(self) -> None:
        self._may_go.set()

    def _settle(self, group: Group) -> None:
        self._under_way = len(group.jobs)
        assert self._may_go.wait(SOON)
        self._under_way = 0
        self.groups.append(group)
        (self.ends.pop(0) if self.ends else self.stored)(group)

    def stored(self, group: Group) -> None:
        self.number += len(group.jobs)
        group.answer(Appended(self.number, self.number))

    def killed(self, group: Group) -> None:
        raise Killed

    def refused(self, group: Group) -> None:
        """Leave it to be tried one by one."""

    def full(self, group: Group) -> None:
        group.fail(LogFull("full"))

    def sizes(self) -> list[int]:
        return [len(group.jobs) for group in self.groups]


@pytest.fixture
def trips() -> Iterator[Trips]:
    trips = Trips()
    yield trips
    trips.go()
    trips.pool.shutdown()


def given(futures: list[Future[Appended]]) -> list[int]:
    return sorted(future.result(SOON).number for future in futures)


def test_all_who_wait_go_with_the_next_trip(trips: Trips) -> None:
    futures = trips.append(1) + trips.append(10)
    trips.go()
    assert given(futures) == list(range(1, 12))
    assert trips.sizes() == [1, 10]
    assert given([trips.one()]) == [12]


def test_a_group_has_a_limit_of_records_and_of_bytes(trips: Trips) -> None:
    futures = trips.append(1) + trips.append(MOST_TOGETHER + 5)
    futures += trips.append(3, Record(codec.BATCH, bytes(MOST_BYTES // 2), 1))
    trips.go()
    assert given(futures) == list(range(1, 10 + MOST_TOGETHER))
    assert max(trips.sizes()) == MOST_TOGETHER
    assert all(sum(len(job.packed) for job in group.jobs) <= MOST_BYTES for group in trips.groups)


def test_what_changes_things_for_others_goes_alone(trips: Trips) -> None:
    futures = trips.append(1) + trips.append(2) + trips.append(1, ONE._replace(fences=True)) + trips.append(2)
    futures += trips.append(1, ONE._replace(raises=(1, 2)))
    trips.go()
    assert given(futures) == list(range(1, 8))
    assert trips.sizes() == [1, 2, 1, 2, 1]


def test_who_is_refused_does_not_take_the_others_along(trips: Trips) -> None:
    trips.ends = [trips.stored, trips.refused, trips.stored, trips.full, trips.stored]
    futures = trips.append(1) + trips.append(3)
    trips.go()
    faults = [future.exception(SOON) for future in futures]
    assert sum(isinstance(fault, LogFull) for fault in faults) == 1
    assert trips.sizes() == [1, 3, 1, 1, 1]


def test_what_becomes_of_a_group_whose_leader_is_killed_nobody_knows(trips: Trips) -> None:
    trips.ends = [trips.stored, trips.killed]
    futures = trips.append(1) + trips.append(5)
    trips.go()
    faults = [future.exception(SOON) for future in futures]
    assert Counter(map(type, faults)) == {type(None): 1, Killed: 1, LogUncertain: 4}
    assert given([trips.one()]) == [2]


def test_who_waits_behind_a_leader_that_is_killed_leads_next(trips: Trips) -> None:
    trips.ends = [trips.killed]
    futures = trips.append(1) + trips.append(2)
    trips.go()
    assert isinstance(futures[0].exception(SOON), Killed)
    assert given(futures[1:]) == [1, 2]
    assert given([trips.one()]) == [3]


def test_who_is_killed_while_waiting_is_stored_by_nobody(trips: Trips, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> bool:
        raise Killed

    first = trips.append(1)
    with monkeypatch.context() as patched:
        patched.setattr(trips.gathering.flight, "step", killed)
        with pytest.raises(Killed):
            trips.gathering.append(ONE, Guard(1))
    futures = first + trips.append(2)
    trips.go()
    assert given(futures) == [1, 2, 3]
