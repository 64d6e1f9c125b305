"""The entries of the stream: each holds the records of all who appended together, one behind the other.

An entry's id is the position and the number of its last record. Its field `r` holds a nonce of eight bytes, then the
records; a field `t` the log's time, where a record needs it. A short record that takes one position is its size, its
kind and its payload; another one 0, its kind, whether it is timed, the positions it takes, its size and its payload.
An entry without a field `r` is a jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error
from typing import Any

import numpy as np

from event_log.codec import FEW, JUMP, SINGLE, SINGLE_ROW, SINGLE_SIZE, Singles
from event_log.errors import LogDamaged
from event_log.port import Appended, Cursor, Entry, Record
from event_log.redis.connection import Packed, pack
from event_log.redis.keys import Keys

NONCE = 8
"""Bytes by which a writer knows an entry as its own."""
_HEADER = Struct("<BB?QI")
_SHORT = Struct("BB")
_ONE = _SHORT.pack(SINGLE_SIZE, SINGLE)
_TAGGED = len(_ONE) + SINGLE_SIZE
_TAGGED_ROW = np.dtype([("size", "u1"), ("kind", "u1"), *SINGLE_ROW.descr])
MOST_ENTRIES = 2000
"""Entries of one read: to give as many takes Redis about a millisecond."""
_HEAD = "mark", "number", "generation", "compacted"
Raw = Sequence[Any]
"""An entry as Redis sends it: its id, then names and values of its fields by turns."""


def read_entries(keys: Keys, cursor: Cursor, count: int) -> Packed:
    """Return the commands that read what a chunk is made of: some fields of the head, then the entries behind a
    cursor."""
    start = f"({cursor.position}-{cursor.number}" if cursor.number else "-"
    return pack(("HMGET", keys.head, *_HEAD), ("XRANGE", keys.stream, start, "+", "COUNT", count))


def pack_record(record: Record) -> bytes:
    """Return a record as it stands in an entry."""
    size = len(record.payload)
    if record.takes == 1 and not record.timed and 0 < size < 256:
        return _SHORT.pack(size, record.kind) + record.payload
    return _HEADER.pack(0, record.kind, record.timed, record.takes, size) + record.payload


def end_of(key: bytes) -> Appended:
    """Return the number and position of the last record of the entry with this id."""
    position, _, number = key.partition(b"-")
    return Appended(int(number), int(position))


def nonce_of(entry: Raw) -> bytes:
    """Return the nonce of an entry; that of a jump is none."""
    return bytes(entry[1][1][:NONCE]) if entry[1][0] == b"r" else b""


def holds(entry: Raw, number: int, position: int) -> bool:
    """Return whether an entry holds the record of this number and position."""
    end = end_of(entry[0])
    if end.number == number or entry[1][0] != b"r":
        return end == (number, position)
    takes = [record.takes for record in _records(entry[1][1])]
    behind = end.number - number
    return 0 <= behind < len(takes) and end.position - sum(takes[len(takes) - behind :]) == position


class Missing(Exception):
    """Records are missing between the last one taken and an entry."""


class Decoder:
    """Takes entries of the stream behind a cursor, and makes records of them."""

    def __init__(self, cursor: Cursor) -> None:
        self.end = Appended(cursor.number, cursor.position)
        """Number and position of the last record taken."""
        self.size = 0
        """Bytes taken."""
        self.taken: list[Entry | Singles] = []
        self._run: list[bytes] = []  # single events that are yet to be taken
        self._positions: list[int] = []

    def take(self, entry: Raw) -> None:
        """Take the records of an entry that stand behind the last one taken. Raises Missing, LogDamaged."""
        end, fields = end_of(entry[0]), entry[1]
        data = fields[1] if fields[0] == b"r" else b""
        self.size += len(data)
        if end.number <= self.end.number:
            return
        if len(data) == NONCE + _TAGGED and data.startswith(_ONE, NONCE) and end.number == self.end.number + 1:
            self._run.append(data[NONCE:])
            self._positions.append(end.position)
        elif not data:
            self._follow(end.number)
            self._put(Entry(end.position, 0, JUMP, end.position - self.end.position, b""))
        else:
            self._several(data, int(fields[3]) if len(fields) > 2 else 0, end)
        self.end = end

    def finish(self) -> list[Entry | Singles]:
        """Return all records taken."""
        positions, run = self._positions, self._run
        if len(run) > FEW:
            self.taken.append(Singles(np.array(positions, np.int64), np.frombuffer(b"".join(run), _TAGGED_ROW)))
        else:
            rows = zip(positions, run, strict=True)
            self.taken += [Entry(position, 0, SINGLE, 1, data[len(_ONE) :]) for position, data in rows]
        self._run, self._positions = [], []
        return self.taken

    def _several(self, data: bytes, time: int, end: Appended) -> None:
        """Records of one entry; those up to the last one taken are left out."""
        try:
            records = _records(data)
        except (error, IndexError) as fault:
            raise LogDamaged(f"an entry of the stream at position {end.position} cannot be read: {fault}") from fault
        self._follow(end.number - len(records) + 1)
        position = end.position - sum(record.takes for record in records)
        for number, record in enumerate(records, end.number - len(records) + 1):
            position += record.takes
            if number <= self.end.number:
                continue
            if record.kind == SINGLE:
                self._run.append(_ONE + record.payload)
                self._positions.append(position)
            else:
                at = time if record.timed else 0
                self._put(Entry(position, at, record.kind, record.takes, record.payload))

    def _follow(self, first: int) -> None:
        if first > self.end.number + 1:
            raise Missing

    def _put(self, entry: Entry) -> None:
        self.finish()
        self.taken.append(entry)


def _records(data: bytes) -> list[Record]:
    """The records of an entry. Raises struct.error or IndexError."""
    found, at = list[Record](), NONCE
    while at < len(data):
        size, kind = _SHORT.unpack_from(data, at)
        is_timed, takes, start = False, 1, at + _SHORT.size
        if not size:
            _, _, is_timed, takes, size = _HEADER.unpack_from(data, at)
            start = at + _HEADER.size
        at = start + size
        found.append(Record(kind, data[start:at], takes, is_timed))
    if at != len(data):
        raise IndexError("it is cut off")
    return found
