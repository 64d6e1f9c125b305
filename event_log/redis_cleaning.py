"""Cleaning the log on Redis: a worker looks at what is next, works out a step, and proposes it; a script takes the
step if the log is still what it was.

A mark walks behind the expired records in log order. What of them is still among the last of its series is put
together in chunks of kept events; the rest goes. Each step also looks again through some chunks, round after round,
drops what has died since, and joins the small ones. The mark waits before a change until a whole round has passed
since the change was made: so nothing is left that died by it, and readers who begin need not be told of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from event_log.base import Change, KeepChange, KeptSince, Rules, RulesChange
from event_log.records import Columns, pack_columns, unpack
from event_log.redis_head import FIELDS, Head
from event_log.redis_keys import Keys
from event_log.redis_link import Build, Link, Lost
from event_log.redis_reading import NOTHING, parse_change
from event_log.redis_registry import Registry, pack_left
from event_log.redis_scripts import ARRIVED, CLEAN
from event_log.redis_session import Command

RECORDS_A_STEP = 512
EVENTS_A_STEP = 10_000
"""A step ends with the record that reaches this."""
CHUNK = 512
"""Events in a chunk."""
ENTRY_BYTES = 20
CHUNK_BYTES = 100
CHANGE_BYTES = 60
"""What Redis takes beside the bytes themselves, about."""
SWEEP_RATIO = 3
"""So many events are looked through for each that is passed: so a third of the kept ones may be dead, at most."""
LEAST_CHUNKS = 8
MOST_CHUNKS = 48


class Chunk(NamedTuple):
    """Some kept events, as they are stored under the position they end at."""

    end: int
    data: bytes


@dataclass(slots=True)
class Step:
    """What is proposed."""

    mark: int
    folded: int
    base: Rules
    sweep: int
    sweeping: int
    swept: int
    freed: int = 0
    dropped: list[int] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    leaving: list[int] = field(default_factory=list)
    keeps: dict[int, int] = field(default_factory=dict)
    forgotten: dict[int, int] = field(default_factory=dict)
    more: bool = False

    def forget(self, columns: Columns, dead: NDArray[np.bool_]) -> None:
        """Note what leaves."""
        positions, ids = columns[0][dead], columns[1][dead]
        order = np.argsort(positions, kind="stable")  # of one series the last one stays
        for number, position in zip(ids[order].tolist(), positions[order].tolist(), strict=True):
            self.forgotten[number] = max(position, self.forgotten.get(number, 0))


class Cleaning:
    """One step."""

    def __init__(self, link: Link, keys: Keys, registry: Registry, kept_since: KeptSince, position: int) -> None:
        self._link = link
        self._keys = keys
        self._registry = registry
        self._kept_since = kept_since
        self._position = position
        self._since: dict[int, tuple[int, int]] = {}

    def run(self, horizon: int) -> bool | None:
        """Clean a little; whether there may be more. None where Redis was started or promoted since the last write."""
        head, entries, chunks, ended = self._look()
        if head is None or head.changed > self._position:
            return False
        horizon = max(horizon, head.horizon)
        step = Step(head.mark, head.folded, head.base, head.sweep, head.sweeping, head.swept)
        passed = self._expired(entries, horizon)
        wanted = max(LEAST_CHUNKS, min(MOST_CHUNKS, SWEEP_RATIO * sum(size for *_, size in passed) // CHUNK))
        self._sweep(head, step, chunks[:wanted], last=len(chunks) <= wanted)
        self._pass(step, passed)
        step.leaving = [number for number, end in ended.items() if end <= head.mark]
        if _is_idle(head, step, horizon):
            return False
        answer = self._ask([("HGET", self._keys.head, "id")], self._proposal(head, step, horizon))[-1]
        if answer == ARRIVED:
            return None
        if answer == 1:
            self._registry.rebase(step.keeps)
        return bool(answer != 1 or step.more)

    def _look(self) -> tuple[Head | None, Sequence[Any], list[Chunk], dict[int, int]]:
        """What there is to clean next."""
        keys = self._keys
        marks = self._ask([("HMGET", keys.head, *FIELDS)])[0]
        head = Head.read(marks)
        if head is None:
            return None, [], [], {}
        commands: list[Command] = [
            ("XRANGE", keys.stream, f"{head.mark + 1}", "+", "COUNT", RECORDS_A_STEP),
            ("ZRANGEBYSCORE", keys.kept, f"({head.sweep}", "+inf", "LIMIT", 0, MOST_CHUNKS + 1, "WITHSCORES"),
            ("HGETALL", keys.ended),
        ]
        entries, rows, ended = self._ask(commands)
        chunks = [Chunk(int(float(end)), data) for data, end in zip(rows[::2], rows[1::2], strict=True)]
        return head, entries, chunks, dict(zip(map(int, ended[::2]), map(int, ended[1::2]), strict=True))

    def _ask(self, commands: Sequence[Command], proposal: Build | None = None) -> list[Any]:
        try:
            return self._link.ask(lambda session: [*commands, *(proposal(session) if proposal else ())])
        except Lost:
            if proposal is not None:
                raise  # it may yet be done; then the next step finds it so
            return self._link.ask(lambda _: commands)

    def _expired(self, entries: Sequence[Any], horizon: int) -> list[tuple[int, Change | Columns, int, int]]:
        """The next records and changes that the mark may pass: position, what it is, bytes, events."""
        found: list[tuple[int, Change | Columns, int, int]] = []
        events = 0
        for key, (kind, data) in entries:
            position = int(key.partition(b"-")[0])
            if position > self._position or events >= EVENTS_A_STEP:
                break
            if kind == b"c":
                found.append((position, parse_change(position, data), CHANGE_BYTES, 0))
                continue
            columns = unpack(data, position)
            if int(columns[2].max()) > horizon:
                break
            found.append((position, columns, len(data) + ENTRY_BYTES, len(columns[0])))
            events += len(columns[0])
        return found

    def _pass(self, step: Step, expired: Sequence[tuple[int, Change | Columns, int, int]]) -> None:
        """Move the mark behind these, but not over a change for which the kept events have yet to be swept."""
        pieces: list[Columns] = []
        for position, what, size, _ in expired:
            if not isinstance(what, tuple):
                if position > step.swept:
                    break
                self._fold(step, what)
            else:
                pieces.append(what)
            step.mark = position
            step.freed += size
        if pieces:
            columns = _joined(pieces)
            alive = self._alive(columns)
            step.forget(columns, ~alive)
            self._put(step, _rows(columns, alive))
        step.more = step.more or bool(expired)

    def _fold(self, step: Step, change: Change) -> None:
        """Make a change part of what readers from START begin with."""
        step.folded = change.position
        if isinstance(change, RulesChange):
            step.base = change.rules
        elif isinstance(change, KeepChange):
            step.keeps[change.series] = change.keep

    def _sweep(self, head: Head, step: Step, chunks: Sequence[Chunk], *, last: bool) -> None:
        """Look again through some chunks; `last`: those that end the round."""
        if not head.sweep:
            step.sweeping = head.changed
        if chunks:
            columns = _joined([unpack(chunk.data, chunk.end) for chunk in chunks])
            alive = self._alive(columns)
            if not alive.all() or len(columns[0]) <= CHUNK * len(chunks) // 2:
                if len(chunks) > 1 or not alive.all():
                    step.dropped += [chunk.end for chunk in chunks]
                    step.freed += sum(len(chunk.data) + CHUNK_BYTES for chunk in chunks)
                    step.forget(columns, ~alive)
                    self._put(step, _rows(columns, alive))
        if last:
            step.swept, step.sweep = step.sweeping, 0
        else:
            step.sweep = chunks[-1].end
        step.more = step.swept < head.changed

    def _put(self, step: Step, columns: Columns) -> None:
        """Have these events, which are in order, kept in chunks."""
        positions, ids, times, values = columns
        for start in range(0, len(positions), CHUNK):
            rows = slice(start, start + CHUNK)
            end = int(positions[rows][-1])
            data = pack_columns(ids[rows], times[rows], values[rows], positions[rows], end)
            step.chunks.append(Chunk(end, data))
            step.freed -= len(data) + CHUNK_BYTES

    def _alive(self, columns: Columns) -> NDArray[np.bool_]:
        """Which of these events may still be live."""
        positions, ids, times, _ = columns
        names, index = np.unique(ids, return_inverse=True)
        since = np.array([self._live_since(series) for series in names.tolist()], np.int64).reshape(-1, 2)[index]
        found: NDArray[np.bool_] = (times > since[:, 0]) | ((times == since[:, 0]) & (positions >= since[:, 1]))
        return found

    def _live_since(self, series: int) -> tuple[int, int]:
        if series not in self._since:
            entry = self._registry.get(series)
            over = entry is None or entry.ended
            self._since[series] = (2**63 - 1, 2**63 - 1) if over else self._kept_since(series)
        return self._since[series]

    def _proposal(self, head: Head, step: Step, horizon: int) -> Build:
        keys = self._keys
        own = (keys.head, keys.stream, keys.kept, keys.series, keys.tokens, keys.base, keys.ended, keys.forgotten)
        lists = (
            step.dropped,
            [part for chunk in step.chunks for part in chunk],
            step.leaving,
            [part for pair in step.keeps.items() for part in pair],
            [part for pair in step.forgotten.items() for part in pair],
        )
        counts = [len(step.dropped), len(step.chunks), len(step.leaving), len(step.keeps), len(step.forgotten)]
        notes = pack_left(step.forgotten) if step.forgotten else b""
        rest = [part for parts in lists for part in parts]
        marks = (horizon, step.mark, head.mark, step.folded, step.sweep, step.sweeping, step.swept)
        base = f"{step.base.retention} {step.base.keep_last}"
        return lambda session: [
            (b"EVALSHA", CLEAN.sha, 10, *own, keys.left, keys.once)
            + (session.stamp, session.name, head.step, head.changed, step.freed, *marks, base, notes, horizon)
            + (*counts, *rest)
        ]


def _is_idle(head: Head, step: Step, horizon: int) -> bool:
    """Whether a step would change nothing."""
    moved = (step.mark, step.sweep, step.swept) != (head.mark, head.sweep, head.swept)
    return not (moved or horizon > head.horizon or step.dropped or step.leaving or head.trimmed < head.mark)


def _joined(pieces: Sequence[Columns]) -> Columns:
    if not pieces:
        return NOTHING
    positions, ids, times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return positions, ids, times, values


def _rows(columns: Columns, chosen: NDArray[np.bool_]) -> Columns:
    positions, ids, times, values = columns
    return positions[chosen], ids[chosen], times[chosen], values[chosen]
