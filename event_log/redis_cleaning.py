"""Cleaning the log on Redis: a worker looks at what is next, works out a step, and proposes it; a script takes the
step if the log is still what it was.

A mark walks behind the expired records in log order. What of them is still among the last of its series is put
together in chunks of kept events; the rest goes. Each step also looks again through some chunks, round after round,
drops what has died since, and joins the small ones. The changes that the mark passes are still told, between the kept
events, until they are very many: see redis_folding.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from event_log.base import KeptSince
from event_log.records import Columns, unpack
from event_log.redis_crew import Build
from event_log.redis_folding import MOST_TOLD, fold
from event_log.redis_head import FIELDS, Head
from event_log.redis_kept import CHUNK, CHUNK_BYTES, Chunk, Step, chosen, chunks_of, joined, put
from event_log.redis_keys import Keys
from event_log.redis_link import Link
from event_log.redis_registry import Registry, pack_left
from event_log.redis_scripts import ARRIVED, CLEAN
from event_log.redis_session import Command, call

RECORDS_A_STEP = 512
EVENTS_A_STEP = 10_000
"""A step ends with the record that reaches this."""
ENTRY_BYTES = 20
CHANGE_BYTES = 60
"""What Redis takes beside the bytes themselves, about."""
SWEEP_RATIO = 3
"""So many events are looked through for each that is passed: so a third of the kept ones may be dead, at most."""
LEAST_CHUNKS = 8
MOST_CHUNKS = 48


class Expired(NamedTuple):
    """A record, or a change, that the mark may pass."""

    position: int
    size: int
    columns: Columns | None
    change: bytes = b""


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
        head, entries, chunks, told = self._look()
        if head is None or head.changed > self._position:
            return False
        step = Step(head.mark, head.folded, head.base, head.sweep, head.sweeping, head.swept)
        if told > MOST_TOLD:
            fold(step, head, self._link, self._keys)
            step.more = True
            return self._propose(head, step, head.horizon)
        horizon = max(horizon, head.horizon)
        passed = self._expired(entries, horizon)
        events = sum(len(one.columns[0]) for one in passed if one.columns is not None)
        wanted = max(LEAST_CHUNKS, min(MOST_CHUNKS, SWEEP_RATIO * events // CHUNK))
        self._sweep(head, step, chunks[:wanted], last=len(chunks) <= wanted)
        self._pass(step, passed)
        return self._propose(head, step, horizon) if _is_worth_it(head, step, horizon) else False

    def _propose(self, head: Head, step: Step, horizon: int) -> bool | None:
        """Have the step taken, if nobody was first."""
        answer = self._link.ask(self._proposal(head, step, horizon))[0]
        return None if answer == ARRIVED else bool(answer != 1 or step.more)

    def _look(self) -> tuple[Head | None, Sequence[Any], list[Chunk], int]:
        """What there is to clean next, and how many changes from before the mark are told."""
        keys = self._keys
        head = Head.read(self._link.look(("HMGET", keys.head, *FIELDS))[0])
        if head is None:
            return None, [], [], 0
        commands: list[Command] = [
            ("XRANGE", keys.stream, f"{head.mark + 1}", "+", "COUNT", RECORDS_A_STEP),
            ("ZRANGEBYSCORE", keys.kept, f"({head.sweep}", "+inf", "LIMIT", 0, MOST_CHUNKS + 1, "WITHSCORES"),
            ("ZCARD", keys.changes),
        ]
        entries, rows, told = self._link.look(*commands)
        return head, entries, chunks_of(rows), told

    def _expired(self, entries: Sequence[Any], horizon: int) -> list[Expired]:
        """The next records and changes that the mark may pass."""
        found: list[Expired] = []
        events = 0
        for key, (kind, data) in entries:
            position = int(key.partition(b"-")[0])
            if position > self._position or events >= EVENTS_A_STEP:
                break
            if kind == b"c":
                found.append(Expired(position, CHANGE_BYTES, None, data))
                continue
            columns = unpack(data, position)
            if int(columns[2].max()) > horizon:
                break
            found.append(Expired(position, len(data) + ENTRY_BYTES, columns))
            events += len(columns[0])
        return found

    def _pass(self, step: Step, expired: Sequence[Expired]) -> None:
        """Move the mark behind these."""
        pieces = [one.columns for one in expired if one.columns is not None]
        step.passed = [(one.position, one.change) for one in expired if one.columns is None]
        if expired:
            step.mark = expired[-1].position
            step.freed += sum(one.size for one in expired if one.columns is not None)
        if pieces:
            columns = joined(pieces)
            alive = self._alive(columns)
            step.forget(columns, ~alive)
            put(step, chosen(columns, alive))
        step.more = step.more or bool(expired)

    def _sweep(self, head: Head, step: Step, chunks: Sequence[Chunk], *, last: bool) -> None:
        """Look again through some chunks; `last`: those that end the round."""
        if not head.sweep:
            step.sweeping = head.changed
        if chunks:
            columns = joined([unpack(chunk.data, chunk.end) for chunk in chunks])
            alive = self._alive(columns)
            sparse = len(chunks) > 1 and len(columns[0]) <= CHUNK * len(chunks) // 2
            if sparse or not alive.all():
                step.dropped += [chunk.end for chunk in chunks]
                step.freed += sum(len(chunk.data) + CHUNK_BYTES for chunk in chunks)
                step.forget(columns, ~alive)
                put(step, chosen(columns, alive))
        if last:
            step.swept, step.sweep = step.sweeping, 0
        else:
            step.sweep = chunks[-1].end
        step.more = step.swept < head.changed

    def _alive(self, columns: Columns) -> NDArray[np.bool_]:
        """Which of these events may still be live."""
        positions, ids, times, _ = columns
        names, index = np.unique(ids, return_inverse=True)
        since = np.array([self._live_since(series) for series in names.tolist()], np.int64).reshape(-1, 2)[index]
        found: NDArray[np.bool_] = (times > since[:, 0]) | ((times == since[:, 0]) & (positions >= since[:, 1]))
        return found

    def _live_since(self, series: int) -> tuple[int, int]:
        if series not in self._since:
            # One that others have made since, and this process has not heard of yet, lives.
            alive = self._registry.lives(series) or series > self._registry.newest
            self._since[series] = self._kept_since(series) if alive else (2**63 - 1, 2**63 - 1)
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
            [part for pair in step.passed for part in pair],
        )
        counts = [
            len(some) for some in (step.dropped, step.chunks, step.leaving, step.keeps, step.forgotten, step.passed)
        ]
        notes = pack_left(step.forgotten) if step.forgotten else b""
        rest = [part for parts in lists for part in parts]
        marks = (horizon, step.mark, head.mark, step.folded, step.sweep, step.sweeping, step.swept)
        base = f"{step.base.retention} {step.base.keep_last}"
        keyed = (*own, keys.left, keys.once, keys.changes)
        given = (step.freed, *marks, base, notes, horizon, *counts, *rest)
        return lambda session: [call(CLEAN, keyed, session.stamp, session.name, head.step, head.changed, *given)]


def _is_worth_it(head: Head, step: Step, horizon: int) -> bool:
    """Whether a step would change anything."""
    moved = (step.mark, step.sweep, step.swept) != (head.mark, head.sweep, head.swept)
    return bool(moved or horizon > head.horizon or step.dropped or head.trimmed < head.mark)
