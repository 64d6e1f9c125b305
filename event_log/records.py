"""The bytes of events: a record holds one event, a run of single ones, or a batch.

All numbers are little-endian. A record opens with a checksum of the rest that is sealed with the position of its last
event: an exclusive or, so that whoever gives out the position can put the seal on last. One event takes 24 bytes, and
a run of n joined ones 24 * n; a batch takes 24 and 8, 16 or 20 for each event, and 8 more where its positions are not
in a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from struct import Struct
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from event_log.base import Batch, Ids, LogDamaged, Times, Values

FORMAT = b"tidemark log 2"
PIECE = 4080
"""What fits a page that LMDB gives to one value. Where all are that small, no free room is of the wrong shape."""
RUN = 170
"""So many single events make such a piece."""
FEW = 32
"""So many single events in a row are quicker unpacked one by one."""
ALIKE = 4
"""So many batches of one shape in a row are quicker unpacked together."""
CRC_CHUNK = 8192
"""So many rows fit the processor's caches."""

_CHECKSUM = Struct("<I")
_SINGLE = Struct("<Iqd")  # series id, time, value
SINGLE_SIZE = _CHECKSUM.size + _SINGLE.size
_SINGLE_ROW = np.dtype([("checksum", "<u4"), ("id", "<u4"), ("time", "<i8"), ("value", "<f8")])
_BATCH = Struct("<IIIq")  # flags, count, series id (if one for all), time (if one for all)
_BATCH_SIZE = _CHECKSUM.size + _BATCH.size
_BATCH_ROW = np.dtype([("checksum", "<u4"), ("flags", "<u4"), ("count", "<u4"), ("id", "<u4"), ("time", "<i8")])
_FLAGS_END = _CHECKSUM.size + 4
_IS_BATCH = 1 << 31  # where a single event has its series, which is lower
_HAS_IDS = 1
_HAS_TIMES = 2
_HAS_POSITIONS = 4

Data = bytes | memoryview
"""LMDB gives bytes, but its types allow for buffers."""
Columns = tuple[Times, Ids, Times, Values]
"""Positions, series, times and values of the events of one or more records."""


def seal(position: int) -> int:
    """What a checksum is combined with where the record's last event stands there; 0 for position 0."""
    return (position ^ position >> 32) & 0xFFFFFFFF


def sealed(record: bytes, position: int) -> bytes:
    """A record packed without a position, with the seal of one."""
    checksum: int = _CHECKSUM.unpack_from(record)[0]
    return _CHECKSUM.pack(checksum ^ seal(position)) + record[_CHECKSUM.size :]


def pack_one(series: int, time: int, value: float, position: int = 0) -> bytes:
    """The record of one event."""
    body = _SINGLE.pack(series, time, value)
    return _CHECKSUM.pack(crc32(body) ^ (position ^ position >> 32) & 0xFFFFFFFF) + body


def pack_columns(
    ids: Ids | int, times: Times | int, values: Values, positions: Times | None = None, position: int = 0
) -> bytes:
    """The record of a batch: ids and times may be one for all; positions are needed where they are not in a row, and
    end with `position`."""
    one_series, one_time = isinstance(ids, int), isinstance(times, int)
    flags = _IS_BATCH | (0 if one_series else _HAS_IDS) | (0 if one_time else _HAS_TIMES)
    parts = [] if one_series else [np.asarray(ids, "<u4").tobytes()]
    if not one_time:
        parts.append(np.asarray(times, "<i8").tobytes())
    if positions is not None:
        flags |= _HAS_POSITIONS
        parts.append(np.asarray(positions, "<i8").tobytes())
    head = _BATCH.pack(flags, len(values), ids if one_series else 0, times if one_time else 0)
    body = b"".join((head, *parts, np.asarray(values, "<f8").tobytes()))
    return _CHECKSUM.pack(crc32(body) ^ seal(position)) + body


def pack_batch(batch: Batch, ids: Sequence[int]) -> bytes:
    """The record of a batch whose `names` have these ids, without a position."""
    return pack_columns(_own_ids(batch, ids), batch.times, batch.values)


def pack_pieces(batch: Batch, ids: Sequence[int]) -> list[tuple[int, bytes]]:
    """The same in as many records as PIECE demands, each with the number of its events."""
    own, times, values = _own_ids(batch, ids), batch.times, batch.values
    size = (PIECE - _BATCH_SIZE) // (8 + (0 if isinstance(own, int) else 4) + (0 if isinstance(times, int) else 8))
    pieces = []
    for start in range(0, len(values), size):
        rows = slice(start, start + size)
        part = values[rows]
        some_ids = own if isinstance(own, int) else own[rows]
        pieces.append((len(part), pack_columns(some_ids, times if isinstance(times, int) else times[rows], part)))
    return pieces


