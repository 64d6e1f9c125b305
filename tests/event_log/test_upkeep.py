"""Upkeep: the horizon rises, blobs take the place of records, and damage met on the way does no harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from event_log import upkeep
from event_log.applied import portions
from event_log.batch import Batch
from event_log.codec import SINGLE, SINGLE_ROW, WRITE, Singles
from event_log.compaction import Content, compact
from event_log.errors import LogDamaged, LogUnavailable
from event_log.log import Log
from event_log.machine import Machine
from event_log.memory_store import MemoryStore
from event_log.port import Chunk, Cursor, Entry, Manifest, Usage
from event_log.rules import Rules
from event_log.steps import Step
from event_log.upkeep import Upkeep
from event_log.writes import Conditions, Once
from tests.event_log.projection import Projection
from tests.event_log.stores import Clocks
from times import HOUR, MINUTE, SECOND

CHECKOUT = Path(__file__).resolve().parent.parent.parent
RULES = Rules(HOUR, 2, HOUR, MINUTE, 100, 3)


class OneProcess:
    """A process that does its upkeep."""

    def __init__(self, store: MemoryStore) -> None:
        self.log = Log(store)
        self.log.claim(RULES, "a start")
        self.projection = Projection(self.log)
        self.upkeep = Upkeep(self.log, self.projection.judge)


def some(clocks: Clocks, count: int = 100) -> Batch:
    return Batch(["a"], None, clocks.wall, np.arange(float(count)))


def test_a_long_tail_is_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "TAIL", 1000)
    clocks = Clocks()
    one = OneProcess(MemoryStore(clocks))
    done: list[bool] = []
    for _ in range(35):
        one.log.append(some(clocks))
        one.log.append(some(clocks, 1), Conditions(once=Once(len(done).to_bytes(16, "big"), bytes(16))))
        one.projection.follow()
        done.append(one.upkeep.tick(clocks.wall))
    assert sum(done) == 3
    assert len(one.log.machine.done.newest()) < 10
    assert Projection(Log(one.log.store)).read()


def test_what_has_mostly_died_is_compacted_though_nothing_comes_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "TAIL", 1000)
    clocks = Clocks()
    one = OneProcess(MemoryStore(clocks))
    for _ in range(11):
        one.log.append(some(clocks))
        one.projection.follow()
        one.upkeep.tick(clocks.wall)
    before = sum(part.rows for part in Content.of(one.log.store.manifest()).parts)
    done = 0
    for _ in range(70):
        clocks.advance(MINUTE)
        one.projection.follow()
        done += one.upkeep.tick(clocks.wall)
    assert done >= 1
    assert not one.upkeep.is_due()
    assert sum(part.rows for part in Content.of(one.log.store.manifest()).parts) == RULES.keep_last < before


def test_a_log_that_stays_nearly_full_is_not_compacted_each_second() -> None:
    class Filled(MemoryStore):
        used = 80

        def usage(self) -> Usage:
            return Usage(self.used, 100, None)

    clocks = Clocks()
    store = Filled(clocks)
    one = OneProcess(store)

    def compactions(seconds: int) -> int:
        done = 0
        for _ in range(seconds):
            clocks.advance(SECOND)
            one.log.append(some(clocks, 1))
            one.projection.follow()
            done += one.upkeep.tick(clocks.wall)
        return done

    assert compactions(120) == 8  # after 1, 2, 4, 8, 16 and then each 32 seconds
    store.used = 10
    assert compactions(60) == 0
    store.used = 80
    assert compactions(3) == 2


def test_a_machine_that_broke_on_damage_is_not_applied_to_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks()
    one = OneProcess(MemoryStore(clocks))
    other = Log(one.log.store)
    other.append(some(clocks, 3))
    read, manifest = MemoryStore.read, MemoryStore.manifest

    def damaged(store: MemoryStore, cursor: Cursor, limit: int) -> Chunk:
        chunk = read(store, cursor, limit)
        return chunk._replace(entries=[*chunk.entries, Entry(0, 0, 0x1F, 0, b"")])

    def lost(store: MemoryStore) -> Manifest:
        raise LogUnavailable("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(MemoryStore, "read", damaged)
        with pytest.raises(LogDamaged):
            one.log.catch_up()
        broken.setattr(MemoryStore, "manifest", lost)
        with pytest.raises(LogUnavailable, match="gone"):
            one.log.catch_up()
    assert MemoryStore.manifest is manifest
    one.projection.follow()
    assert [len(events) for events in one.projection.live().values()] == [3]


def test_many_conditional_writes_are_applied_in_portions_of_a_few_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks()
    one = OneProcess(MemoryStore(clocks))
    other = Log(one.log.store)
    for number in range(2000):
        one.log.append(some(clocks, 1), Conditions(once=Once(number.to_bytes(16, "big"), bytes(16))))
    sizes, rests = list[int](), list[int]()
    apply = Machine.apply

    def noting(machine: Machine, chunk: Chunk) -> list[Step]:
        sizes.append(len(chunk.entries))
        return apply(machine, chunk)

    monkeypatch.setattr(Machine, "apply", noting)
    monkeypatch.setattr("event_log.applied.give_way", lambda: rests.append(1))
    other.catch_up()
    assert sum(sizes) == 2001
    assert max(sizes) <= 84
    assert len(rests) >= 20


def test_portions_hold_all_records_of_a_chunk_in_order() -> None:
    rows = np.zeros(20_000, SINGLE_ROW)
    entries: list[Entry | Singles] = [
        Entry(3, 0, WRITE, 3, b""),
        Singles(np.arange(4, 20_004), rows),
        *(Entry(20_003, 0, WRITE, 0, b"") for _ in range(500)),
        Entry(20_004, 0, SINGLE, 1, b""),
    ]
    chunk = Chunk(entries, Cursor(7, 20_502, 20_004, 99), more=False)
    found = list(portions(chunk, 0))
    numbers = [sum(len(entry) if isinstance(entry, Singles) else 1 for entry in some.entries) for some in found]
    assert np.cumsum(numbers).tolist() == [some.cursor.number for some in found]
    assert found[-1].cursor == chunk.cursor
    assert len(found) == 8
    assert [some.more for some in found] == [True] * (len(found) - 1) + [False]
    positions = [
        int(entry.positions[-1]) if isinstance(entry, Singles) else entry.position
        for some in found
        for entry in some.entries
    ]
    assert positions == sorted(positions)


UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()

import faulthandler
import gevent
import numpy as np
from event_log import upkeep
from event_log.applied import portions
from event_log.batch import Batch
from event_log.log import Log
from event_log.log_time import Moment
from event_log.memory_store import MemoryStore
from event_log.rules import Rules
from event_log.writes import Conditions, Once
from tests.event_log.projection import Projection

faulthandler.dump_traceback_later(120, exit=True)  # a halted hub has no other end
upkeep.TAIL = 250
store = MemoryStore()
logs = [Log(store) for _ in range(2)]
logs[0].claim(Rules(3600 * 10**6, 2, 1, 1, 100, 3), "start")
projections = [Projection(log) for log in logs]
now = Moment.now().wall

def write(number):
    for i in range(50):
        key = (1000 * number + i).to_bytes(16, "big")
        logs[number % 2].append(Batch(["a"], None, now, np.ones(3)), Conditions(once=Once(key, key)))
        gevent.sleep(0)

def keep_up(number):
    own, done = upkeep.Upkeep(logs[number], projections[number].judge), 0
    is_last = False
    while not is_last:
        is_last = all(writer.dead for writer in writers)
        projections[number].follow()
        done += own.tick(now)
        gevent.sleep(0.001)
    return done

writers = [gevent.spawn(write, number) for number in range(10)]
keepers = [gevent.spawn(keep_up, number) for number in (0, 1)]
gevent.joinall(writers + keepers, raise_error=True)
projections.append(Projection(Log(store)))
for projection in projections:
    projection.follow()
print(*(len(projection.live()["a"]) for projection in projections), sum(one.value for one in keepers) >= 1)
"""


