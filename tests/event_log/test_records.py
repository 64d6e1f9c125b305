"""The bytes of records: what is packed is unpacked, and damage, or another position, is noticed."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_log.batch import Batch
from event_log.errors import LogDamaged
from event_log.records import (
    FEW,
    PIECE,
    RUN,
    Columns,
    count_events,
    crc32_of_columns,
    has_positions,
    is_batch,
    is_intact,
    pack_batch,
    pack_columns,
    pack_one,
    pack_pieces,
    sealed,
    series_of,
    singles_of,
    unpack,
    unpack_all,
)

times = st.integers(-(2**63), 2**63 - 1)
values = st.floats(allow_nan=False)
ids = st.integers(0, 2**31 - 1)
positions = st.integers(10_000, 2**53)
rows = st.lists(st.tuples(ids, times, values), min_size=1, max_size=40)
Row = tuple[int, int, int, str]


@st.composite
def batches(draw: st.DrawFn) -> tuple[Batch, list[int]]:
    """A batch in any of its four forms, with the ids of its series."""
    some = draw(st.lists(values, min_size=1, max_size=30))
    numbers = draw(st.lists(ids, min_size=1, max_size=5, unique=True))
    when = draw(times | st.lists(times, min_size=len(some), max_size=len(some)))
    name_indexes = None
    if len(numbers) > 1:
        chosen = st.integers(0, len(numbers) - 1)
        name_indexes = np.array(draw(st.lists(chosen, min_size=len(some), max_size=len(some))), np.uint32)
    names = [str(number) for number in numbers]
    columns = when if isinstance(when, int) else np.array(when, np.int64)
    return Batch(names, name_indexes, columns, np.array(some)), numbers


def as_rows(columns: Columns) -> list[Row]:
    places, ids, times, values = columns
    assert [column.dtype.str for column in columns] == ["<i8", "<u4", "<i8", "<f8"]
    hexes = [value.hex() for value in values.tolist()]
    return list(zip(places.tolist(), ids.tolist(), times.tolist(), hexes, strict=True))


def rows_of(batch: Batch, numbers: list[int], last: int) -> list[Row]:
    name_indexes = [0] * len(batch) if batch.name_indexes is None else batch.name_indexes.tolist()
    when = [batch.times] * len(batch) if isinstance(batch.times, int) else batch.times.tolist()
    places = range(last - len(batch) + 1, last + 1)
    return [
        (place, numbers[i], time, value.hex())
        for place, i, time, value in zip(places, name_indexes, when, batch.values.tolist(), strict=True)
    ]


@given(ids, times, values, positions)
def test_one_event(series: int, time: int, value: float, position: int) -> None:
    data = pack_one(series, time, value, position)
    assert as_rows(unpack(data, position)) == [(position, series, time, value.hex())]
    assert sealed(pack_one(series, time, value), position) == data
    assert count_events(data) == 1
    assert not is_batch(data)
    assert series_of(data) is None


@given(batches(), positions)
def test_a_batch(packed: tuple[Batch, list[int]], position: int) -> None:
    batch, numbers = packed
    data = sealed(pack_batch(batch, numbers), position)
    assert as_rows(unpack(data, position)) == rows_of(batch, numbers, position)
    assert count_events(data) == len(batch)
    assert len(data) <= 24 + 20 * len(batch)
    assert is_batch(data)
    assert not has_positions(data)
    assert series_of(data) == (numbers[0] if batch.name_indexes is None else None)


@given(rows, positions)
def test_events_whose_positions_are_not_in_a_row(left: list[tuple[int, int, float]], position: int) -> None:
    ids, times, values = (np.array(column) for column in zip(*left, strict=True))
    places = position - 3 * np.arange(len(left))[::-1]
    data = pack_columns(ids.astype(np.uint32), times, values.astype(np.float64), places, position)
    assert has_positions(data)
    assert as_rows(unpack(data, position)) == [
        (place, series, time, float(value).hex())
        for place, (series, time, value) in zip(places.tolist(), left, strict=True)
    ]


@given(st.lists(batches() | rows, min_size=1, max_size=6), positions, st.booleans())
def test_many_records_at_once(
    packed: list[tuple[Batch, list[int]] | list[tuple[int, int, float]]], position: int, joined: bool
) -> None:
    records, lasts, expected = [], [], []
    for item in packed:
        if isinstance(item, tuple):
            position += len(item[0])
            records.append(sealed(pack_batch(*item), position))
            lasts.append(position)
            expected.extend(rows_of(*item, position))
            continue
        singles = [pack_one(*row, position + number) for number, row in enumerate(item, 1)]
        expected.extend((position + n, series, time, value.hex()) for n, (series, time, value) in enumerate(item, 1))
        position += len(item)
        records.extend([b"".join(singles)] if joined else singles)
        lasts.extend([position] if joined else range(position - len(item) + 1, position + 1))
    assert as_rows(unpack_all(records, np.array(lasts))) == expected
    assert sum(map(count_events, records)) == len(expected)


def test_a_long_run_of_single_events_is_unpacked_in_one_go() -> None:
    records = [pack_one(i, -i, i / 7, 2**40 + i) for i in range(3 * 8192 + 5)]
    expected = [(2**40 + i, i, -i, (i / 7).hex()) for i in range(len(records))]
    assert as_rows(unpack_all(records, 2**40 + np.arange(len(records)))) == expected
    assert as_rows(unpack(b"".join(records), 2**40 + len(records) - 1)) == expected
    assert list(singles_of(b"".join(records))) == records


@st.composite
def alike(draw: st.DrawFn) -> list[tuple[Batch, list[int]]]:
    """Batches in a row, many of one shape, as the pieces of large ones are."""
    some = []
    for batch, numbers in draw(st.lists(batches(), min_size=1, max_size=3)):
        some += [(batch, [number ^ turn for number in numbers]) for turn in range(draw(st.integers(1, 9)))]
    return some


@given(alike(), positions, st.data())
def test_batches_of_one_shape_are_unpacked_together_and_damage_among_them_is_noticed(
    some: list[tuple[Batch, list[int]]], start: int, data: st.DataObject
) -> None:
    lasts = start + np.cumsum([len(batch) for batch, _ in some])
    rows = [sealed(pack_batch(*packed), last) for packed, last in zip(some, lasts.tolist(), strict=True)]
    expected = [
        row
        for (batch, numbers), last in zip(some, lasts.tolist(), strict=True)
        for row in rows_of(batch, numbers, last)
    ]
    assert as_rows(unpack_all(rows, lasts)) == expected
    which = data.draw(st.integers(0, len(rows) - 1))
    broken = bytearray(rows[which])
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(LogDamaged):
        unpack_all([*rows[:which], bytes(broken), *rows[which + 1 :]], lasts)


@pytest.mark.parametrize("series", [1, 3])
@pytest.mark.parametrize("one_time", [True, False])
def test_pieces_of_a_batch_fill_a_page_each(series: int, one_time: bool) -> None:
    count = 3000
    name_indexes = np.arange(count, dtype=np.uint32) % series if series > 1 else None
    when = 7 if one_time else np.arange(count)
    batch = Batch([str(i) for i in range(series)], name_indexes, when, np.arange(count) / 7)
    numbers = [*range(10, 10 + series)]
    pieces, found, last = pack_pieces(batch, numbers), [], 0
    assert all(PIECE - 20 < len(data) <= PIECE for _, data in pieces[:-1])
    for size, data in pieces:
        last += size
        found += as_rows(unpack(sealed(data, last), last))
    assert found == rows_of(batch, numbers, count)
    assert len(b"".join(pack_one(i, i, i) for i in range(RUN))) == PIECE


@given(st.lists(st.binary(min_size=20, max_size=20), min_size=1, max_size=20))
def test_checksums_in_columns_are_those_of_zlib(strings: list[bytes]) -> None:
    columns = np.frombuffer(b"".join(strings), np.uint8).reshape(-1, 20).T
    assert crc32_of_columns(columns).tolist() == [crc32(string) for string in strings]


@given(batches(), positions, st.data())
def test_a_damaged_bit_is_noticed(packed: tuple[Batch, list[int]], position: int, data: st.DataObject) -> None:
    record = bytearray(sealed(pack_batch(*packed), position))
    bit = data.draw(st.integers(0, 8 * len(record) - 1))
    record[bit // 8] ^= 1 << bit % 8
    assert not is_intact(bytes(record), position)
    with pytest.raises(LogDamaged, match="checksum"):
        unpack(bytes(record), position)


@given(positions, positions.filter(bool), st.booleans())
def test_a_record_at_another_position_is_noticed(position: int, other: int, batch: bool) -> None:
    data = pack_columns(1, 2, np.ones(3), None, position) if batch else pack_one(1, 2, 3.0, position)
    assert is_intact(data, position)
    if other != position:
        assert not is_intact(data, other)
        with pytest.raises(LogDamaged, match=f"position {other} "):
            unpack(data, other)


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 9000])
@pytest.mark.parametrize("byte", [0, 3, 4, 23])
@pytest.mark.parametrize("joined", [True, False])
def test_a_damaged_byte_among_many_records_is_noticed(count: int, byte: int, joined: bool) -> None:
    records = [pack_one(i, i, float(i), i + 1) for i in range(count)]
    damaged = bytearray(records[-1])
    damaged[byte] ^= 0x10
    records[-1] = bytes(damaged)
    lasts = np.arange(count) + 1
    with pytest.raises(LogDamaged, match=f"position {count} does not match its checksum"):
        unpack_all([b"".join(records)] if joined else records, lasts[-1:] if joined else lasts)


@pytest.mark.parametrize("size", [0, 3, 7, 8, 23, 25, 47])
def test_a_record_cut_short_is_damaged(size: int) -> None:
    for whole in (b"".join(pack_one(1, 2, 3.0, i) for i in (1, 2)), pack_columns(1, 2, np.ones(4), None, 2)):
        assert not is_intact(whole[:size], 2)
        with pytest.raises(LogDamaged):
            unpack(whole[:size], 2)
