"""An oracle that works out from the records of a log what each of them must come to, with nothing clever in it."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from math import inf

from event_log import codec
from event_log.codec import NONCE, End
from event_log.errors import LogError, OverBudget, TooManyKeepers, TooManySeries
from event_log.idempotency import Done
from event_log.leases import Asked
from event_log.outcomes import Repeated, Stored, TryAgain, Void
from event_log.port import Record
from event_log.rules import UNCLAIMED, Rules
from event_log.tables import unpack_changes
from event_log.writes import Write, unpack_write
from times import SECOND

EARLIEST = -(2**63)
Event = tuple[int, int, float]
"""Time, position, value; events compare as they are ordered."""


@dataclass
class OneSeries:
    """The events of one series that may still matter, in order of time and arrival."""

    name: str
    keep: int | None
    owner: str = ""
    latest: int = 0
    dead_before: tuple[int, int] = (EARLIEST, 0)
    forgotten: int = 0
    events: list[Event] = field(default_factory=list)

    def keeps_less(self, keep: int | None) -> bool:
        return keep is not None and (self.keep is None or self.keep < keep)

    def live(self, horizon: int, keep_last: int) -> list[Event]:
        first = self._first(keep_last)
        return [event for i, event in enumerate(self.events) if i >= first or event[0] > horizon]

    def _first(self, keep_last: int) -> int:
        """Index of the first event that is retained whatever its age."""
        return max(0, len(self.events) - (keep_last if self.keep is None else self.keep))

    def prune(self, horizon: int, keep_last: int) -> None:
        """Forget what is dead, and below which (time, position) that was."""
        live = self.live(horizon, keep_last)
        dead = [event for event in self.events[: self._first(keep_last)] if event[0] <= horizon]
        self.forgotten = max([self.forgotten, *(position for _, position, _ in dead)])
        since = live[0][:2] if live else (horizon + 1, 0)
        self.dead_before = max(self.dead_before, min((horizon + 1, 0), since))
        self.events = live


class Oracle:
    """Is told of each record as it is appended, and knows what must become of it."""

    def __init__(self) -> None:
        self.number = 0
        self.position = 0
        self.rules: Rules = UNCLAIMED
        self.claimed = EARLIEST
        self.horizon = EARLIEST
        self.forgotten = EARLIEST
        self.next_id = 1
        self.starts: list[str] = []
        self.ids: dict[str, int] = {}
        self.series: dict[int, OneSeries] = {}
        self.done: dict[bytes, tuple[Done, int]] = {}
        self.tokens: dict[str, tuple[float, int]] = {}
        self.jumps: list[tuple[int, int]] = []
        self.leases: dict[str, tuple[str, int, int]] = {}
        self.table_rows: dict[tuple[str, str], tuple[str, int]] = {}
        self.outcomes: dict[bytes, Stored | LogError] = {}

    def copy(self) -> Oracle:
        return deepcopy(self)

    def append(self, record: Record, time: int) -> None:
        """One more record."""
        self.number += 1
        first, self.position = self.position, self.position + record.takes
        kind, payload = record.kind, record.payload
        if kind == codec.SINGLE:
            number, moment, value = codec.unpack_single(payload)
            self._add(number, moment, first + 1, value)
        elif kind == codec.BATCH:
            ids, times, values = codec.unpack_events(payload)
            ids, times = codec.spread(ids, times, len(values))
            for number, moment, value in zip(ids.tolist(), times.tolist(), values.tolist(), strict=True):
                first += 1
                self._add(number, moment, first, value)
        elif kind == codec.JUMP:
            self.jumps.append((first, self.position))
        elif kind == codec.HORIZON:
            self._forget(time)
            self.horizon = max(self.horizon, min(codec.unpack_json(payload), time) - self.rules.retention)
        else:
            carry_out: Callable[[bytes, int, int, int], Stored] = {
                codec.WRITE: self._write,
                codec.CLAIM: self._claim,
                codec.END: self._end,
                codec.LEASE: self._lease,
                codec.CHANGE: self._change,
            }[kind]
            try:
                self.outcomes[payload[:NONCE]] = carry_out(payload[NONCE:], first, record.takes, time)
            except LogError as refusal:
                self.outcomes[payload[:NONCE]] = refusal

    def _add(self, number: int, time: int, position: int, value: float) -> None:
        """An event of a plain write, which must never have been dead on arrival."""
        assert time > self.horizon
        insort(self.series[number].events, (time, position, value))
        self.series[number].latest = position

    def _forget(self, now: int) -> None:
        self.forgotten = max(self.forgotten, now - self.rules.retention - self.rules.max_future)
        self.done = {key: found for key, found in self.done.items() if found[1] > self.forgotten}

    def look(self, write: Write, now: int) -> list[int]:
        """The series whose keep a write changes. Raises why it must be refused."""
        asked = write.conditions
        if asked.once is not None and (done := self.recall(asked.once.key, now)) is not None:
            raise Repeated(done)
        names = [name for name in write.batch.names if any(row[0] == name for row in self.rows(write))]
        new = [name for name in names if name not in self.ids]
        if new and len(self.ids) + len(new) > self.rules.max_series:
            raise TooManySeries(0)
        if new and asked.owner is not None:
            owned = sum(one.owner == asked.owner.name for one in self.series.values())
            if owned + len(new) > asked.owner.most:
                raise TooManySeries(0)
        raised = [self.ids[name] for name in names if name in self.ids] if asked.keep is not None else []
        raised = [number for number in raised if self.series[number].keeps_less(asked.keep)]
        more = len(new) + sum(self.series[number].keep is None for number in raised)
        keepers = sum(one.keep is not None for one in self.series.values())
        if asked.keep is not None and asked.symbols and more and keepers + more > self.rules.max_symbols:
            raise TooManyKeepers
        if asked.budget is not None:
            events = max(1, len(self.rows(write)))
            tokens, when = self.tokens.get(asked.budget.name, (float(asked.budget.burst), now))
            tokens = min(float(asked.budget.burst), tokens + asked.budget.rate * max(0, now - when) / SECOND)
            if events > tokens:
                never = asked.budget.rate <= 0 or events > asked.budget.burst
                raise OverBudget(inf if never else (events - tokens) / asked.budget.rate)
        return raised

    def rows(self, write: Write) -> list[tuple[str, int, float]]:
        """The events of a write that have not expired."""
        batch = write.batch
        indexes = [0] * len(batch) if batch.name_indexes is None else batch.name_indexes.tolist()
        times = [batch.times] * len(batch) if isinstance(batch.times, int) else batch.times.tolist()
        rows = zip(indexes, times, batch.values.tolist(), strict=True)
        return [(batch.names[index], time, value) for index, time, value in rows if time > self.horizon]

    def _write(self, payload: bytes, position: int, takes: int, time: int) -> Stored:
        write = unpack_write(payload)
        asked, end = write.conditions, position + takes
        self._forget(time)
        try:
            raised = self.look(write, time)
        except OverBudget:
            if len(self.rows(write)) + len(self._raised(write)) > takes:
                raise TryAgain from None
            raise
        rows = self.rows(write)
        if len(rows) + len(raised) > takes:
            raise TryAgain
        if asked.budget is not None:
            name, rate, burst = asked.budget.name, asked.budget.rate, float(asked.budget.burst)
            tokens, when = self.tokens.get(name, (burst, time))
            self.tokens[name] = min(burst, tokens + rate * max(0, time - when) / SECOND) - max(1, len(rows)), time
        for number in raised:
            position += 1
            self.series[number].prune(self.horizon, self.rules.keep_last)
            self.series[number].keep = asked.keep
        for name in write.batch.names:
            if name not in self.ids and any(name == row[0] for row in rows):
                self.ids[name] = self.next_id
                self.series[self.next_id] = OneSeries(name, asked.keep, asked.owner.name if asked.owner else "")
                self.next_id += 1
        for name, moment, value in rows:
            position += 1
            insort(self.series[self.ids[name]].events, (moment, position, value))
            self.series[self.ids[name]].latest = position
        stored = Stored(len(rows), write.expired + len(write.batch) - len(rows), end)
        if asked.once is not None:
            self.done[asked.once.key] = Done(asked.once.body, *stored), time
        return stored

    def _raised(self, write: Write) -> list[int]:
        keep, names = write.conditions.keep, {row[0] for row in self.rows(write)}
        ids = [self.ids[name] for name in names if name in self.ids]
        return [] if keep is None else [number for number in ids if self.series[number].keeps_less(keep)]

    def _claim(self, payload: bytes, position: int, takes: int, time: int) -> Stored:
        claim = codec.unpack_claim(payload)
        if claim.start in self.starts or claim.began < self.claimed:
            raise Void
        if claim.rules != self.rules != UNCLAIMED and not takes:
            raise TryAgain
        self.claimed = claim.began
        self.starts.append(claim.start)
        self._forget(time)
        if claim.rules != self.rules:
            for one in self.series.values():
                one.prune(self.horizon, self.rules.keep_last)
            self.rules = claim.rules
        return Stored(0, 0, position + takes)

    def _end(self, payload: bytes, position: int, takes: int, time: int) -> Stored:
        del time
        end = End(*codec.unpack_json(payload))
        one = self.series.get(end.series)
        if one is None or (end.quiet_since is not None and one.latest > end.quiet_since):
            raise Void
        del self.series[end.series], self.ids[one.name]
        return Stored(0, 0, position + takes)

    def _lease(self, payload: bytes, position: int, takes: int, time: int) -> Stored:
        asked = Asked(*codec.unpack_json(payload))
        holder, number, until = self.leases.get(asked.name, (asked.holder, self.number, 0))
        if holder != asked.holder and time < until:
            raise Void
        self.leases[asked.name] = asked.holder, number if holder == asked.holder else self.number, time + asked.duration
        return Stored(0, 0, position + takes)

    def _change(self, payload: bytes, position: int, takes: int, time: int) -> Stored:
        changes, lease = unpack_changes(payload)
        if lease is not None:
            _, number, until = self.leases.get(lease[0], ("", 0, 0))
            if number != lease[1] or time >= until:
                raise Void
        for change in changes:
            if self.table_rows.get((change.table, change.key), ("", 0))[1] != change.leaves:
                raise Void
        for change in changes:
            position += 1
            self.table_rows.pop((change.table, change.key), None)
            if change.value is not None:
                self.table_rows[change.table, change.key] = change.value, position
        return Stored(0, 0, position)

    def recall(self, key: bytes, now: int) -> Done | None:
        """Return what became of the write with this key, if that is not forgotten by now."""
        done, time = self.done.get(key, (None, now))
        return done if time > now - self.rules.retention - self.rules.max_future else None

    def live(self) -> dict[str, list[Event]]:
        """The live events of each series that lives."""
        return {one.name: one.live(self.horizon, self.rules.keep_last) for one in self.series.values()}
