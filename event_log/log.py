"""The log: writes that are decided when it is applied, over any store of records."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from event_log import codec
from event_log.applied import Applied
from event_log.batch import Batch
from event_log.codec import NONCE, Claim, End
from event_log.errors import HistoryChanged, LogError, LogUnavailable, LogUncertain
from event_log.idempotency import Done
from event_log.leases import Asked
from event_log.machine import Machine
from event_log.outcomes import Outcome, Repeated, Stored, TryAgain, Void
from event_log.port import Appended, Guard, Record, RecordStore, Stale
from event_log.rules import UNCLAIMED, Rules
from event_log.tables import Change, Changes
from event_log.writes import PLAIN, Conditions, Write, pack_write, unexpired
from times import SECOND

MOST_TRIES = 20
"""Maximum number of records that one write appends, each but the last one made void by a race."""
HORIZON_STEPS = 1000
"""Maximum number of rises of the horizon in the time of a retention; it rises once a second at most."""


class Log(Applied):
    """The log that the service writes to. A write that raises has stored nothing, unless it raises LogUncertain."""

    def __init__(self, store: RecordStore) -> None:
        self.holder = secrets.token_hex(16)
        """Name of this process in its leases."""
        super().__init__(store)

    def append_one(self, series: str, time: int, value: float) -> Stored:
        """`append` for one event without conditions, without the cost of columns."""
        self.check()
        machine = self.machine
        known = machine.cursor  # read before the id is looked up, never after
        number = machine.series.ids.get(series)
        if number is not None:
            record = Record(codec.SINGLE, codec.pack_single(number, time, value), 1)
            try:
                appended = self.store.append(record, Guard(known.history, known.number, time))
            except (Stale, HistoryChanged):
                pass  # `append` learns what is new, and decides again
            else:
                self._confirm(appended)
                return Stored(1, 0, appended.position)
        return self.append(Batch([series], None, time, np.array([value])))

    def append(self, batch: Batch, conditions: Conditions = PLAIN, expired: int = 0) -> Stored:
        """Store a batch atomically; says what became of it, its events that have expired left out. `expired`: how many
        more the request had. Raises LogFull, TooManySeries, TooManyKeepers, OverBudget or Repeated."""
        self.check()
        if conditions.once is None and conditions.budget is None and len(batch):
            try:
                stored = self._append_known(batch, conditions.keep, expired)
            except (Stale, HistoryChanged):
                self.catch_up()
            else:
                if stored is not None:
                    return stored
        return self._write(Write(batch, conditions, expired))

    def _append_known(self, batch: Batch, keep: int | None, expired: int) -> Stored | None:
        """Store a batch whose series are all known, and have the keep that it asks for; None where one is not or has
        not. Raises Stale."""
        machine = self.machine
        known = machine.cursor
        ids = machine.series.known(batch.names)
        # While a series lives its keep only rises, so that it is enough to know an older one.
        if ids is None or (keep is not None and machine.series.keeping_less(ids, keep)):
            return None
        oldest = batch.times if isinstance(batch.times, int) else int(batch.times.min())
        record = Record(codec.BATCH, codec.pack_batch(batch, ids), len(batch))
        appended = self.store.append(record, Guard(known.history, known.number, oldest))
        self._confirm(appended)
        return Stored(len(batch), expired, appended.position)

    def _write(self, write: Write) -> Stored:
        asked = write.conditions
        if asked.once is None and asked.budget is None and not len(unexpired(write.batch, self.machine.horizon)[0]):
            return Stored(0, write.expired + len(write.batch), self.store.end().position)
        payload = pack_write(write)
        for _ in range(MOST_TRIES):
            try:
                takes = self._look(write)
                return self._decided(Record(codec.WRITE, payload, takes, timed=True))
            except TryAgain:
                continue
        raise LogUnavailable("others keep changing the series of this write; nothing of it was stored")

    def _look(self, write: Write) -> int:
        """Return the number of positions that a write takes. Raises what would make it void, so that nothing is
        appended for nothing: if not what this process knows already, then what the log says now."""
        try:
            return self._admit(write)
        except LogError:
            self.catch_up()
        try:
            return self._admit(write)
        except Repeated as repeated:
            if not self._is_safe():
                raise TryAgain from repeated
            raise

    def _admit(self, write: Write) -> int:
        now = self.store.time()
        with self.lock:
            return self.machine.admit(write, now)

    def _decided(self, record: Record) -> Stored:
        """Append a record, apply the log up to it, and return or raise its outcome."""
        nonce = secrets.token_bytes(NONCE)
        with self.lock:
            machine, losses = self.machine, self.losses
            machine.expect(nonce)
        outcome: Outcome | None = None
        try:
            appended = self._append(record._replace(payload=nonce + record.payload), machine)
            self._apply_until(appended.number, losses)
        finally:
            with self.lock:
                outcome = self.machine.outcome(nonce)
        if outcome is None:
            raise LogUncertain("the log has begun anew before the outcome of this write was known")
        self._confirm(appended)
        if isinstance(outcome, LogError):
            raise outcome
        return outcome

    def _confirm(self, appended: Appended) -> None:
        """Raises LogUncertain."""
        try:
            self.store.confirm(appended)
        except HistoryChanged as change:
            raise LogUncertain(f"this write was stored, and may have been lost since: {change}") from change

    def _apply_until(self, number: int, losses: int) -> None:
        """Apply the log up to a record that this process has just appended, unless its history has been replaced since.
        Raises LogUncertain."""
        try:
            while self.losses == losses and self.machine.cursor.number < number:
                self.advance(number)
                self.bound()
        except LogUnavailable as fault:
            raise LogUncertain(f"this write was stored, but what became of it is not known: {fault}") from fault

    def _append(self, record: Record, machine: Machine) -> Appended:
        try:
            return self.store.append(record, Guard(machine.cursor.history))
        except HistoryChanged as change:
            self.catch_up()
            raise TryAgain from change

    def recall(self, key: bytes) -> Done | None:
        """Return the outcome of a write with this key, as far as this process knows, once that is as safe as what is
        acknowledged. Raises LogUncertain."""
        now = self.store.time()
        with self.lock:
            done = self.machine.done.find(key, self.machine.forgotten_at(now))
        return done if done is not None and self._is_safe() else None

    def _is_safe(self) -> bool:
        """Confirm all that this process has read, on which an answer rests; False where it may be lost."""
        try:
            self.store.confirm(self.store.end())
        except HistoryChanged:
            return False
        return True

    def claim(self, rules: Rules, start: str, began: int | None = None) -> None:
        """Put these rules in force, unless this start of the service (a random id that all its processes share) has
        claimed before, or a later one has. `began`: the log's time when that start first asked."""
        began = self.store.time() if began is None else began
        digest = blake2b(start.encode(), digest_size=16).hexdigest()
        for _ in range(MOST_TRIES):
            self.catch_up()
            if digest in self.machine.starts:
                return
            takes = int(self.machine.rules not in (rules, UNCLAIMED))
            payload = codec.pack_json(Claim(digest, began, rules))
            try:
                self._decided(Record(codec.CLAIM, payload, takes, timed=True, fences=True))
            except Void:
                return
            except TryAgain:
                continue
            return

    def end_series(self, series: int, quiet_since: int | None = None) -> int | None:
        """End a series; returns the position of its end. None, having done nothing, where it has ended before, or has
        had an event behind the position `quiet_since`."""
        self.catch_up()
        if not self.machine.series.may_end(series, quiet_since):
            return None
        payload = codec.pack_json(End(series, quiet_since))
        try:
            return self._decided(Record(codec.END, payload, 1, fences=True)).position
        except (Void, TryAgain):  # in another history the id may be that of another series
            return None

    def lease(self, name: str, seconds: float) -> int | None:
        """Take a lease of `seconds` or prolong it when less than half of that is left; returns its number. None, having
        appended nothing, while another process is known to have it. 0 seconds give it up."""
        now, duration = self.store.time(), int(seconds * SECOND)
        lease = self.machine.leases.current(name, now)
        if lease is not None and lease.holder != self.holder:
            return None
        if lease is None or not duration or lease.until - now <= duration // 2:
            payload = codec.pack_json(Asked(name, self.holder, duration))
            try:
                self._decided(Record(codec.LEASE, payload, timed=True))
            except (Void, TryAgain):
                return None
            lease = self.machine.leases.current(name, now)
        return lease.number if lease is not None and lease.holder == self.holder else None

    def change(self, changes: Sequence[Change], lease: tuple[str, int] | None = None) -> int:
        """Change rows of tables, all or none, each at a position of its own, in this order; returns the last one.
        `lease`: name and number of one that must be in force. Raises Void where it is not, or a row is no longer the
        one that its change leaves."""
        asked = Changes(changes, lease)
        try:
            self._look_at(asked)
        except Void:
            self.catch_up()
            self._look_at(asked)
        try:
            return self._decided(Record(codec.CHANGE, codec.pack_json(asked), len(changes), timed=True)).position
        except TryAgain as change:  # in another history the rows may be others
            raise Void from change

    def _look_at(self, asked: Changes) -> None:
        with self.lock:
            self.machine.refuse_changes(asked, self.store.time())

    def raise_horizon(self, now: int) -> bool:
        """Let what has expired by the log's rules count as expired for everybody; says whether a record was appended.
        `now` is the time by the caller's clock, which the log's own bounds."""
        machine = self.machine
        span = machine.rules.retention
        if machine.rules == UNCLAIMED or now - span < machine.horizon + max(SECOND, span // HORIZON_STEPS):
            return False
        record = Record(codec.HORIZON, codec.pack_json(now), timed=True, raises=(now, span))
        try:
            self.store.append(record, Guard(machine.cursor.history, machine.cursor.number))
        except (Stale, HistoryChanged):
            return False  # the next call knows more
        return True
