"""From the records of a snapshot to columns, trusting nothing: each record must match its checksum, and no
record behind the mark of cleaning may be missing."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import numpy as np

from event_log.base import Events, LogDamaged, Times
from event_log.records import Data, Meta, count_events, is_intact, unpack_all, unpack_position

Item = tuple[Data, Data]
"""Key and record."""


def take(items: Iterable[Item], limit: int) -> list[Item]:
    """Records until they hold `limit` events."""
    taken = []
    for item in items:
        taken.append(item)
        limit -= count_events(item[1])
        if limit <= 0:
            break
    return taken


def as_events(items: list[Item], after: int, meta: Meta) -> Events:
    """The columns of these records, less what stands at or before `after`. Raises LogDamaged."""
    if not items:
        empty = np.empty(0, np.int64)
        return Events(empty, empty.astype(np.uint32), empty, np.empty(0), after, meta.horizon)
    try:
        ids, times, values = unpack_all([data for _, data in items])
        positions = _positions(items, after, meta.cleaned)
    except (LogDamaged, struct.error, ValueError) as fault:
        raise LogDamaged(_what_is_wrong(items) or str(fault)) from fault
    end = unpack_position(items[-1][0])
    skip = 0 if positions[0] > after else int(np.searchsorted(positions, after, side="right"))
    return Events(positions[skip:], ids[skip:], times[skip:], values[skip:], end, meta.horizon)


def _positions(items: list[Item], after: int, cleaned: int) -> Times:
    """The position of each event of these records: the last of each record stands at its key."""
    keys = np.frombuffer(b"".join([key for key, _ in items]), ">u8").astype(np.int64)
    counts = np.array([count_events(data) for _, data in items])
    starts = keys - counts
    # One starts where the record before it ends, unless that one has been cleaned away, or this one shortened.
    before = np.concatenate((np.minimum(starts[:1], after), keys[:-1]))
    if np.any(starts < before) or np.any(starts > np.maximum(before, cleaned)) or starts[0] > max(after, cleaned):
        raise LogDamaged(f"records are missing or out of order between positions {after} and {int(keys[-1])}")
    if len(counts) == 1:
        return np.arange(int(starts[0]) + 1, int(keys[0]) + 1)
    return np.repeat(keys - np.cumsum(counts), counts) + np.arange(1, int(counts.sum()) + 1)


def _what_is_wrong(items: list[Item]) -> str | None:
    """Names the first record that does not match its checksum."""
    for key, data in items:
        if not is_intact(data):
            return f"the record at position {int.from_bytes(key, 'big')} does not match its checksum"
    return None
