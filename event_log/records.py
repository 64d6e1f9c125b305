"""The bytes of the log: what is stored for each request, for each series, and once for the log.

All numbers are little-endian; keys are big-endian positions, so that LMDB's order is the log's. A record
opens with a checksum of the rest. One event takes 24 bytes, a batch 24 and 8, 16 or 20 for each event.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from struct import Struct
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from event_log.base import Batch, Ids, LogDamaged, Series, Times, Values

FORMAT = b"tidemark log 1"
FEW = 32
"""So many records of one event in a row are quicker unpacked one by one."""
CRC_CHUNK = 8192
"""So many rows fit the processor's caches."""

_CHECKSUM = Struct("<I")
_SINGLE = Struct("<Iqd")  # series id, time, value
_SINGLE_SIZE = _CHECKSUM.size + _SINGLE.size
_SINGLE_ROW = np.dtype([("checksum", "<u4"), ("id", "<u4"), ("time", "<i8"), ("value", "<f8")])
_BATCH = Struct("<IIIq")  # flags, count, series id (if one for all), time (if one for all)
_BATCH_SIZE = _CHECKSUM.size + _BATCH.size
_HAS_IDS = 1
_HAS_TIMES = 2
_POSITION = Struct(">Q")
_ID = Struct(">I")
_SERIES = Struct("<qqqd")  # symbol_since (-1: none), symbol_horizon, created, initial
_META = Struct("<qQQ")  # horizon, version of the series table, position up to which cleaning has looked

Data = bytes | memoryview
"""LMDB gives bytes, but its types allow for buffers."""
Record = tuple[Ids, Times, Values]
"""Columns of the events of one or more records."""


class Single(NamedTuple):
    """The event of a record of one event."""

    series: int
    time: int
    value: float


class Meta(NamedTuple):
    """What the log keeps about itself."""

    horizon: int = 0
    version: int = 0
    cleaned: int = 0


def pack_position(position: int) -> bytes:
    """The key of the record whose last event stands there."""
    return _POSITION.pack(position)


def unpack_position(key: Data) -> int:
    """The position a key stands for."""
    position: int = _POSITION.unpack(key)[0]
    return position


def pack_id(number: int) -> bytes:
    """The key of a series."""
    return _ID.pack(number)


def pack_meta(meta: Meta) -> bytes:
    return _META.pack(*meta)


def unpack_meta(data: Data) -> Meta:
    return Meta(*_META.unpack(data))


def pack_series(series: Series) -> bytes:
    since = -1 if series.symbol_since is None else series.symbol_since
    return _SERIES.pack(since, series.symbol_horizon, series.created, series.initial) + series.name.encode()


def unpack_series(data: Data) -> Series:
    since, horizon, created, initial = _SERIES.unpack_from(data)
    name = bytes(data[_SERIES.size :]).decode()
    return Series(name, None if since < 0 else since, horizon, created, initial)


def pack_one(series: int, time: int, value: float) -> bytes:
    """The record of one event."""
    body = _SINGLE.pack(series, time, value)
    return _CHECKSUM.pack(crc32(body)) + body


def pack_batch(batch: Batch, ids: Sequence[int]) -> bytes:
    """The record of a batch whose `names` have these ids."""
    one_time = isinstance(batch.times, int)
    one_series = batch.which is None
    flags = (0 if one_series else _HAS_IDS) | (0 if one_time else _HAS_TIMES)
    parts = [_BATCH.pack(flags, len(batch), ids[0] if one_series else 0, batch.times if one_time else 0)]
    if not one_series:
        parts.append(np.asarray(ids, "<u4")[batch.which].tobytes())
    if not one_time:
        parts.append(np.asarray(batch.times, "<i8").tobytes())
    parts.append(np.asarray(batch.values, "<f8").tobytes())
    body = b"".join(parts)
    return _CHECKSUM.pack(crc32(body)) + body


