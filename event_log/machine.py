"""The deterministic state machine that every process applies the log to.

What a prefix of the log makes of it depends on nothing else: no clock, no setting, no order of dictionaries filled
elsewhere. What is conditional is decided here, when it is applied, so all processes decide alike. It holds no events:
those it hands on, with all else that shapes answers, in log order, to a projection.

Positions were reserved by the writer of a record, by what it knew. Where a race made them too few nothing is done and
the writer tries again; where they are too many, or the record turns out to be void, holes are left.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import repeat
from typing import Any

import numpy as np

from event_log import codec
from event_log.batch import EARLIEST, Batch
from event_log.buckets import Buckets
from event_log.codec import FEW, NONCE, Claim, Columns, Data, End, Singles, unpack_claim, unpack_json
from event_log.digests import Digests
from event_log.errors import LogDamaged, LogError
from event_log.idempotency import Done, IdempotencyRecords
from event_log.leases import Asked, Leases
from event_log.outcomes import Outcome, Repeated, Stored, TryAgain, Void
from event_log.port import Chunk, Cursor, Entry
from event_log.rules import UNCLAIMED
from event_log.series import Series, SeriesTable
from event_log.steps import Began, Horizon, Jump, KeepChange, Row, Rows, RulesChange, SeriesEnd, Step, TableChange
from event_log.tables import Changes, Tables, unpack_changes
from event_log.writes import Conditions, Write, unexpired, unpack_write

MOST_STARTS = 1000
"""Maximum number of starts of the service that are remembered as having claimed."""
MOST_JUMPS = 16
"""Maximum number of jumps of positions that are remembered."""


class Machine:
    """The state at one point of the log. Not thread safe: one consumer of a process applies the log."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.horizon = EARLIEST
        self.rules = UNCLAIMED
        self.claimed = EARLIEST
        """The first log time of the start that put the rules in force."""
        self.starts: dict[str, None] = {}
        self.series = SeriesTable()
        self.done = IdempotencyRecords()
        self.buckets = Buckets()
        self.leases = Leases()
        self.tables = Tables()
        self.jumps: list[tuple[int, int]] = []
        self.digests = Digests()
        self._awaited: dict[bytes, Outcome | None] = {}
        self._steps: list[Step] = []
        self._rows: list[Row] = []
        self._number = cursor.number

    def expect(self, nonce: bytes) -> None:
        """Note the outcome of the record with this nonce, which is yet to be appended."""
        self._awaited[nonce] = None

    def take_over(self, before: Machine) -> None:
        """Note the outcomes that the machine which this one replaces was asked for, if they are yet to come."""
        self._awaited = before._awaited

    def outcome(self, nonce: bytes) -> Outcome | None:
        """Return that outcome, once; None where the record has not been applied. It is expected no more."""
        return self._awaited.pop(nonce, None)

    def apply(self, chunk: Chunk) -> list[Step]:
        """Apply what a read has brought; returns what the projection is to be told. Whatever it raises, this machine
        is of no more use. Raises LogDamaged, Newer."""
        self._steps, self._rows = [], []
        for entry in chunk.entries:
            if isinstance(entry, Singles):
                self._number += len(entry)
                rows = entry.rows
                self._events(Columns(entry.positions, rows["id"], rows["time"], rows["value"]))
            else:
                self._number += 1
                self._apply(entry)
        self._flush()
        if self._number != chunk.cursor.number:
            raise LogDamaged(f"{chunk.cursor.number - self._number} records are missing")
        self.cursor = chunk.cursor
        return self._steps

    def check(self) -> None:
        """Assert what holds between any two chunks."""
        self.series.check()
        self.done.check()
        assert self._number == self.cursor.number
        assert len(self.starts) <= MOST_STARTS
        assert len(self.jumps) <= MOST_JUMPS
        assert int(self.series.latest.max()) <= self.cursor.position

    def _apply(self, entry: Entry) -> None:
        kind = codec.kind_of(entry.kind)
        if kind == codec.SINGLE:
            self._single(entry)
        elif kind == codec.BATCH:
            self._batch(entry)
        elif kind == codec.HORIZON:
            self._raise_horizon(entry)
        elif kind == codec.JUMP:
            self.jumps = [*self.jumps, (entry.position - entry.takes, entry.position)][-MOST_JUMPS:]
            self._tell(Jump(*self.jumps[-1]))
        elif kind in _CARRY_OUT:
            self._settle(entry, *_CARRY_OUT[kind])
        else:
            raise LogDamaged(f"no record is of kind {kind}")

    def _unpacked(self, unpack: Callable[[Data], Any], payload: Data) -> Any:
        try:
            return unpack(payload)
        except (ValueError, TypeError, IndexError, struct.error) as fault:
            raise LogDamaged(f"record {self._number} of the log cannot be read: {fault}") from fault

    def _tell(self, step: Step) -> None:
        self._flush()
        self._steps.append(step)

    def _flush(self) -> None:
        if self._rows:
            self._steps.append(Rows(self._rows))
            self._rows = []

    # Plain events. Their store has seen to it that their series live and that none has expired; what is void all the
    # same, by whatever fault, is void for everybody.

    def _single(self, entry: Entry) -> None:
        number, time, value = codec.unpack_single(entry.payload)
        if time > self.horizon and self.series.lives(number):
            self.series.touch(number, entry.position)
            self._rows.append((entry.position, number, time, value))

    def _batch(self, entry: Entry) -> None:
        ids, times, values = self._unpacked(codec.unpack_events, entry.payload)
        positions = np.arange(entry.position - len(values) + 1, entry.position + 1)
        self._events(Columns(positions, *codec.spread(ids, times, len(values)), values))

    def _events(self, columns: Columns) -> None:
        sound = (columns.times > self.horizon) & self.series.living(columns.ids)
        if not sound.all():
            columns = columns.chosen(sound)
        if len(columns):
            self.series.touch(columns.ids, columns.positions)
            self._tell(columns)

    # What has an outcome.

    def _settle(self, entry: Entry, unpack: Callable[[Data], Any], carry_out: _CarryOut) -> None:
        nonce, asked = bytes(entry.payload[:NONCE]), self._unpacked(unpack, entry.payload[NONCE:])
        outcome: Outcome
        try:
            outcome = carry_out(self, entry, asked)
        except LogError as refusal:
            outcome = refusal
        if nonce in self._awaited:
            self._awaited[nonce] = outcome

    def _write(self, entry: Entry, write: Write) -> Stored:
        asked = write.conditions
        self._forget(entry.time)
        self._refuse_repeated(asked, self.done.forgotten)
        batch, dropped = unexpired(write.batch, self.horizon)
        raised = self.series.changed_keeps(batch.names, asked, self.rules)
        if len(batch) + len(raised) > entry.takes:
            raise TryAgain
        self.buckets.spend(asked.budget, len(batch), entry.time)
        self._store(batch, asked, raised, entry.position - entry.takes)
        stored = Stored(len(batch), write.expired + dropped, entry.position)
        if asked.once is not None:
            self.done.add(asked.once.key, Done(asked.once.body, *stored), entry.time, self._number)
        return stored

    def admit(self, write: Write, now: int) -> int:
        """Return the number of positions that a write takes as things stand. Raises what makes it void, which need not
        be appended."""
        asked = write.conditions
        self._refuse_repeated(asked, self.forgotten_at(now))
        batch, _ = unexpired(write.batch, self.horizon)
        takes = len(batch) + len(self.series.changed_keeps(batch.names, asked, self.rules))
        self.buckets.refuse(asked.budget, len(batch), now)
        return takes

    def _refuse_repeated(self, asked: Conditions, after: int) -> None:
        if asked.once is not None and (done := self.done.find(asked.once.key, after)) is not None:
            raise Repeated(done)

    def _store(self, batch: Batch, asked: Conditions, raised: list[int], position: int) -> None:
        """Store the events of a write behind a position."""
        for number in raised:
            position += 1
            assert asked.keep is not None
            self.series.retain(number, asked.keep)
            self._tell(KeepChange(position, self.horizon, number, asked.keep))
        if not len(batch):
            return
        owner = asked.owner.name if asked.owner is not None else ""
        firsts = batch.firsts() if any(name not in self.series.ids for name in batch.names) else ()
        for name, first in zip(batch.names, firsts, strict=False):
            if name not in self.series.ids:
                series = Series(name, *first, asked.keep, owner)
                self._tell(Began(self.series.begin(series), series))
        ids = [self.series.ids[name] for name in batch.names]
        if len(batch) <= FEW:
            self._few(batch, ids, position)
            return
        own = ids[0] if batch.name_indexes is None else np.array(ids, np.uint32)[batch.name_indexes]
        positions = np.arange(position + 1, position + 1 + len(batch))
        self._events(Columns(positions, *codec.spread(own, batch.times, len(batch)), batch.values))

    def _few(self, batch: Batch, ids: list[int], position: int) -> None:
        """Store so few events that columns of them would cost more."""
        indexes = repeat(0) if batch.name_indexes is None else batch.name_indexes.tolist()
        times = repeat(batch.times) if isinstance(batch.times, int) else batch.times.tolist()
        for index, time, value in zip(indexes, times, batch.values.tolist(), strict=False):
            position += 1
            self.series.touch(ids[index], position)
            self._rows.append((position, ids[index], time, value))

    def _claim(self, entry: Entry, claim: Claim) -> Stored:
        if claim.start in self.starts or claim.began < self.claimed:
            raise Void
        is_first = self.rules == UNCLAIMED
        if claim.rules != self.rules and not is_first and not entry.takes:
            raise TryAgain
        self.claimed = claim.began
        self.starts[claim.start] = None
        if len(self.starts) > MOST_STARTS:
            del self.starts[next(iter(self.starts))]
        self._forget(entry.time)
        if claim.rules != self.rules:
            self.rules = claim.rules
            self._tell(RulesChange(entry.position, self.horizon, claim.rules))
        return Stored(0, 0, entry.position)

    def _end(self, entry: Entry, end: End) -> Stored:
        if not self.series.may_end(end.series, end.quiet_since):
            raise Void
        if not entry.takes:
            raise TryAgain
        series = self.series.end(end.series, entry.position)
        self._tell(SeriesEnd(entry.position, end.series, series.name))
        return Stored(0, 0, entry.position)

    def _lease(self, entry: Entry, asked: Asked) -> Stored:
        if not self.leases.take(asked, entry.time, self._number):
            raise Void
        return Stored(0, 0, entry.position)

    def _change(self, entry: Entry, changes: Changes) -> Stored:
        self.refuse_changes(changes, entry.time)
        for position, change in enumerate(changes.changes, entry.position - entry.takes + 1):
            self.tables.put(change.table, change.key, change.value, position)
            self._tell(TableChange(position, change.table, change.key, change.value))
        return Stored(0, 0, entry.position)

    def refuse_changes(self, changes: Changes, now: int) -> None:
        """Raises Void where a row is no longer as it was, or the lease not in force."""
        is_held = changes.lease is None or self.leases.is_in_force(*changes.lease, now)
        if not is_held or not self.tables.are_left(changes.changes):
            raise Void

    def _raise_horizon(self, entry: Entry) -> None:
        horizon = min(self._unpacked(unpack_json, entry.payload), entry.time) - self.rules.retention
        self._forget(entry.time)
        self.buckets.sweep(entry.time)
        if horizon > self.horizon:
            self.horizon = horizon
            self._tell(Horizon(horizon))
        series = self.series.next_id, len(self.series), self.series.keepers
        shared = self.buckets.items(), self.leases.items(), [row.position for *_, row in self.tables]
        self.digests.note(self._number, (self.horizon, self.rules, self.jumps, series, shared))

    def forgotten_at(self, now: int) -> int:
        """The time at or before which what was done is forgotten by then, by the rules in force."""
        return now - self.rules.retention - self.rules.max_future

    def _forget(self, now: int) -> None:
        self.done.forget(self.forgotten_at(now))


_CarryOut = Callable[[Machine, Entry, Any], Stored]
_CARRY_OUT: dict[int, tuple[Callable[[Data], Any], _CarryOut]] = {
    codec.WRITE: (unpack_write, Machine._write),
    codec.CLAIM: (unpack_claim, Machine._claim),
    codec.END: (lambda data: End(*unpack_json(data)), Machine._end),
    codec.LEASE: (lambda data: Asked(*unpack_json(data)), Machine._lease),
    codec.CHANGE: (unpack_changes, Machine._change),
}
"""By its kind, how a record that has an outcome is read and carried out."""
