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


def take(items: Iterable[Item], limit: int) -> tuple[list[Item], list[int]]:
    """Records until they hold `limit` events, and how many each holds."""
    taken, counts = [], []
    for item in items:
        count = count_events(item[1])
        taken.append(item)
        counts.append(count)
        limit -= count
        if limit <= 0:
            break
    return taken, counts


def as_events(items: list[Item], counts: list[int], after: int, meta: Meta) -> Events:
    """The columns of these records, less what stands at or before `after`. Raises LogDamaged."""
    if not items:
        return Events.none(after, meta.horizon)
    try:
        ids, times, values = unpack_all([data for _, data in items])
        positions = _positions(items, np.array(counts), after, meta.cleaned)
    except (LogDamaged, struct.error, ValueError) as fault:
        raise LogDamaged(_what_is_wrong(items) or str(fault)) from fault
    return Events(positions, ids, times, values, unpack_position(items[-1][0]), meta.horizon).behind(after)


def _positions(items: list[Item], counts: Times, after: int, cleaned: int) -> Times:
    """The position of each event of these records: the last of each record stands at its key."""
    keys = np.frombuffer(b"".join([key for key, _ in items]), ">u8").astype(np.int64)
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
