"""Numbers that the processes of one service count together, exactly, whatever becomes of each process.

Why not prometheus-client's multiprocess mode: it keeps a file for every process that ever was, must be wiped at each
start, and forgets the gauges of the dead only where a hook says so. Here is one nameless file, made by the process that
forks the workers and gone with the last of them:

    directory   what each column counts: lines of `<width> <key>`, only ever appended to
    rows        one for each living process, of 8-byte columns; it alone writes there, so nothing is lost to a race

A process holds a row by a lock that ends with it, however it ends. The next one to take the row goes on counting where
it stood, so the sum over all rows never falls, and nothing grows with the dead.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakMethod

import numpy as np
from gevent.monkey import get_original
from numpy.typing import NDArray

ROWS = 256
"""Most processes at a time; beyond them some share the last row, and may lose a count to each other."""
COLUMNS = 8192
LEVELS = 8
"""The first columns do not count but say how things stand, and mean nothing once their process has ended."""
_CLAIMED = 0
"""The level that says that the row was ever taken."""
_DIRECTORY = 1 << 20
_CELL = 8
_DIRECTORY_LOCK = 0
"""Locks are bytes of the file, of which only the number matters: this one, and behind it one for each row."""


class Table:
    """Columns by name, and a row for this process. Safe for threads and greenlets, and across forks."""

    def __init__(self, rows: int = ROWS, columns: int = COLUMNS) -> None:
        self._rows = rows
        self._columns = columns
        self._file = _nameless_file()
        size = _DIRECTORY + rows * columns * _CELL
        os.ftruncate(self._file, size)  # nothing of it takes memory before it is used
        self._map = mmap.mmap(self._file, size)
        self._cells = memoryview(self._map)[_DIRECTORY:].cast("Q")
        # The real lock, in a gevent worker too: what it guards takes no turn, and it is ten times as fast.
        self._lock: Any = get_original("_thread", "allocate_lock")()
        # All below: under _lock.
        self._row = 0
        self._mine: memoryview | None = None  # the cells of our row; None: none is claimed
        self._known: dict[str, int] = {}
        self._read = 0  # bytes of the directory
        self._free = LEVELS
        forget = WeakMethod(self._forget_row)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def column(self, key: str, width: int = 1) -> int:
        """The first of `width` columns that are this key's in every process. Takes a lock of the system for a new one,
        so it is to be kept. When all columns are given away, what has no name: the last ones."""
        with self._lock:
            if key not in self._known:
                with self._alone():
                    self._learn()
                    if key not in self._known:
                        self._append(key, width)
            return self._known[key]

    def add(self, column: int, amount: int) -> None:
        """Count on in this column."""
        with self._lock:
            cells = self._mine or self._claim()
            cells[column] += amount

    def observe(self, count: int, bucket: int, total: int, amount: int) -> None:
        """Count one in two columns, and this amount in a third; the hot way, in one go."""
        with self._lock:
            cells = self._mine or self._claim()
            cells[count] += 1
            cells[bucket] += 1
            cells[total] += amount

    def put(self, level: int, amount: int) -> None:
        """Say how things stand in this process: one of the levels from 1 on."""
        with self._lock:
            cells = self._mine or self._claim()
            cells[level] = amount

    def totals(self) -> tuple[list[int], dict[str, list[int]]]:
        """The sums over all processes: of the levels, over those that live; of each key's columns, since the start."""
        with self._lock:
            with self._alone():
                self._learn()
            if self._mine is None:
                self._claim()
            self._forget_the_dead()
            sums: list[int] = self._taken().sum(axis=0).tolist()
            order = [*sorted(self._known.items(), key=lambda item: item[1]), ("", self._free)]
        ends = [column for _, column in order[1:]]
        return sums[:LEVELS], {key: sums[column:end] for (key, column), end in zip(order[:-1], ends, strict=True)}

    def _append(self, key: str, width: int) -> None:
        line = f"{width} {key}\n".encode()
        if self._free + width > self._columns or self._read + len(line) > _DIRECTORY:
            raise OverflowError(f"no room is left to count {key!r}")  # keys are ours, and far fewer: a bug
        self._map[self._read : self._read + len(line)] = line
        self._learn()

    def _learn(self) -> None:
        """Read what has been added to the directory."""
        end = self._map.find(b"\0", self._read, _DIRECTORY)
        for line in self._map[self._read : end].decode().splitlines():
            width, _, key = line.partition(" ")
            self._known[key] = self._free
            self._free += int(width)
        self._read = end

    def _claim(self) -> memoryview:
        """Take the first row whose process has ended, or that nobody had yet: its cells."""
        row = next((row for row in range(self._rows - 1) if self._try_lock(row)), self._rows - 1)
        cells = self._cells[row * self._columns : (row + 1) * self._columns]
        cells[:LEVELS] = memoryview(bytes(LEVELS * _CELL)).cast("Q")
        cells[_CLAIMED] = 1
        self._row, self._mine = row, cells
        return cells

    def _forget_row(self) -> None:
        """A row is its process's own: one that is forked begins without."""
        self._mine = None

    def _forget_the_dead(self) -> None:
        for row in range(self._rows - 1):
            start = row * self._columns
            if not self._cells[start + _CLAIMED]:
                return
            if row != self._row and self._try_lock(row):
                self._cells[start + 1 : start + LEVELS] = memoryview(bytes((LEVELS - 1) * _CELL)).cast("Q")
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, 1 + row)

    def _taken(self) -> NDArray[np.uint64]:
        """The rows that anybody ever had, which stand together."""
        cells = np.frombuffer(self._map, np.uint64, offset=_DIRECTORY).reshape(self._rows, self._columns)
        return cells[cells[:, _CLAIMED] > 0]

    def _try_lock(self, row: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1 + row)
        except OSError:
            return False
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process reads or writes the directory; some microseconds."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _DIRECTORY_LOCK)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _DIRECTORY_LOCK)


def _nameless_file() -> int:
    """A file that only those have who inherit its descriptor. Locks of `lockf` end with the process that holds them,
    or when it closes a descriptor of the file; so this one stays open as long as the process."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("tidemark-metrics")
    with tempfile.TemporaryFile(prefix="tidemark-metrics-") as file:  # pragma: no cover - where there is no memfd
        return os.dup(file.fileno())