@pytest.mark.no_cover
def test_greenlets_write_and_compact_together() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNDER_GEVENT], cwd=CHECKOUT, capture_output=True, check=False, encoding="utf-8"
    )
    assert (done.stdout.split(), done.returncode) == (["1500", "1500", "1500", "True"], 0), done.stderr


def test_a_tick_raises_the_horizon() -> None:
    clocks = Clocks()
    one = OneProcess(MemoryStore(clocks))
    one.log.append(some(clocks))
    clocks.advance(2 * HOUR)
    assert one.upkeep.tick(clocks.wall) is False
    one.projection.follow()
    assert one.projection.horizon == clocks.wall - HOUR
    clocks.advance(SECOND)
    one.upkeep.tick(clocks.wall)
    one.projection.follow()
    assert one.projection.horizon == clocks.wall - HOUR - SECOND


def test_one_that_came_to_another_state_than_who_compacted_answers_no_more() -> None:
    clocks = Clocks()
    store = MemoryStore(clocks)
    one, other, sound = (OneProcess(store) for _ in range(3))
    one.log.append(some(clocks))
    other.projection.follow()
    other.log.machine.series.keepers += 1  # as by a fault of memory
    one.upkeep.tick(clocks.wall)
    for process in (one, other, sound):
        process.projection.follow()
    assert compact(store, one.projection.judge)
    for process in (one, sound):
        process.log.adopt()
        process.log.check()
    other.log.adopt()
    for answer in (other.log.check, other.log.advance, lambda: other.log.append(some(clocks))):
        with pytest.raises(LogDamaged, match="come to another state"):
            answer()
    assert not other.log.is_level(other.log.machine.cursor)
    fresh = OneProcess(store)
    fresh.projection.follow()
    fresh.log.check()
