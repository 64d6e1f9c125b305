"""The log as one process has applied it: the machine, and what the projection is yet to be told."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from event_log.aside import aside, give_way
from event_log.codec import Singles
from event_log.compaction import Beginning, Content, Loading, begin
from event_log.errors import HistoryChanged, LogDamaged, LogUnavailable
from event_log.idempotency import Run
from event_log.machine import Machine
from event_log.port import Behind, Chunk, Cursor, RecordStore
from event_log.single_flight import SingleFlight
from event_log.steps import Step

CHUNK = 20_000
"""Positions that are read at a time: to apply as many takes a few milliseconds."""
PORTION = 64
"""Entries that are applied before other greenlets may run: of conditional writes as many take a few milliseconds."""
BACKLOG = 150_000
"""Positions that may be applied and not yet told: about 4 MiB."""
DISAGREES = (
    "at record {} of the log this process has come to another state than the one that compacted it: two releases "
    "that do not agree, or a fault of memory; restart it, and report this"
)
MOST_TRIES = 10
"""Maximum checkpoints that one beginning tries to load."""


T = TypeVar("T")


class Begun(HistoryChanged):
    """The process has begun anew: the projection forgets all that it was told, and is told all from the start."""

    def __init__(self, *, same_history: bool) -> None:
        super().__init__("the log is read from its beginning" if same_history else "the log has another history")
        self.same_history = same_history
        """True if positions mean the same as before."""
        self.position = 0
        """Position of the projection that has taken the place of the one before."""


class Told(NamedTuple):
    """Steps that a projection applies next."""

    steps: Sequence[Step]
    cursor: Cursor
    """Cursor of a projection that has taken all of this; number 0 while a checkpoint is being loaded."""
    more: bool


def portions(chunk: Chunk, number: int) -> Iterator[Chunk]:
    """The records of a chunk behind the record with this number, in order, cut into chunks of a few entries."""
    for start in range(0, len(chunk.entries), PORTION):
        entries, cursor = chunk.entries[start : start + PORTION], chunk.cursor
        if is_cut := start + PORTION < len(chunk.entries):
            number += sum(len(entry) if isinstance(entry, Singles) else 1 for entry in entries)
            last = entries[-1]
            position = int(last.positions[-1]) if isinstance(last, Singles) else last.position
            cursor = Cursor(cursor.history, number, position)
        yield Chunk(entries, cursor, is_cut or chunk.more)


def _beginning(store: RecordStore) -> Beginning:
    """Load the newest checkpoint, which may be swapped for another one meanwhile."""
    for _ in range(MOST_TRIES):
        try:
            return begin(store)
        except Behind:
            continue
    raise LogUnavailable("others keep compacting the log while its checkpoint is read")


class Applied:
    """Safe to be used by any number of threads or greenlets. One reads and applies at a time, and serves all who wait.

    The machine changes under `lock` alone, which is never held over I/O. Single attributes may be read without it."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.lock = threading.RLock()
        """Guards the machine and all that follows."""
        self.flight = SingleFlight()
        self._told: deque[Told] = deque()
        self._loading: Loading | None = None
        self._loaded_to = Cursor(0)
        self._begun: Begun | None = None
        self._disagreement = ""
        self.losses = 0
        """Number of times the history was replaced by one that lacks what this process had read."""
        self._begin()
        self.relieve: Callable[[], object] = lambda: None
        """Has the projection take in what it was not told yet."""

    def _begin(self) -> None:
        """Load the newest checkpoint. Raises LogUnavailable."""
        self.store.generation()  # opens it here, not in a real thread
        beginning = self.aside(lambda: _beginning(self.store))
        with self.lock:
            if hasattr(self, "machine"):
                beginning.machine.take_over(self.machine)
            self.machine: Machine = beginning.machine
            self._generation = beginning.manifest.generation
            self._loading = beginning.loading
            self._loaded_to = beginning.machine.cursor
            self._told.clear()
            # True if what has been applied and told is no longer to be relied on: the next who reads begins anew.
            self._is_broken = False

    def aside(self, work: Callable[[], T]) -> T:
        """Do what reads or writes blobs, which may be large."""
        return aside(work) if self.store.blocks else work()

    def _begin_anew(self, *, same_history: bool) -> None:
        self._begin()
        with self.lock:
            self.losses += not same_history
            self._begun = Begun(same_history=same_history)

    def retell(self) -> None:
        """Have the projection begin anew: it has failed in the middle of what it was told."""
        with self.lock:
            self._is_broken, self._loading = True, None
            self._told.clear()

    def check(self) -> None:
        """Raises LogDamaged where this process has applied the log otherwise than another one."""
        if self._disagreement:
            raise LogDamaged(self._disagreement)

    def is_level(self, cursor: Cursor) -> bool:
        """Return whether nothing newer than this can be known without a trip, for a fraction of a microsecond."""
        return not self._disagreement and self.store.is_level(cursor)

    def read(self) -> Told:
        """Return the next steps for the projection, which has one call of this under way at a time. Never behind a
        write that was acknowledged before the call where it says that there is no more. Raises Begun."""
        with self.lock:
            self._raise_begun()
            loading, cursor = self._loading, self.machine.cursor
            if loading is None and not self._told and not self._is_broken and self.store.is_level(cursor):
                return Told((), cursor, more=False)
        if loading is not None:
            return self._load(loading)
        more = self.advance() if not self._told else True
        with self.lock:
            self._raise_begun()
            if not self._told:
                return Told((), self.machine.cursor, more)
            told = self._told.popleft()
            return Told(told.steps, told.cursor, more or bool(self._told))

    def _raise_begun(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            raise begun

    def _load(self, loading: Loading) -> Told:
        """The next steps of a checkpoint."""
        end = Cursor(self._loaded_to.history)
        try:
            steps = self.aside(loading.next)
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
        """Read the next records and apply them, unless another one has applied the record `upto` meanwhile; says
        whether there is more. A read that began after this call may have brought all that this one is to bring, or
        failed for both."""
        self.check()
        return self.flight.step(self._step, lambda: upto is not None and self.machine.cursor.number >= upto)

    def _step(self) -> bool:
        if self._is_broken:
            self._begin_anew(same_history=True)
        machine = self.machine
        try:
            chunk = self.store.read(machine.cursor, CHUNK)
        except (Behind, HistoryChanged) as change:
            self._begin_anew(same_history=isinstance(change, Behind))
            return True
        for number, portion in enumerate(portions(chunk, machine.cursor.number)):
            if number:
                give_way()
            with self.lock:
                if self._is_broken or self.machine is not machine:
                    return True
                self._apply(machine, portion)
        if not chunk.entries:
            machine.cursor = chunk.cursor  # the store's note of where it goes on may be another one
        return chunk.more

    def _apply(self, machine: Machine, portion: Chunk) -> None:
        try:
            steps = machine.apply(portion)
        except BaseException:
            self._is_broken = True  # some of it is applied: once more would be twice
            raise
        self._told.append(Told(steps, machine.cursor, more=False))

    def catch_up(self) -> None:
        """Apply all that the log had when this was called."""
        while self.advance():
            self.bound()

    def bound(self) -> None:
        """Between two steps: keep bounded what is applied and not yet told."""
        with self.lock:
            behind = self.machine.cursor.position - self._told[0].cursor.position if self._told else 0
        if behind > BACKLOG:
            self.relieve()

    def adopt(self) -> None:
        """Go on with the runs of idempotency records of the newest manifest, if it is another one. Where whoever wrote
        it came to another state than this process at the same record, nothing is answered any more."""
        if self.store.generation() == self._generation:
            return
        manifest = self.store.manifest()
        machine = self.machine
        mine = machine.cursor
        if manifest.cursor.number > mine.number or manifest.cursor.history != mine.history:
            return
        content = Content.of(manifest)
        if not machine.digests.agrees(content.digest):
            self._disagreement = DISAGREES.format(content.digest[0])
        runs = self.aside(lambda: [Run(self.store.blob(name)) for name in content.runs])
        with self.lock:
            if self.machine is machine:
                machine.done.adopt(runs, manifest.cursor.number)
                self._generation = manifest.generation
