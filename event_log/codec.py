"""Encoding of records: the kind with the version of its meaning, events as columns, all else as JSON.

All numbers of columns are little-endian. A kind is one byte: the version of its meaning in the upper half, what it is
in the lower. A process reads records of its own version and of the next one, and writes its own, so that two releases
may stand side by side while one replaces the other. What is older still is only ever read from a checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from event_log.batch import Batch, Ids, Times, Values
from event_log.errors import LogUnavailable
from event_log.rules import Rules

Data = bytes | memoryview

VERSION = 1
"""Version of the meaning that is written."""
NEWEST = 2
"""Newest version of the meaning that can be read."""
_VERSION = VERSION << 4
SINGLE = _VERSION | 1
"""One event of a known series."""
BATCH = _VERSION | 2
"""Events of known series."""
WRITE = _VERSION | 3
"""Events under conditions, or of series by name: see `event_log.writes`."""
CLAIM = _VERSION | 4
"""Rules that a start of the service puts in force."""
END = _VERSION | 5
"""The end of a series."""
HORIZON = _VERSION | 6
"""A time up to which events have expired."""
JUMP = _VERSION | 7
"""Positions that a store skips after a loss: as many as the record counts."""
LEASE = _VERSION | 8
"""A right for one process, until a time: see `event_log.leases`."""
CHANGE = _VERSION | 9
"""Changes of rows of tables: see `event_log.tables`."""

_SINGLE = Struct("<Iqd")  # series id, time, value
SINGLE_SIZE = _SINGLE.size
SINGLE_ROW = np.dtype([("id", "<u4"), ("time", "<i8"), ("value", "<f8")])
_BATCH = Struct("<BIIq")  # flags, count, series id and time if one for all
_HAS_IDS, _HAS_TIMES = 1, 2

NONCE = 8
"""Size in bytes of the random number with which each record that has an outcome begins, by which its writer knows
that as its own."""
FEW = 16
"""Single events up to this number are quicker applied one by one than as columns."""

_JSON = json.JSONEncoder(separators=(",", ":"))
pack_single = _SINGLE.pack
unpack_single = _SINGLE.unpack


class Newer(LogUnavailable):
    """The log holds a record of a later release whose meaning this one does not know."""


class Singles(NamedTuple):
    """Consecutive records of one event each, as columns."""

    positions: Times
    rows: NDArray[np.void]
    """Rows of SINGLE_ROW, perhaps with more fields."""

    def __len__(self) -> int:
        return len(self.positions)


class Columns(NamedTuple):
    """Events in log order."""

    positions: Times
    ids: Ids
    times: Times
    values: Values

    def __len__(self) -> int:
        return len(self.values)

    def chosen(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Columns:
        """These rows."""
        return Columns(self.positions[rows], self.ids[rows], self.times[rows], self.values[rows])


class Claim(NamedTuple):
    """Rules that a start of the service puts in force."""

    start: str
    """A digest of the id that all processes of the start share."""
    began: int
    """The log's time when that start first asked for it."""
    rules: Rules


class End(NamedTuple):
    """The end of a series, perhaps on the condition that it was quiet."""

    series: int
    quiet_since: int | None


NOTHING = Columns(np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0))


def kind_of(kind: int) -> int:
    """A kind as this release knows it. Raises Newer."""
    if kind >> 4 > NEWEST:
        raise Newer(f"the log holds records of version {kind >> 4}, of a later release; this one reads up to {NEWEST}")
    return _VERSION | kind & 15


def joined(pieces: Sequence[Columns]) -> Columns:
    """These columns one behind the other."""
    if not pieces:
        return NOTHING
    if len(pieces) == 1:
        return pieces[0]
    return Columns(*(np.concatenate(column) for column in zip(*pieces, strict=True)))


def pack_events(ids: Ids | int, times: Times | int, values: Values) -> bytes:
    """The payload of a BATCH."""
    flags = (0 if isinstance(ids, int) else _HAS_IDS) | (0 if isinstance(times, int) else _HAS_TIMES)
    one_id, one_time = ids if isinstance(ids, int) else 0, times if isinstance(times, int) else 0
    parts = [_BATCH.pack(flags, len(values), one_id, one_time)]
    if not isinstance(ids, int):
        parts.append(np.ascontiguousarray(ids, "<u4").tobytes())
    if not isinstance(times, int):
        parts.append(np.ascontiguousarray(times, "<i8").tobytes())
    parts.append(np.ascontiguousarray(values, "<f8").tobytes())
    return b"".join(parts)


def pack_batch(batch: Batch, ids: Sequence[int]) -> bytes:
    """The payload of a BATCH whose series have these ids, in the order of its names."""
    own = ids[0] if batch.name_indexes is None else np.asarray(ids, "<u4")[batch.name_indexes]
    return pack_events(own, batch.times, batch.values)


def unpack_events(data: Data) -> tuple[Ids | int, Times | int, Values]:
    """Return what `pack_events` was given. Raises ValueError or struct.error."""
    flags, count, one_id, one_time = _BATCH.unpack_from(data)
    wide = 4 * (flags & _HAS_IDS) + 4 * (flags & _HAS_TIMES)
    if len(data) != _BATCH.size + count * (8 + wide):
        raise ValueError("its events do not take as many bytes as they should")
    offset = _BATCH.size
    ids: Ids | int = one_id
    times: Times | int = one_time
    if flags & _HAS_IDS:
        ids = np.frombuffer(data, "<u4", count, offset)
        offset += 4 * count
    if flags & _HAS_TIMES:
        times = np.frombuffer(data, "<i8", count, offset)
        offset += 8 * count
    return ids, times, np.frombuffer(data, "<f8", count, offset)


def spread(ids: Ids | int, times: Times | int, count: int) -> tuple[Ids, Times]:
    """The same as columns, where one number stood for all."""
    return (
        np.full(count, ids, np.uint32) if isinstance(ids, int) else ids.astype(np.uint32, copy=False),
        np.full(count, times, np.int64) if isinstance(times, int) else times.astype(np.int64, copy=False),
    )


def pack_json(fields: object) -> bytes:
    """The payload of every other kind of record, in full or its first part."""
    return _JSON.encode(fields).encode()


def unpack_json(data: Data) -> Any:
    """The same again, tuples as lists. Raises ValueError."""
    return json.loads(str(data, "utf-8"))


def unpack_claim(data: Data) -> Claim:
    """The claim of the payload of a CLAIM. Raises ValueError or TypeError."""
    start, began, rules = unpack_json(data)
    return Claim(start, began, Rules(*rules))
