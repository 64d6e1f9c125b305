"""Making old changes part of what a reader from START begins with, where more are told than is good.

What died by them goes with them, in the same step: nobody who was not told of them could know.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from event_log.base import Change, KeepChange, RulesChange, SeriesEnd
from event_log.records import Columns, unpack
from event_log.redis_changes import parse_passed
from event_log.redis_head import Head
from event_log.redis_kept import CHUNK_BYTES, Chunk, Step, chosen, chunks_of, joined, put
from event_log.redis_keys import Keys
from event_log.redis_link import Link

MOST_TOLD = 1000
"""Changes from before the mark that readers are told."""
STILL_TOLD = 500
"""How many of those are left."""
PORTION = 64
"""Chunks read at a time."""


def fold(step: Step, head: Head, link: Link, keys: Keys) -> None:
    """Propose to fold the oldest changes. Reads all kept events there are before them."""
    texts, base = link.look(("ZRANGEBYSCORE", keys.changes, "-inf", "+inf"), ("HGETALL", keys.base))
    changes = [parse_passed(text) for text in texts[: max(0, len(texts) - STILL_TOLD)]]
    if not changes:
        return
    step.folded = changes[-1].position
    step.leaving = [change.series for change in changes if isinstance(change, SeriesEnd)]
    folding = _Folding(step, head, dict(zip(map(int, base[::2]), map(int, base[1::2]), strict=True)))
    if len(step.leaving) < len(changes):
        chunks = _read(link, keys, step.folded)
        dead = folding.dead_of(chunks, changes)
        _drop(step, chunks, dead)
    else:
        folding.settle(changes)


def _read(link: Link, keys: Keys, until: int) -> list[Chunk]:
    """All chunks that have events from before a position."""
    found: list[Chunk] = []
    while not found or (len(found) % PORTION == 0 and found[-1].end < until):
        after = found[-1].end if found else 0
        rows = chunks_of(
            link.look(("ZRANGEBYSCORE", keys.kept, f"({after}", "+inf", "LIMIT", 0, PORTION, "WITHSCORES"))[0]
        )
        if not rows:
            break
        found += rows
    return found


class _Folding:
    """What series keep, change after change."""

    def __init__(self, step: Step, head: Head, keeps: dict[int, int]) -> None:
        self._step = step
        self._rules = head.base
        self._keeps = keeps

    def settle(self, changes: Sequence[Change]) -> None:
        """Take in changes by which nothing can have died."""
        for change in changes:
            self._take(change)

    def dead_of(self, chunks: Sequence[Chunk], changes: Sequence[Change]) -> NDArray[np.bool_]:
        """Which of the events of these chunks, in a row, died by these changes."""
        columns = joined([unpack(chunk.data, chunk.end) for chunk in chunks])
        positions, ids, times, _ = columns
        dead = np.zeros(len(positions), np.bool_)
        order = np.lexsort((positions, times, ids))
        names, starts = np.unique(ids[order], return_index=True)
        rows = dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
        for change in changes:
            for number in self._touched(change, rows):
                own = rows[number]
                old = own[(positions[own] < change.position) & ~dead[own]]
                keep = self._keeps.get(number, self._rules.keep_last)
                last = old[: max(0, len(old) - keep)]
                dead[last[times[last] <= getattr(change, "horizon", 0)]] = True
            self._take(change)
        return dead

    def _touched(self, change: Change, rows: dict[int, NDArray[np.intp]]) -> list[int]:
        """The series that keep something else from this change on."""
        if isinstance(change, KeepChange):
            return [change.series] if change.series in rows else []
        if isinstance(change, RulesChange):
            return [number for number in rows if number not in self._keeps]
        return []

    def _take(self, change: Change) -> None:
        if isinstance(change, RulesChange):
            self._rules = self._step.base = change.rules
        elif isinstance(change, KeepChange):
            self._keeps[change.series] = self._step.keeps[change.series] = change.keep
        else:
            self._keeps.pop(change.series, None)
            self._step.keeps.pop(change.series, None)


def _drop(step: Step, chunks: Sequence[Chunk], dead: NDArray[np.bool_]) -> None:
    """Write the chunks anew that have dead events."""
    start = 0
    for chunk in chunks:
        columns: Columns = unpack(chunk.data, chunk.end)
        own = dead[start : start + len(columns[0])]
        start += len(own)
        if own.any():
            step.dropped.append(chunk.end)
            step.freed += len(chunk.data) + CHUNK_BYTES
            step.forget(columns, own)
            put(step, chosen(columns, ~own))
