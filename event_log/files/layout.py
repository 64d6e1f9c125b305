"""The bytes of the files store: heads of segments, records, and places in the log. All numbers are little-endian.

A record is a crc, its length and kind, the low bits of its number, flags and its position, and a payload. The crc
covers all that follows it and begins with that of the record before. So neither what a killed writer has left nor the
rest of a lost history ever fits behind what is there.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple
from zlib import crc32

FORMAT = b"tidemark log 4\0\0"
LOW = 0xFFFFFFFF
CRC = Struct("<I")
BODY = Struct("<IIQ")  # length << 8 | kind, low bits of the number, flags << 56 | position
RECORD = Struct("<IIIQ")  # crc, and the body
FLAGS = 56
RAISES, TIMED, FENCES = 1, 2, 4
"""Flags. Before the payload stands the horizon that a record publishes, and then the log's time, where it has them."""
WORD = Struct("<q")
NO_HORIZON = -(2**63)
MOST_BYTES = 2**24 - 1
"""Maximum length of a payload with what stands before it."""
SECTOR = 512
"""Bytes that a disk writes whole or not at all."""
RECORDS = 2 * SECTOR
"""Offset of the first record in a segment, behind two copies of its head."""


class Tail(NamedTuple):
    """A place in the log, with what the records up to there have published."""

    segment: int
    """The number of the last record before the segment, which names its file."""
    offset: int
    """Bytes from the beginning of that file."""
    number: int
    position: int
    crc: int
    horizon: int
    fence: int
    """The number of the last record that fences."""
    history: int


class SegmentHead(NamedTuple):
    """Record that a segment links to, and the end of the segment, if the next one does not begin there."""

    number: int
    position: int
    crc: int
    end: int = 0


TAIL = Struct("<QQQQQqQQ")
_SYNCED = Struct("<QQQQQqQQQQ")
SYNCED_SIZE = _SYNCED.size + CRC.size
_SEGMENT = Struct("<16sQQQQ")


def crc_of(data: bytes) -> bytes:
    """Return the checksum that stands behind bytes that may be torn."""
    return CRC.pack(crc32(data))


def with_crc(data: bytes) -> bytes:
    """Bytes that may be torn, with a crc behind."""
    return data + crc_of(data)


def without_crc(data: bytes) -> bytes | None:
    """The bytes before the crc, or None where it does not match."""
    body = data[: -CRC.size]
    return body if crc_of(body) == data[-CRC.size :] else None


def pack_segment(head: SegmentHead) -> bytes:
    """Two copies, each in a sector of its own."""
    copy = with_crc(_SEGMENT.pack(FORMAT, *head))
    return copy.ljust(SECTOR, b"\0") + copy


def unpack_segment(data: bytes) -> SegmentHead | None:
    """The first copy that is whole, if one is."""
    for start in (0, SECTOR):
        body = without_crc(data[start : start + _SEGMENT.size + CRC.size])
        if body is not None and body.startswith(FORMAT):
            return SegmentHead(*_SEGMENT.unpack(body)[1:])
    return None


class Synced(NamedTuple):
    """A place up to which all is on the disk."""

    tail: Tail
    sequence: int
    """Number of this sync; it rises by one with each."""
    clean: bool
    """True if the last user closed the log there in good order."""


def pack_synced(synced: Synced) -> bytes:
    return with_crc(_SYNCED.pack(*synced.tail, synced.sequence, synced.clean))


def unpack_synced(data: bytes) -> Synced | None:
    """None where it is torn or empty."""
    body = without_crc(data)
    if body is None:
        return None
    *fields, sequence, clean = _SYNCED.unpack(body)
    return Synced(Tail(*fields), sequence, bool(clean))


def pack_record(kind: int, number: int, flagged_position: int, payload: bytes, crc: int) -> tuple[bytes, int]:
    """The bytes of a record behind one that has this crc, and its own crc."""
    body = BODY.pack(len(payload) << 8 | kind, number & LOW, flagged_position) + payload
    crc = crc32(body, crc)
    return CRC.pack(crc) + body, crc
