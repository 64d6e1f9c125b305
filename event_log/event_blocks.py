"""Compacted events as bytes: columns in blocks, each column as narrow as its numbers allow.

A block holds up to 65,536 events in log order. A column of whole numbers is its lowest one and the offsets from it, in
0, 1, 2, 4 or 8 bytes each: one value for all takes nothing but that. Each block has a checksum.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from event_log.codec import Columns, Data
from event_log.errors import LogDamaged

ROWS = 65_536
_HEAD = Struct("<IHHII")  # checksum of the rest of the block, version, nothing yet, rows, bytes behind this head
_COLUMN = Struct("<qB")  # lowest number, bytes of each offset
_VERSION = 1
_WIDTHS: dict[int, np.dtype[Any]] = {1: np.dtype("<u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4"), 8: np.dtype("<u8")}


def pack_blocks(columns: Columns) -> bytes:
    """These events, which must be in log order."""
    return b"".join(_pack_block(columns.chosen(slice(start, start + ROWS))) for start in range(0, len(columns), ROWS))


def unpack_blocks(data: Data) -> Iterator[Columns]:
    """The events of each block. Raises LogDamaged."""
    view, at = memoryview(data), 0
    while at < len(view):
        if len(view) - at < _HEAD.size:
            raise LogDamaged("a block of events is too short")
        checksum, version, _, count, size = _HEAD.unpack_from(view, at)
        block = view[at : at + _HEAD.size + size]
        if version != _VERSION or len(block) != _HEAD.size + size or crc32(block[4:]) != checksum:
            raise LogDamaged("a block of events does not match its checksum")
        yield _unpack_block(block[_HEAD.size :], count)
        at += len(block)


def _pack_block(columns: Columns) -> bytes:
    whole = [_pack_whole(column) for column in (columns.positions, columns.ids, columns.times)]
    body = b"".join([*whole, np.ascontiguousarray(columns.values, "<f8").tobytes()])
    head = _HEAD.pack(0, _VERSION, 0, len(columns), len(body))[4:]
    return crc32(body, crc32(head)).to_bytes(4, "little") + head + body


def _unpack_block(body: memoryview, count: int) -> Columns:
    found, at = list[NDArray[np.int64]](), 0
    for _ in range(3):
        lowest, width = _COLUMN.unpack_from(body, at)
        at += _COLUMN.size
        found.append(_unpack_whole(body[at : at + count * width], count, lowest, width))
        at += count * width
    return Columns(found[0], found[1].astype(np.uint32), found[2], np.frombuffer(body, "<f8", count, at))


def _pack_whole(column: NDArray[np.int64] | NDArray[np.uint32]) -> bytes:
    numbers = column.astype(np.int64, copy=False)
    lowest = int(numbers.min())
    # Modulo 2**64, as all of this: the difference of two numbers always fits an unsigned one.
    offsets = numbers.astype(np.uint64) - np.uint64(lowest % 2**64)
    width = next((width for width in (0, 1, 2, 4) if int(offsets.max()) < 256**width), 8)
    data = offsets.astype(_WIDTHS[width]).tobytes() if width else b""
    return _COLUMN.pack(lowest, width) + data


def _unpack_whole(data: memoryview, count: int, lowest: int, width: int) -> NDArray[np.int64]:
    if not width:
        return np.full(count, lowest, np.int64)
    return np.add(np.frombuffer(data, _WIDTHS[width], count).astype(np.int64), lowest)
