"""Chunks of records cut into portions that take a few milliseconds to apply: no other greenlet runs meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from event_log.codec import BATCH, SINGLE, Singles
from event_log.port import Chunk, Cursor, Entry

PORTION = 5000
"""Microseconds that a portion takes, roughly."""
MOST_SINGLES = 65_536
"""Maximum number of single events of a portion."""


def portions(chunk: Chunk, before: Cursor) -> Iterator[Chunk]:
    """The records of a chunk that begins at a cursor, in order. The store's note of where it goes on is right in the
    last portion alone."""
    if len(chunk.entries) == 1 and isinstance(chunk.entries[0], Entry):
        yield chunk
        return
    taken, spent, cursor = list[Entry | Singles](), 0, before
    for entry in _cut(chunk):
        taken.append(entry)
        spent += _cost(entry)
        cursor = _after(cursor, entry)
        if spent >= PORTION:
            yield Chunk(taken, cursor, more=True) if cursor.number < chunk.cursor.number else Chunk(taken, *chunk[1:])
            taken, spent = [], 0
    if taken:
        yield Chunk(taken, *chunk[1:])


def _cut(chunk: Chunk) -> Iterator[Entry | Singles]:
    for entry in chunk.entries:
        if isinstance(entry, Entry) or len(entry) <= MOST_SINGLES:
            yield entry
            continue
        for start in range(0, len(entry), MOST_SINGLES):
            rows = slice(start, start + MOST_SINGLES)
            yield Singles(entry.positions[rows], entry.rows[rows])


def _cost(entry: Entry | Singles) -> int:
    """Microseconds that it takes to apply, about: measured, and rounded up."""
    if isinstance(entry, Singles):
        return 20 + len(entry) // 20
    if entry.kind == SINGLE:
        return 2
    return (20 if entry.kind == BATCH else 60) + len(entry.payload) // 256


def _after(cursor: Cursor, entry: Entry | Singles) -> Cursor:
    if isinstance(entry, Singles):
        return cursor._replace(number=cursor.number + len(entry), position=int(entry.positions[-1]))
    return cursor._replace(number=cursor.number + 1, position=entry.position)
