"""Reads a few records of one event each without columns: arithmetic on those costs 100 us, however few they are."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from zlib import crc32

import numpy as np

from event_log.entries import pack_position
from event_log.records import SINGLE_SIZE, Columns, Data, damaged, is_batch, seal

MOST = 8
"""Maximum number of records that are cheaper read one by one."""
_CHECKSUM_SIZE = 4
_SINGLE = Struct("<IIqd")  # checksum, series id, time, value


def unpack_few(items: Sequence[tuple[Data, Data]], after: int) -> Columns | None:
    """Return the events of these records, given with their keys; None unless they are few, hold one event each, and
    stand in a row right behind a position. Raise LogDamaged."""
    if len(items) > MOST:
        return None
    rows = []
    for position, (key, data) in enumerate(items, after + 1):
        if len(data) != SINGLE_SIZE or is_batch(data) or key != pack_position(position):
            return None
        checksum, *row = _SINGLE.unpack(data)
        if checksum != crc32(data[_CHECKSUM_SIZE:]) ^ seal(position):
            raise damaged(position)
        rows.append((position, *row))
    positions, ids, times, values = zip(*rows, strict=True)
    return np.array(positions), np.array(ids, np.uint32), np.array(times), np.array(values)
