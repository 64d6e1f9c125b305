"""The store for one process: tests, `flask run`, trying things out. It forgets everything at its end."""

from __future__ import annotations

import secrets
import sys
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from threading import Lock

import numpy as np

from event_log.batch import EARLIEST
from event_log.codec import FEW, SINGLE, SINGLE_ROW, Singles
from event_log.errors import HistoryChanged
from event_log.log_time import LogTime, Moment
from event_log.port import Appended, Behind, Chunk, Cursor, Entry, Guard, Manifest, Record, RecordStore, Stale, Usage

GRACE = 600_000_000
"""Microseconds for which what a swap has left behind can still be read."""
ENTRY_BYTES = 150
"""Bytes that a record takes beside its payload, roughly."""


class MemoryStore(RecordStore):
    """Records in a list, blobs in a dict, under one lock."""

    def __init__(self, clock: Callable[[], Moment] = Moment.now) -> None:
        self._clock = clock
        self._lock = Lock()
        # All below: under _lock. None of it is replaced, so that single words can be read without it.
        self._history = secrets.randbits(63)
        self._entries: list[Entry] = []
        self._trimmed = 0  # how many records are no longer there
        self._end = Appended(0, 0)
        self._fence = 0
        self._horizon = EARLIEST
        self._time = LogTime.begin(clock())
        self._blobs: dict[str, bytes] = {}
        self._left: dict[str, int] = {}  # blobs that no manifest names, and the boot clock when that began
        self._manifest = Manifest(0, Cursor(self._history))
        self._swaps: deque[tuple[int, int]] = deque()  # when, by the boot clock, and the number up to which
        self._bytes = 0

    def append(self, record: Record, guard: Guard) -> Appended:
        with self._lock:
            if guard.history != self._history:
                raise HistoryChanged("the log has begun anew")
            if guard.known is not None and guard.known < self._fence:
                raise Stale("a series may have ended")
            if guard.oldest is not None and guard.oldest <= self._horizon:
                raise Stale("events may have expired")
            time = 0
            if record.timed or record.raises:
                self._time = self._time.at(self._clock())
                time = self._time.time
            if record.raises is not None:
                moment, span = record.raises
                self._horizon = max(self._horizon, min(moment, time) - span)
            end = Appended(self._end.number + 1, self._end.position + record.takes)
            if record.fences:
                self._fence = end.number
            self._entries.append(Entry(end.position, time, record.kind, record.takes, record.payload))
            self._bytes += ENTRY_BYTES + len(record.payload)
            self._end = end
            return end

    def confirm(self, appended: Appended) -> None:
        return

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        with self._lock:
            if cursor.history != self._history:
                raise HistoryChanged("the log has begun anew")
            if cursor.number < self._trimmed:
                raise Behind("these records have been compacted")
            start = end = cursor.number - self._trimmed
            events = 0
            while end < len(self._entries) and events < limit:
                events += max(1, self._entries[end].takes)
                end += 1
            taken, more = self._entries[start:end], end < len(self._entries)
        if not taken:
            return Chunk((), cursor, more=False)
        position = taken[-1].position
        return Chunk(grouped(taken), Cursor(self._history, cursor.number + len(taken), position), more)

    def is_level(self, cursor: Cursor) -> bool:
        return cursor.number == self._end.number and cursor.history == self._history

    def end(self) -> Appended:
        return self._end

    def time(self) -> int:
        with self._lock:
            self._time = self._time.at(self._clock())
            return self._time.time

    def put_blob(self, data: bytes) -> str:
        name = secrets.token_hex(16)
        with self._lock:
            self._blobs[name] = data
            self._left[name] = self._clock().boot
            self._bytes += len(data)
        return name

    def blob(self, name: str) -> bytes:
        with self._lock:
            if name not in self._blobs:
                raise Behind(f"blob {name} is gone")
            return self._blobs[name]

    def manifest(self) -> Manifest:
        return self._manifest

    def generation(self) -> int:
        return self._manifest.generation

    def swap(self, manifest: Manifest) -> bool:
        with self._lock:
            if manifest.generation != self._manifest.generation + 1 or manifest.cursor.history != self._history:
                return False
            if any(name not in self._blobs for name in manifest.blobs):
                return False
            now = self._clock().boot
            self._swaps.append((now, manifest.cursor.number))
            for name in self._manifest.blobs:
                self._left[name] = now
            for name in manifest.blobs:
                self._left.pop(name, None)
            self._manifest = manifest
            return True

    def may_compact(self, seconds: float) -> bool:
        return True  # there is no other process

    def check(self) -> None:
        return

    def notice(self) -> str | None:
        return None

    def usage(self) -> Usage:
        return Usage(self._bytes, sys.maxsize, None)

    def sync(self) -> None:
        now = self._clock().boot
        with self._lock:
            for name in [name for name, since in self._left.items() if now - since >= GRACE]:
                self._bytes -= len(self._blobs.pop(name))
                del self._left[name]
            while self._swaps and now - self._swaps[0][0] >= GRACE:
                count = self._swaps.popleft()[1] - self._trimmed
                self._bytes -= sum(ENTRY_BYTES + len(entry.payload) for entry in self._entries[:count])
                del self._entries[:count]
                self._trimmed += count

    def close(self) -> None:
        return


def grouped(entries: Sequence[Entry]) -> list[Entry | Singles]:
    """The same records, with runs of single events as columns."""
    found = list[Entry | Singles]()
    for is_single, group in groupby(entries, key=lambda entry: entry.kind == SINGLE):
        run = list(group)
        if not is_single or len(run) <= FEW:
            found += run
            continue
        rows = np.frombuffer(b"".join(entry.payload for entry in run), SINGLE_ROW)
        found.append(Singles(np.array([entry.position for entry in run], np.int64), rows))
    return found