def pack_rows(ids: Ids, times: Times, values: Values) -> bytes:
    """The record of some events that are left of a batch."""
    names = np.unique(ids)
    which = None if len(names) == 1 else np.searchsorted(names, ids).astype(np.uint32)
    same = bool((times == times[0]).all())
    return pack_batch(Batch([""] * len(names), which, int(times[0]) if same else times, values), names.tolist())


def count_events(data: Data) -> int:
    """How many events a record holds."""
    if len(data) <= _SINGLE_SIZE:
        return 1
    count: int = _BATCH.unpack_from(data, _CHECKSUM.size)[1]
    return count


def is_intact(data: Data) -> bool:
    """Whether a record matches its checksum."""
    if len(data) < _SINGLE_SIZE:
        return False
    stored: int = _CHECKSUM.unpack_from(data)[0]
    return stored == crc32(memoryview(data)[_CHECKSUM.size :])


def unpack(data: Data) -> Record:
    """The events of a record. Raises LogDamaged."""
    if not is_intact(data):
        raise LogDamaged("a record of the log does not match its checksum")
    if len(data) == _SINGLE_SIZE:
        return _columns(np.frombuffer(data, _SINGLE_ROW))
    flags, count, series, time = _BATCH.unpack_from(data, _CHECKSUM.size)
    offset = _BATCH_SIZE
    ids = np.full(count, series, np.uint32)
    times = np.full(count, time, np.int64)
    if flags & _HAS_IDS:
        ids = np.frombuffer(data, "<u4", count, offset)
        offset += 4 * count
    if flags & _HAS_TIMES:
        times = np.frombuffer(data, "<i8", count, offset)
        offset += 8 * count
    return ids, times, np.frombuffer(data, "<f8", count, offset)


def unpack_either(data: Data) -> Single | Record:
    """`unpack` without columns where there is but one event. Raises LogDamaged."""
    if len(data) == _SINGLE_SIZE and is_intact(data):
        return Single(*_SINGLE.unpack_from(data, _CHECKSUM.size))
    return unpack(data)


def unpack_all(rows: Sequence[Data]) -> Record:
    """The events of these records, of which there must be one. Raises LogDamaged."""
    single = np.array([len(data) for data in rows]) == _SINGLE_SIZE
    bounds = [0, *(np.flatnonzero(single[1:] != single[:-1]) + 1).tolist(), len(rows)]
    pieces: list[Record] = []
    for start, end in pairwise(bounds):
        if single[start] and end - start > FEW:
            pieces.append(_unpack_singles(rows[start:end]))
        else:
            pieces.extend(map(unpack, rows[start:end]))
    if len(pieces) == 1:
        return pieces[0]
    ids, times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return ids, times, values


def _unpack_singles(rows: Sequence[Data]) -> Record:
    table = np.frombuffer(b"".join(rows), _SINGLE_ROW)
    body = np.ascontiguousarray(table.view(np.uint8).reshape(len(table), -1)[:, _CHECKSUM.size :].T)
    for start in range(0, len(table), CRC_CHUNK):
        part = slice(start, start + CRC_CHUNK)
        if not np.array_equal(crc32_of_columns(body[:, part]), table["checksum"][part]):
            raise LogDamaged("a record of the log does not match its checksum")
    return _columns(table)


def _columns(table: NDArray[np.void]) -> Record:
    return table["id"].astype(np.uint32), table["time"].astype(np.int64), table["value"].astype(np.float64)


def _crc_table() -> NDArray[np.uint32]:
    """What CRC-32 makes of each byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(0xEDB88320), table >> 1)
    return table


_CRC_TABLE = _crc_table()


def crc32_of_columns(columns: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """`zlib.crc32` of many strings of one length at once, given as columns: 40 ns each, where a call takes 600."""
    crc = np.full(columns.shape[1], 0xFFFFFFFF, np.uint32)
    for column in columns:
        crc = _CRC_TABLE[(crc ^ column) & 0xFF] ^ crc >> 8
    return ~crc
