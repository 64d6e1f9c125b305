"""The bytes of records: what is packed is unpacked, and damage is noticed."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_log.base import Batch, LogDamaged, Series
from event_log.records import (
    FEW,
    Meta,
    Record,
    Single,
    count_events,
    crc32_of_columns,
    is_intact,
    pack_batch,
    pack_id,
    pack_meta,
    pack_one,
    pack_position,
    pack_rows,
    pack_series,
    unpack,
    unpack_all,
    unpack_either,
    unpack_meta,
    unpack_position,
    unpack_series,
)

times = st.integers(-(2**63), 2**63 - 1)
values = st.floats(allow_nan=False)
ids = st.integers(0, 2**32 - 1)
positions = st.integers(0, 2**64 - 1)
rows = st.lists(st.tuples(ids, times, values), min_size=1, max_size=40)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Batch, list[int]]:
    """A batch in any of its four forms, with the ids of its series."""
    some = draw(st.lists(values, min_size=1, max_size=30))
    numbers = draw(st.lists(ids, min_size=1, max_size=5, unique=True))
    when = draw(times | st.lists(times, min_size=len(some), max_size=len(some)))
    which = None
    if len(numbers) > 1:
        chosen = st.integers(0, len(numbers) - 1)
        which = np.array(draw(st.lists(chosen, min_size=len(some), max_size=len(some))), np.uint32)
    names = [str(number) for number in numbers]
    columns = when if isinstance(when, int) else np.array(when, np.int64)
    return Batch(names, which, columns, np.array(some)), numbers


def as_rows(record: Record) -> list[tuple[int, int, str]]:
    ids, times, values = record
    assert [column.dtype.str for column in record] == ["<u4", "<i8", "<f8"]
    return list(zip(ids.tolist(), times.tolist(), [value.hex() for value in values.tolist()], strict=True))


def rows_of(batch: Batch, numbers: list[int]) -> list[tuple[int, int, str]]:
    which = [0] * len(batch) if batch.which is None else batch.which.tolist()
    when = [batch.times] * len(batch) if isinstance(batch.times, int) else batch.times.tolist()
    return [(numbers[i], time, value.hex()) for i, time, value in zip(which, when, batch.values.tolist(), strict=True)]


@given(ids, times, values)
def test_one_event(series: int, time: int, value: float) -> None:
    data = pack_one(series, time, value)
    assert as_rows(unpack(data)) == [(series, time, value.hex())]
    assert unpack_either(data) == (series, time, value)
    assert count_events(data) == 1


@given(batches())
def test_a_batch(packed: tuple[Batch, list[int]]) -> None:
    batch, numbers = packed
    data = pack_batch(batch, numbers)
    assert as_rows(unpack(data)) == rows_of(batch, numbers)
    either = unpack_either(data)
    assert not isinstance(either, Single)
    assert as_rows(either) == rows_of(batch, numbers)
    assert count_events(data) == len(batch)
    assert len(data) <= 24 + 20 * len(batch)


@given(rows)
def test_what_is_left_of_a_batch(left: list[tuple[int, int, float]]) -> None:
    columns = [np.array(column) for column in zip(*left, strict=True)]
    data = pack_rows(columns[0].astype(np.uint32), columns[1].astype(np.int64), columns[2].astype(np.float64))
    assert as_rows(unpack(data)) == [(series, time, float(value).hex()) for series, time, value in left]


@given(st.lists(batches() | rows, min_size=1, max_size=6))
def test_many_records_at_once(packed: list[tuple[Batch, list[int]] | list[tuple[int, int, float]]]) -> None:
    records, expected = [], []
    for item in packed:
        if isinstance(item, tuple):
            records.append(pack_batch(*item))
            expected.extend(rows_of(*item))
        else:
            records.extend(pack_one(*row) for row in item)
            expected.extend((series, time, value.hex()) for series, time, value in item)
    assert as_rows(unpack_all(records)) == expected


def test_a_long_run_of_single_events_is_unpacked_in_one_go() -> None:
    records = [pack_one(i, -i, i / 7) for i in range(3 * 8192 + 5)]
    assert as_rows(unpack_all(records)) == [(i, -i, (i / 7).hex()) for i in range(len(records))]


@given(st.lists(st.binary(min_size=20, max_size=20), min_size=1, max_size=20))
def test_checksums_in_columns_are_those_of_zlib(strings: list[bytes]) -> None:
    columns = np.frombuffer(b"".join(strings), np.uint8).reshape(-1, 20).T
    assert crc32_of_columns(columns).tolist() == [crc32(string) for string in strings]


@given(batches(), st.data())
def test_a_damaged_bit_is_noticed(packed: tuple[Batch, list[int]], data: st.DataObject) -> None:
    record = bytearray(pack_batch(*packed))
    bit = data.draw(st.integers(0, 8 * len(record) - 1))
    record[bit // 8] ^= 1 << bit % 8
    assert not is_intact(bytes(record))
    with pytest.raises(LogDamaged, match="checksum"):
        unpack(bytes(record))


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 9000])
@pytest.mark.parametrize("byte", [0, 3, 4, 23])
def test_a_damaged_byte_among_many_records_is_noticed(count: int, byte: int) -> None:
    records = [pack_one(i, i, float(i)) for i in range(count)]
    damaged = bytearray(records[-1])
    damaged[byte] ^= 0x10
    with pytest.raises(LogDamaged, match="checksum"):
        unpack_all([*records[:-1], bytes(damaged)])


@pytest.mark.parametrize("size", [0, 3, 23])
def test_a_record_cut_short_is_damaged(size: int) -> None:
    data = pack_one(1, 2, 3.0)[:size]
    assert count_events(data) == 1
    with pytest.raises(LogDamaged):
        unpack(data)


@given(positions, positions)
def test_keys_are_in_the_order_of_positions(a: int, b: int) -> None:
    assert unpack_position(pack_position(a)) == a
    assert (pack_position(a) < pack_position(b)) == (a < b)


@given(ids, ids)
def test_keys_of_series_are_in_the_order_of_their_ids(a: int, b: int) -> None:
    assert (pack_id(a) < pack_id(b)) == (a < b)


@given(times, positions, positions)
def test_the_head(horizon: int, version: int, cleaned: int) -> None:
    assert unpack_meta(pack_meta(Meta(horizon, version, cleaned))) == Meta(horizon, version, cleaned)


@given(st.text(max_size=128).filter(str.isprintable), st.none() | st.integers(0, 2**63 - 1), times, times)
def test_a_series(name: str, since: int | None, horizon: int, created: int) -> None:
    series = Series(name, since, horizon, created, initial=12.5)
    assert unpack_series(pack_series(series)) == series
