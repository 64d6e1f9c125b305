"""Idempotency records: what became of each write that came with a key, so that a repetition is answered alike.

The newest are Python objects. A compaction writes those of the records that it covers as one sorted, immutable run, of
56 bytes each, which every process maps or holds once. A record is forgotten by the log's time alone, and for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import NamedTuple
from zlib import crc32

import numpy as np

from event_log.batch import EARLIEST
from event_log.codec import Data
from event_log.errors import LogDamaged

_HEAD = Struct("<IIQ")  # checksum of the rest, version, how many
_RUN_VERSION = 2
_KEY = np.dtype("S16")
_ROW = np.dtype(
    [("body", "S16"), ("stored", "<u4"), ("expired", "<u4"), ("position", "<i8"), ("time", "<i8")],
)


class Done(NamedTuple):
    """Outcome of a write."""

    body: bytes
    """A digest of 16 bytes of the request."""
    stored: int
    expired: int
    position: int


class Remembered(NamedTuple):
    """The same with the log's time and the number of its record."""

    done: Done
    time: int
    number: int


class Run:
    """Many records, sorted by key: a column of keys, and one of the rest."""

    def __init__(self, data: Data) -> None:
        """Raises LogDamaged."""
        checksum, version, count = _HEAD.unpack_from(data)
        body = memoryview(data)[_HEAD.size :]
        if version != _RUN_VERSION or len(body) != count * (_KEY.itemsize + _ROW.itemsize) or crc32(body) != checksum:
            raise LogDamaged("a run of idempotency records does not match its checksum")
        self._keys = np.frombuffer(data, _KEY, count, _HEAD.size)
        self._rows = np.frombuffer(data, _ROW, count, _HEAD.size + self._keys.nbytes)
        self.latest = int(self._rows["time"].max()) if count else EARLIEST

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, key: bytes) -> tuple[Done, int] | None:
        """Return the outcome recorded under a key, and the time of the write."""
        at = int(self._keys.searchsorted(key))
        if at == len(self) or self._keys[at].ljust(16, b"\0") != key:  # numpy strips zeros at the end
            return None
        body, *outcome, time = self._rows[at].item()
        return Done(body.ljust(16, b"\0"), *outcome), time

    def items(self, after: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys and rows of what was done after a time."""
        later = self._rows["time"] > after
        return self._keys[later], self._rows[later]


def pack_run(records: Iterable[tuple[bytes, Remembered]]) -> bytes:
    """A run of these."""
    listed = list(records)
    keys = np.array([key for key, _ in listed], _KEY)
    return _packed(keys, np.array([(*done, time) for _, (done, time, _) in listed], _ROW))


def merge_runs(runs: Sequence[Run], after: int) -> bytes:
    """One run of all that was done after a time."""
    columns = [run.items(after) for run in runs]
    return _packed(np.concatenate([keys for keys, _ in columns]), np.concatenate([rows for _, rows in columns]))


def _packed(keys: np.ndarray, rows: np.ndarray) -> bytes:
    order = keys.argsort()
    body = keys[order].tobytes() + rows[order].tobytes()
    return _HEAD.pack(crc32(body), _RUN_VERSION, len(keys)) + body


class IdempotencyRecords:
    """All that are remembered at one point of the log."""

    def __init__(self) -> None:
        self.forgotten = EARLIEST
        """Time in microseconds: records of writes at or before it are forgotten. It only rises."""
        self.runs: Sequence[Run] = ()
        self._newest: dict[bytes, Remembered] = {}  # in the order of their numbers, so of their times too

    def find(self, key: bytes, after: int = EARLIEST) -> Done | None:
        """Return the outcome of the write with this key, if that was after a time and is not forgotten."""
        after = max(after, self.forgotten)
        newest = self._newest.get(key)
        if newest is not None:
            return newest.done if newest.time > after else None
        for run in reversed(self.runs):
            found = run.find(key)
            if found is not None and found[1] > after:
                return found[0]
        return None

    def add(self, key: bytes, done: Done, time: int, number: int) -> None:
        """Remember one, newer than all others."""
        self._newest[key] = Remembered(done, time, number)

    def forget(self, time: int) -> None:
        """Forget what was done at or before a time."""
        if time <= self.forgotten:
            return
        self.forgotten = time
        self._drop_while(lambda record: record.time <= time)
        if any(run.latest <= time for run in self.runs):
            self.runs = [run for run in self.runs if run.latest > time]

    def newest(self) -> list[tuple[bytes, Remembered]]:
        """Return the records that are in no run, oldest first."""
        return list(self._newest.items())

    def adopt(self, runs: Sequence[Run], number: int) -> None:
        """Go on with runs that hold all of the records up to a number."""
        self.runs = [run for run in runs if run.latest > self.forgotten]
        self._drop_while(lambda record: record.number <= number)

    def _drop_while(self, is_over: Callable[[Remembered], bool]) -> None:
        """Drop the oldest of the newest."""
        while self._newest and is_over(self._newest[key := next(iter(self._newest))]):
            del self._newest[key]

    def check(self) -> None:
        """Assert what holds between any two records."""
        newest = list(self._newest.values())
        assert [record.number for record in newest] == sorted(record.number for record in newest)
        assert all(record.time > self.forgotten for record in newest)
        assert all(run.latest > self.forgotten for run in self.runs)
