"""Compaction: what has died is left out, and the rest is written anew as few blobs, once for all stores.

The records between the manifest's cursor and a newer one become columns of the events that live. The machine's state at
that newer cursor becomes the checkpoint, its idempotency records a sorted run. Then the manifest is swapped, and the
store forgets the records in its own time. Blobs are merged as they grow in number, and written anew once about half of
one has died.

Which events are dead is judged by a projection that stands at or behind the new cursor: what is dead there is dead for
good. The same thresholds lie in the checkpoint, so that whatever is still in a blob does not come back to life.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from event_log.batch import EARLIEST
from event_log.checkpoint import pack, unpack
from event_log.codec import Columns, joined
from event_log.event_blocks import pack_blocks, unpack_blocks
from event_log.idempotency import Run, merge_runs, pack_run
from event_log.machine import Machine
from event_log.port import Manifest, RecordStore
from event_log.steps import Began, Horizon, Jump, Rows, RulesChange, Step, TableChange

MOST_EVENTS = 1_000_000
"""Positions after which a compaction goes no further, so that its memory stays bounded."""
CHUNK = 50_000
"""Positions that are read at a time."""
MOST_ROWS = 4_000_000
"""Events up to which blobs are merged."""
MOSTLY_DEAD = 0.5
"""Share of dead events from which on a blob is written anew."""
LATEST = 2**63 - 1


class Threshold(NamedTuple):
    """Events of a series that are dead for good, as a projection sees them."""

    time: int
    position: int
    """Its events below this (time, position) are dead for good."""
    forgotten: int
    """The highest position of an event of it that has left the projection."""


class Verdict(NamedTuple):
    """Horizon and thresholds of all living series, taken by a projection at one position."""

    horizon: int
    series: Mapping[int, Threshold]


class Sieve:
    """Lets through the events that live. Of a series without a threshold none does."""

    def __init__(self, series: Mapping[int, Threshold], next_id: int) -> None:
        self._times, self._positions = np.full(next_id, LATEST, np.int64), np.full(next_id, LATEST, np.int64)
        numbers = np.fromiter(series, np.int64, len(series))
        rows = np.array([row[:2] for row in series.values()], np.int64).reshape(-1, 2)
        self._times[numbers], self._positions[numbers] = rows[:, 0], rows[:, 1]

    def live(self, columns: Columns) -> Columns:
        """The events that live."""
        times, positions = self._times[columns.ids], self._positions[columns.ids]
        live = (columns.times > times) | ((columns.times == times) & (columns.positions >= positions))
        return columns if live.all() else columns.chosen(live)


class Part(NamedTuple):
    """A blob of events, and the times that tell the share of it that has died."""

    name: str
    rows: int
    expired: int
    """Number of events that had expired when it was written, and were retained."""
    oldest: int
    newest: int
    """Times of the oldest and of the newest of the others."""

    def dead_share(self, horizon: int) -> float:
        """About which share of the events that had not expired has done so since."""
        if horizon < self.oldest or self.rows == self.expired:
            return 0.0
        return min(1.0, (horizon - self.oldest + 1) / (self.newest - self.oldest + 1))


class Content(NamedTuple):
    """Names of the blobs that a manifest holds."""

    checkpoint: str
    parts: Sequence[Part] = ()
    runs: Sequence[str] = ()
    digest: tuple[int, int] = (0, 0)
    """The newest digest of the machine that compacted, and the number of its record."""

    def pack(self) -> bytes:
        """Return this as the data of a manifest."""
        return json.dumps(self).encode()

    @classmethod
    def of(cls, manifest: Manifest) -> Content:
        """The same again; empty for a log without blobs."""
        if not manifest.data:
            return cls("")
        checkpoint, parts, runs, digest = json.loads(manifest.data)
        return cls(checkpoint, [Part(*part) for part in parts], runs, tuple(digest))

    @property
    def blobs(self) -> tuple[str, ...]:
        """All that it names."""
        return (self.checkpoint, *(part.name for part in self.parts), *self.runs)


class Loading:
    """Steps of a projection that loads a checkpoint, a chunk at a time. After an error it goes on where it was."""

    def __init__(self, store: RecordStore, steps: Sequence[Step], parts: Sequence[Part], sieve: Sieve) -> None:
        self._store = store
        self._steps = steps
        self._parts = deque(parts)
        self._sieve = sieve
        self._blocks: Iterator[Columns] = iter(())

    def next(self) -> Sequence[Step]:
        """The next steps; empty once all are told. Raises Behind, LogUnavailable."""
        steps, self._steps = self._steps, ()
        if steps:
            return steps
        block = next(self._blocks, None)
        while block is None and self._parts:
            self._blocks = unpack_blocks(self._store.blob(self._parts[0].name))
            self._parts.popleft()
            block = next(self._blocks, None)
        return () if block is None else (self._sieve.live(block),)


class Beginning(NamedTuple):
    """State with which a process begins to read the log."""

    machine: Machine
    loading: Loading
    manifest: Manifest


def begin(store: RecordStore) -> Beginning:
    """Load the newest checkpoint. Raises Behind where the manifest was swapped long ago: begin again."""
    manifest = store.manifest()
    content = Content.of(manifest)
    if not content.checkpoint:
        return Beginning(Machine(manifest.cursor), Loading(store, (), (), Sieve({}, 1)), manifest)
    machine, found = unpack(store.blob(content.checkpoint))
    machine.done.adopt([Run(store.blob(name)) for name in content.runs], machine.cursor.number)
    machine.cursor = manifest.cursor
    thresholds = {number: Threshold(*row) for number, row in found.items()}
    sieve = Sieve(thresholds, machine.series.next_id)
    loading = Loading(store, _steps(machine, thresholds), content.parts, sieve)
    return Beginning(machine, loading, manifest)


def _steps(machine: Machine, thresholds: Mapping[int, Threshold]) -> list[Step]:
    """All that a checkpoint says beside events: of the machine as it is now, which goes on."""
    table = machine.series
    steps: list[Step] = [RulesChange(machine.cursor.position, EARLIEST, machine.rules)]
    if machine.horizon > EARLIEST:
        steps.append(Horizon(machine.horizon))
    steps.extend(Jump(*jump) for jump in machine.jumps)
    steps.extend(TableChange(row.position, name, key, row.value) for name, key, row in machine.tables)
    steps.append(table.ended.copy())
    for number, entry in table.by_id.items():
        time, position, forgotten = thresholds.get(number, Threshold(LATEST, 0, 0))
        steps.append(Began(number, entry, (time, position), forgotten))
    return steps


class Compaction:
    """Puts blobs in place of the oldest records, at most about MOST_EVENTS positions of them: `replay`, then `write`
    with the word of a projection that has taken in at least the record `number`. `rest` is called between chunks of
    work. Both raise Behind, LogUnavailable."""

    def __init__(self, store: RecordStore, rest: Callable[[], None] = lambda: None) -> None:
        self._store = store
        self._rest = rest

    def replay(self) -> int:
        """Apply the records to a machine of its own; returns the number of the last one."""
        machine, _, self._manifest = begin(self._store)
        pieces, start, more = list[Columns](), machine.cursor.position, True
        while more and machine.cursor.position - start < MOST_EVENTS:
            chunk = self._store.read(machine.cursor, CHUNK)
            for step in machine.apply(chunk):
                if isinstance(step, Rows | Columns):
                    pieces.append(step.columns() if isinstance(step, Rows) else step)
            more = chunk.more
            self._rest()
        self._machine, self._events = machine, joined(pieces)  # without what is void
        return machine.cursor.number

    def write(self, verdict: Verdict) -> bool:
        """Write what lives, and swap the manifest; False where another process was first."""
        machine, store = self._machine, self._store
        living = {number: row for number, row in verdict.series.items() if machine.series.lives(number)}
        self._sieve, self._horizon = Sieve(living, machine.series.next_id), verdict.horizon
        content = Content.of(self._manifest)
        parts, runs = self._parts(content.parts), self._runs(content.runs)
        new = Content(store.put_blob(pack(machine, living)), parts, runs, machine.digests.last)
        return store.swap(Manifest(self._manifest.generation + 1, machine.cursor, new.pack(), new.blobs))

    def _parts(self, old: Sequence[Part]) -> list[Part]:
        """The blobs of events from now on. Their sizes fall at least by half from one to the next, so that there are
        few and each event is written few times."""
        found, new = list(old), self._sieve.live(self._events)
        worst = max(found, key=lambda part: part.dead_share(self._horizon), default=None)
        if worst is not None and worst.dead_share(self._horizon) >= MOSTLY_DEAD:
            at = found.index(worst)
            found[at : at + 1] = self._written(self._read(worst))
        while found and found[-1].rows < 2 * len(new) and found[-1].rows + len(new) <= MOST_ROWS:
            new = joined([*self._read(found.pop()), new])
        return [*found, *self._written([new])]

    def _runs(self, old: Sequence[str]) -> list[str]:
        """The blobs of idempotency records from now on."""
        newest, forgotten = self._machine.done.newest(), self._machine.done.forgotten
        loaded = [(name, Run(self._store.blob(name))) for name in old]
        found = [(name, run) for name, run in loaded if run.latest > forgotten]
        if newest:
            merged = [Run(pack_run(newest))]
            while found and len(found[-1][1]) < 2 * sum(map(len, merged)):
                merged.insert(0, found.pop()[1])
            found.append((self._store.put_blob(merge_runs(merged, forgotten)), merged[-1]))
        return [name for name, _ in found]

    def _read(self, part: Part) -> list[Columns]:
        """Return the live events of a blob."""
        found = list[Columns]()
        for columns in unpack_blocks(self._store.blob(part.name)):
            found.append(self._sieve.live(columns))
            self._rest()
        return found

    def _written(self, pieces: Sequence[Columns]) -> list[Part]:
        """A blob of these; none where there are none."""
        columns = joined(pieces)
        if not len(columns):
            return []
        data = pack_blocks(columns)
        self._rest()
        live = columns.times[columns.times > self._horizon]
        oldest, newest = (int(live.min()), int(live.max())) if len(live) else (LATEST, LATEST)
        return [Part(self._store.put_blob(data), len(columns), len(columns) - len(live), oldest, newest)]


def compact(store: RecordStore, judge: Callable[[int], Verdict]) -> bool:
    """All of a compaction at once. Says whether it was done."""
    work = Compaction(store)
    return work.write(judge(work.replay()))
