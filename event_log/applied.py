"""The log as one process has applied it: the machine, and what the projection is yet to be told."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from event_log.base import HistoryChanged
from event_log.compaction import Content, Loading, begin
from event_log.idempotency import Run
from event_log.machine import Machine
from event_log.port import Behind, Chunk, Cursor, RecordStore
from event_log.steps import Step

CHUNK = 20_000
"""Positions that are read at a time: to apply as many takes a few milliseconds."""
BACKLOG = 150_000
"""Positions that may be applied and not yet told: about 4 MiB."""


class Begun(HistoryChanged):
    """The process has begun anew: the projection forgets all that it was told, and is told all from the start."""

    def __init__(self, *, same_history: bool) -> None:
        super().__init__("the log is read from its beginning" if same_history else "the log has another history")
        self.same_history = same_history
        """Whether positions mean what they meant before."""


class Told(NamedTuple):
    """What a projection is told next."""

    steps: Sequence[Step]
    cursor: Cursor
    """Where a projection that has taken all of this stands; number 0 while a checkpoint is being loaded."""
    more: bool


class Applied:
    """Safe to be used by any number of threads or greenlets. One reads and applies at a time, and serves all who wait.

    The machine changes under `lock` alone, which is never held over I/O. Single attributes may be read without it."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.lock = threading.RLock()
        """Guards the machine and all that follows."""
        self._reading = threading.Lock()  # held by whoever reads from the store
        self._told: deque[Told] = deque()
        self._loading: Loading | None = None
        self._loaded_to = Cursor(0)
        self._begun: Begun | None = None
        self._begin()
        self.relieve: Callable[[], None] = lambda: None
        """Has the projection take in what it was not told yet."""

    def _begin(self) -> None:
        """Load the newest checkpoint."""
        beginning = begin(self.store)
        with self.lock:
            self.machine: Machine = beginning.machine
            self._generation = beginning.manifest.generation
            self._loading = beginning.loading
            self._loaded_to = beginning.machine.cursor
            self._told.clear()
            self._is_broken = False

    def _begin_anew(self, *, same_history: bool) -> None:
        self._begin()
        with self.lock:
            self._begun = Begun(same_history=same_history)

    def read(self) -> Told:
        """What the projection is told next, which has one call of this under way at a time. Never behind a write that
        was acknowledged before the call where it says that there is no more. Raises Begun."""
        with self.lock:
            self._raise_begun()
            loading, cursor = self._loading, self.machine.cursor
            if loading is None and not self._told and self.store.is_level(cursor):
                return Told((), cursor, more=False)
        if loading is not None:
            return self._load(loading)
        more = self.advance() if not self._told else True
        with self.lock:
            self._raise_begun()
            if not self._told:
                return Told((), self.machine.cursor, more)
            told = self._told.popleft()
            return told._replace(more=more or bool(self._told))

    def _raise_begun(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            raise begun

    def _load(self, loading: Loading) -> Told:
        """The next steps of a checkpoint."""
        end = Cursor(self._loaded_to.history)
        try:
            steps = loading.next()
        except Behind:
            self._begin_anew(same_history=True)
            return Told((), end, more=True)
        if steps:
            return Told(steps, end, more=True)
        with self.lock:
            if self._loading is loading:
                self._loading, end = None, self._loaded_to
        return Told((), end, more=True)

    def advance(self, upto: int | None = None) -> bool:
        """Read and apply the next records, unless another one has applied the record `upto` meanwhile; says whether
        there is more."""
        with self._reading:
            if self._is_broken:
                self._begin_anew(same_history=True)
            machine = self.machine
            if upto is not None and machine.cursor.number >= upto:
                return True
            try:
                chunk = self.store.read(machine.cursor, CHUNK)
            except Behind:
                self._begin_anew(same_history=True)
                return True
            except HistoryChanged:
                self._begin_anew(same_history=False)
                return True
            if chunk.entries:
                self._apply(machine, chunk)
            return chunk.more

    def _apply(self, machine: Machine, chunk: Chunk) -> None:
        with self.lock:
            try:
                steps = machine.apply(chunk)
            except BaseException:
                self._is_broken = True  # some of it is applied: once more would be twice
                raise
            self._told.append(Told(steps, machine.cursor, more=False))

    def catch_up(self) -> None:
        """Apply all that the log had when this was called."""
        while self.advance():
            self.bound()

    def bound(self) -> None:
        """Keep bounded what is applied and not yet told."""
        with self.lock:
            behind = self.machine.cursor.position - self._told[0].cursor.position if self._told else 0
        if behind > BACKLOG:
            self.relieve()

    def adopt(self) -> None:
        """Go on with the runs of idempotency records of the newest manifest, if it is another one."""
        if self.store.generation() == self._generation:
            return
        manifest = self.store.manifest()
        machine = self.machine
        mine = machine.cursor
        if manifest.cursor.number > mine.number or manifest.cursor.history != mine.history:
            return
        runs = [Run(self.store.blob(name)) for name in Content.of(manifest).runs]
        with self.lock:
            if self.machine is machine:
                machine.done.adopt(runs, manifest.cursor.number)
                self._generation = manifest.generation
