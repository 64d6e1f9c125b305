"""Stores with faults, for simulations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Any

from event_log import codec
from event_log.codec import NONCE
from event_log.errors import LogError, LogFull, LogUnavailable, LogUncertain
from event_log.memory_store import MemoryStore
from event_log.outcomes import Stored
from event_log.port import JUMP, Appended, Chunk, Cursor, Guard, Manifest, Record, RecordStore, Stale
from tests.event_log.log_oracle import Oracle
from tests.event_log.stores import Clocks


class LossyStore(MemoryStore):
    """A memory store of which the newest records can be lost, as by a failover."""

    def __init__(self, clocks: Clocks) -> None:
        super().__init__(clocks)
        self.oracle = Oracle()
        self._before: list[tuple[Oracle, Appended, int, int]] = []  # what was there before each record

    def append(self, record: Record, guard: Guard) -> Appended:
        before = self.oracle.copy(), self._end, self._fence, self._horizon
        appended = super().append(record, guard)
        self._before.append(before)
        self.oracle.append(record, self._entries[-1].time)
        return appended

    def lose(self, count: int) -> None:
        """Go on, in another history, without the last records."""
        count = min(count, self._end.number - self._manifest.cursor.number, len(self._entries))
        lost = self._end.position + JUMP
        if count:
            self.oracle, self._end, self._fence, self._horizon = self._before[-count]
            del self._entries[-count:], self._before[-count:]
        self._history += 1
        self._manifest = self._manifest._replace(cursor=self._manifest.cursor._replace(history=self._history))
        jump = Record(codec.JUMP, b"", lost - self._end.position)
        self.append(jump, Guard(self._history))


class Scheduler(ABC):
    """Decides who goes next, and what fails."""

    random: Random
    store: LossyStore
    faults: float

    @abstractmethod
    def interleave(self, worker: int) -> None:
        """Called before each call of the store by a worker."""

    @abstractmethod
    def note(self, refusal: LogError) -> None:
        """Count a refusal."""


class Interleaved(RecordStore):
    """The shared store, as one worker has it."""

    def __init__(self, workers: Scheduler, worker: int) -> None:
        self._workers = workers
        self._worker = worker
        self.outcome: Stored | LogError | None = None
        """Outcome of the last conditional record of this worker, by the oracle."""

    def begin_write(self) -> None:
        self.outcome = None

    @property
    def _store(self) -> LossyStore:
        return self._workers.store

    def _call(self, what: str) -> None:
        self._workers.interleave(self._worker)
        if self._workers.random.random() < self._workers.faults:
            raise LogUnavailable(f"{what} has failed")

    def append(self, record: Record, guard: Guard) -> Appended:
        self._call("append")
        random, faults = self._workers.random, self._workers.faults
        if random.random() < faults:
            raise LogFull("the log is full")
        try:
            appended = self._store.append(record, guard)
        except Stale:
            self._workers.note(Stale())
            raise
        if random.random() < faults:
            raise LogUncertain("the answer was lost")
        assert appended.position == self._store.oracle.position
        self.outcome = self._store.oracle.outcomes.get(record.payload[:NONCE])
        return appended

    def confirm(self, appended: Appended) -> None:
        self._store.confirm(appended)

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        self._call("read")
        return self._store.read(cursor, self._workers.random.choice([1, 5, limit]))

    def is_level(self, cursor: Cursor) -> bool:
        return self._store.is_level(cursor)

    def end(self) -> Appended:
        return self._store.end()

    def time(self) -> int:
        return self._store.time()

    def put_blob(self, data: bytes) -> str:
        self._call("put_blob")
        return self._store.put_blob(data)

    def blob(self, name: str) -> bytes:
        self._call("blob")
        return self._store.blob(name)

    def manifest(self) -> Manifest:
        return self._store.manifest()

    def generation(self) -> int:
        return self._store.generation()

    def swap(self, manifest: Manifest) -> bool:
        self._call("swap")
        return self._store.swap(manifest)

    def may_compact(self, seconds: float) -> bool:
        return True

    def check(self) -> None:
        self._store.check()

    def notice(self) -> str | None:
        return None

    def usage(self) -> Any:
        return self._store.usage()

    def sync(self) -> None:
        self._store.sync()

    def close(self) -> None:
        return