def _own_ids(batch: Batch, ids: Sequence[int]) -> Ids | int:
    return ids[0] if batch.name_indexes is None else np.asarray(ids, "<u4")[batch.name_indexes]


def is_batch(data: Data) -> bool:
    """Whether it is the record of a batch, not of single events."""
    return len(data) > 7 and data[7] >= 0x80


def series_of(data: Data) -> int | None:
    """The series of a batch of one; None of any other record."""
    flags, _, series, _ = _BATCH.unpack_from(data, _CHECKSUM.size)
    return series if flags & _IS_BATCH and not flags & _HAS_IDS else None


def has_positions(data: Data) -> bool:
    """Whether a record says the position of each of its events, which need not be in a row."""
    return is_batch(data) and bool(data[4] & _HAS_POSITIONS)


def count_events(data: Data) -> int:
    """How many events a record holds."""
    if len(data) == SINGLE_SIZE or not is_batch(data):
        return max(1, len(data) // SINGLE_SIZE)
    count: int = _BATCH.unpack_from(data, _CHECKSUM.size)[1]
    return count


def singles_of(data: Data) -> Iterator[bytes]:
    """The records of one event that a run is made of."""
    return (bytes(data[start : start + SINGLE_SIZE]) for start in range(0, len(data), SINGLE_SIZE))


def is_intact(data: Data, last: int) -> bool:
    """Whether a record matches its checksum at the position of its last event."""
    if is_batch(data):
        stored: int = _CHECKSUM.unpack_from(data)[0]
        return _size_of(data) == len(data) and stored == crc32(memoryview(data)[_CHECKSUM.size :]) ^ seal(last)
    if not data or len(data) % SINGLE_SIZE:
        return False
    first = last - len(data) // SINGLE_SIZE + 1
    return all(
        _CHECKSUM.unpack_from(one)[0] == crc32(one[_CHECKSUM.size :]) ^ seal(first + number)
        for number, one in enumerate(singles_of(data))
    )


def _size_of(data: Data) -> int:
    """How long a batch must be by its own head."""
    if len(data) < _BATCH_SIZE:
        return -1
    flags, count, _, _ = _BATCH.unpack_from(data, _CHECKSUM.size)
    wide = (flags & _HAS_TIMES) // _HAS_TIMES + (flags & _HAS_POSITIONS) // _HAS_POSITIONS
    return _BATCH_SIZE + int(count) * (8 + 4 * (flags & _HAS_IDS) + 8 * wide) if count else -1


def unpack(data: Data, last: int) -> Columns:
    """The events of a record whose last one stands at a position. Raises LogDamaged."""
    if not is_batch(data):
        return _unpack_singles([data], np.array([last]))
    if not is_intact(data, last):
        raise damaged(last)
    flags, count, series, time = _BATCH.unpack_from(data, _CHECKSUM.size)
    offset = _BATCH_SIZE
    ids, times = np.full(count, series, np.uint32), np.full(count, time, np.int64)
    positions = np.arange(last - count + 1, last + 1)
    if flags & _HAS_IDS:
        ids = np.frombuffer(data, "<u4", count, offset)
        offset += 4 * count
    if flags & _HAS_TIMES:
        times = np.frombuffer(data, "<i8", count, offset)
        offset += 8 * count
    if flags & _HAS_POSITIONS:
        positions = np.frombuffer(data, "<i8", count, offset)
        offset += 8 * count
    return positions, ids, times, np.frombuffer(data, "<f8", count, offset)


def unpack_all(rows: Sequence[Data], lasts: Times) -> Columns:
    """The events of these records, of which there must be one, whose last ones stand at `lasts`. Raises LogDamaged."""
    single = np.array([not is_batch(data) for data in rows])
    bounds = [0, *(np.flatnonzero(single[1:] != single[:-1]) + 1).tolist(), len(rows)]
    pieces: list[Columns] = []
    for start, end in pairwise(bounds):
        if single[start]:
            pieces.append(_unpack_singles(rows[start:end], lasts[start:end]))
        else:
            pieces.extend(_unpack_batches(rows[start:end], lasts[start:end]))
    return joined(pieces)


def _unpack_batches(rows: Sequence[Data], lasts: Times) -> Iterator[Columns]:
    """The events of batches; those of one shape in a row, such as the pieces of a large one, at once."""
    end = 0
    for _, group in groupby(rows, lambda data: (len(data), bytes(data[_CHECKSUM.size : _FLAGS_END]))):
        alike = list(group)
        start, end = end, end + len(alike)
        if len(alike) < ALIKE or has_positions(alike[0]) or not _are_alike(alike):
            yield from map(unpack, alike, lasts[start:end].tolist())
        else:
            yield _unpack_alike(alike, lasts[start:end])


def _are_alike(rows: Sequence[Data]) -> bool:
    """Whether batches of equal length and flags also say that they hold as many events, which is as many as fit."""
    counts = {_BATCH.unpack_from(data, _CHECKSUM.size)[1] for data in rows}
    return len(counts) == 1 and _size_of(rows[0]) == len(rows[0])


def _unpack_alike(rows: Sequence[Data], lasts: Times) -> Columns:
    """The events of batches of one shape, whose positions are in a row."""
    table = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
    heads = np.ascontiguousarray(table[:, :_BATCH_SIZE]).view(_BATCH_ROW)[:, 0]
    checksums = np.array([crc32(memoryview(data)[_CHECKSUM.size :]) for data in rows], np.uint32)
    wrong = checksums != heads["checksum"] ^ _seals(lasts)
    if wrong.any():
        raise damaged(int(lasts[wrong.argmax()]))
    flags, count = int(heads["flags"][0]), int(heads["count"][0])
    offset = _BATCH_SIZE

    def column(kind: str) -> NDArray[Any]:
        nonlocal offset
        start, offset = offset, offset + count * int(kind[-1])
        return np.ascontiguousarray(table[:, start:offset]).view(kind).ravel()

    positions = (lasts[:, None] + np.arange(1 - count, 1)).ravel()
    ids = column("<u4") if flags & _HAS_IDS else heads["id"].repeat(count)
    times = column("<i8") if flags & _HAS_TIMES else heads["time"].repeat(count)
    return positions, ids, times, column("<f8")


def joined(pieces: Sequence[Columns]) -> Columns:
    """These columns one behind the other; there must be some."""
    if len(pieces) == 1:
        return pieces[0]
    positions, ids, times, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    return positions, ids, times, values


def chosen(columns: Columns, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> Columns:
    """These rows of the columns."""
    positions, ids, times, values = columns
    return positions[rows], ids[rows], times[rows], values[rows]


def _unpack_singles(rows: Sequence[Data], lasts: Times) -> Columns:
    if any(len(data) % SINGLE_SIZE or not data for data in rows):
        raise damaged(int(lasts[0]))
    table = np.frombuffer(b"".join(rows), _SINGLE_ROW)
    positions = lasts if len(table) == len(rows) else _in_rows(rows, lasts)
    if not np.array_equal(_checksums(table), table["checksum"] ^ _seals(positions)):
        wrong = _checksums(table) != table["checksum"] ^ _seals(positions)
        raise damaged(int(positions[wrong.argmax()]))
    return (
        positions,
        table["id"].astype(np.uint32),
        table["time"].astype(np.int64),
        table["value"].astype(np.float64),
    )


def _in_rows(rows: Sequence[Data], lasts: Times) -> Times:
    """The position of each event of runs."""
    counts = np.array([len(data) // SINGLE_SIZE for data in rows])
    return np.repeat(lasts - np.cumsum(counts), counts) + np.arange(1, int(counts.sum()) + 1)


def _seals(positions: Times) -> NDArray[np.uint32]:
    return (positions ^ positions >> 32).astype(np.uint32)


def _checksums(table: NDArray[np.void]) -> NDArray[np.uint32]:
    """What the checksums of these single events must be at position 0."""
    rows = table.view(np.uint8).reshape(len(table), -1)
    if len(table) <= FEW:
        return np.array([crc32(row[_CHECKSUM.size :].tobytes()) for row in rows], np.uint32)
    body = np.ascontiguousarray(rows[:, _CHECKSUM.size :].T)
    return np.concatenate(
        [crc32_of_columns(body[:, start : start + CRC_CHUNK]) for start in range(0, len(table), CRC_CHUNK)]
    )


def damaged(position: int) -> LogDamaged:
    """Return the fault of a record that does not match its checksum."""
    return LogDamaged(f"the record at position {position} does not match its checksum")


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
