"""Entries of the stream: records of many in one, and readers that stand amid them."""

from __future__ import annotations

import numpy as np
import pytest

from event_log.codec import BATCH, JUMP, SINGLE, WRITE, Singles, pack_single
from event_log.errors import LogDamaged
from event_log.port import Cursor, Entry, Record
from event_log.redis.entries import NONCE, Decoder, Missing, holds, pack_record

RECORDS = [
    Record(SINGLE, pack_single(1, 2, 3.0), 1),
    Record(WRITE, b"some words", 3, timed=True),
    Record(BATCH, b"x" * 300, 2),
    Record(WRITE, b"", 1),
    Record(WRITE, b"without", 0),
    Record(SINGLE, pack_single(4, 5, 6.0), 1),
]
ENTRIES = [
    Entry(1, 0, SINGLE, 1, RECORDS[0].payload),
    Entry(4, 77, WRITE, 3, b"some words"),
    Entry(6, 0, BATCH, 2, b"x" * 300),
    Entry(7, 0, WRITE, 1, b""),
    Entry(7, 0, WRITE, 0, b"without"),
    Entry(8, 0, SINGLE, 1, RECORDS[5].payload),
]
PACKED = b"n" * NONCE + b"".join(map(pack_record, RECORDS))
RAW = [b"8-6", [b"r", PACKED, b"t", b"77"]]


@pytest.mark.parametrize("taken", range(6))
def test_a_reader_may_stand_amid_an_entry(taken: int) -> None:
    before = ENTRIES[taken - 1].position if taken else 0
    decoder = Decoder(Cursor(1, taken, before))
    decoder.take(RAW)
    decoder.take([b"20-7", [b"j", b""]])
    assert decoder.finish() == [*ENTRIES[taken:], Entry(20, 0, JUMP, 12, b"")]
    assert decoder.end == (7, 20)


def test_an_entry_holds_each_of_its_records_where_it_stands() -> None:
    for number, entry in enumerate(ENTRIES, 1):
        assert holds(RAW, number, entry.position)
        assert not holds(RAW, number, entry.position + 1)
    assert not holds(RAW, 7, 8)
    assert holds([b"20-7", [b"j", b""]], 7, 20)
    assert not holds([b"20-7", [b"j", b""]], 6, 20)


def test_what_is_missing_is_noticed_wherever_it_stood() -> None:
    for entry in (RAW, [b"20-7", [b"j", b""]], [b"3-3", [b"r", b"n" * NONCE + pack_record(RECORDS[0])]]):
        with pytest.raises(Missing):
            Decoder(Cursor(1, 0, 0) if entry is not RAW else Cursor(1, -1, 0)).take(entry)


@pytest.mark.parametrize("size", range(NONCE + 1, len(PACKED), 7))
def test_what_is_cut_off_is_damage_or_missing(size: int) -> None:
    with pytest.raises((LogDamaged, Missing)):
        Decoder(Cursor(1, 0, 0)).take([b"8-6", [b"r", PACKED[:size], b"t", b"77"]])


def test_long_runs_of_single_events_become_columns_over_entries() -> None:
    decoder = Decoder(Cursor(1, 0, 0))
    for end in range(3, 303, 3):
        rows = b"".join(pack_record(Record(SINGLE, pack_single(end, row, 0.5), 1)) for row in range(3))
        decoder.take([b"%d-%d" % (end, end), [b"r", b"n" * NONCE + rows]])
    (columns,) = decoder.finish()
    assert isinstance(columns, Singles)
    assert columns.positions.tolist() == list(range(1, 301))
    assert np.array_equal(columns.rows["time"], np.tile([0, 1, 2], 100))
