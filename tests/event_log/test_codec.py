"""Packing: it is reversible, and damage to packed bytes is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from event_log import codec
from event_log.batch import Batch
from event_log.checkpoint import pack, unpack
from event_log.codec import NONCE, Claim, Columns, End, Newer
from event_log.errors import LogDamaged, LogUnavailable
from event_log.event_blocks import ROWS, pack_blocks, unpack_blocks
from event_log.idempotency import Done, Remembered, Run, merge_runs, pack_run
from event_log.machine import Machine
from event_log.port import Chunk, Cursor, Entry
from event_log.rules import Rules
from event_log.series import Series
from event_log.writes import Budget, Conditions, Once, Owner, Write, pack_write, unpack_write

WHOLE = st.integers(-(2**63), 2**63 - 1)
DIGEST = st.binary(min_size=16, max_size=16)
NAME = st.text(max_size=20)
NUMBER = st.floats(allow_nan=False)
CONDITIONS = st.builds(
    Conditions,
    keep=st.none() | st.integers(0, 10**6),
    once=st.none() | st.builds(Once, DIGEST, DIGEST),
    budget=st.none() | st.builds(Budget, NAME, NUMBER, st.integers(0, 10**9)),
    owner=st.none() | st.builds(Owner, NAME, st.integers(0, 10**6)),
)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    names = draw(st.lists(NAME, min_size=1, max_size=5, unique=True))
    count = draw(st.integers(0, 30))
    indexes = draw(npst.arrays(np.uint32, count, elements=st.integers(0, len(names) - 1)))
    times = draw(WHOLE | npst.arrays(np.int64, count))
    values = draw(npst.arrays(np.float64, count, elements=NUMBER))
    return Batch(names, indexes if len(names) > 1 else None, times, values)


def columns(count: int, seed: int = 0) -> Columns:
    random = np.random.default_rng(seed)
    positions = np.cumsum(random.integers(1, 3, count))
    times = 1_750_948_200_000_000 + random.integers(0, 10**9, count)
    return Columns(positions, random.integers(0, 300, count).astype(np.uint32), times, random.normal(size=count))


def equal(one: Columns, other: Columns) -> bool:
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs) and one.ids.dtype == other.ids.dtype


@given(batches(), CONDITIONS, st.integers(0, 2**32 - 1))
def test_a_write_comes_back(batch: Batch, conditions: Conditions, expired: int) -> None:
    data = pack_write(Write(batch, conditions, expired))
    found = unpack_write(data)
    assert (found.conditions, found.expired, list(found.batch.names)) == (conditions, expired, list(batch.names))
    assert np.array_equal(found.batch.values, batch.values)
    assert np.array_equal(found.batch.times, batch.times)
    assert (found.batch.name_indexes is None) == (batch.name_indexes is None)
    assert batch.name_indexes is None or np.array_equal(np.asarray(found.batch.name_indexes), batch.name_indexes)
    assert pack_write(found) == data


@given(batches(), CONDITIONS, st.data())
def test_a_write_that_is_cut_off_is_damaged(batch: Batch, conditions: Conditions, data: st.DataObject) -> None:
    packed = bytes(NONCE) + pack_write(Write(batch, conditions))
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises(LogDamaged, match="record 1 of the log cannot be read"):
        Machine(Cursor(0)).apply(Chunk([Entry(0, 7, codec.WRITE, 0, cut)], Cursor(0, 1), more=False))


@pytest.mark.parametrize("kind", [codec.BATCH, codec.CLAIM, codec.END])
@pytest.mark.parametrize("payload", [b"", bytes(NONCE), bytes(NONCE + 18)])
def test_a_record_that_is_cut_off_is_damaged(kind: int, payload: bytes) -> None:
    with pytest.raises(LogDamaged, match="record 1 of the log cannot be read"):
        Machine(Cursor(0)).apply(Chunk([Entry(0, 7, kind, 0, payload)], Cursor(0, 1), more=False))


@given(NAME, WHOLE, st.tuples(*[WHOLE] * 6), st.integers(0, 2**32 - 1), st.none() | st.integers(0, 2**53))
def test_the_small_records_come_back(
    start: str, moment: int, rules: tuple[int, int, int, int, int, int], series: int, quiet: int | None
) -> None:
    claim, end = Claim(start, moment, Rules(*rules)), End(series, quiet)
    assert codec.unpack_claim(codec.pack_json(claim)) == claim
    assert End(*codec.unpack_json(codec.pack_json(end))) == end
    assert codec.unpack_json(codec.pack_json(moment)) == moment


def test_a_record_of_the_next_release_is_read_and_one_of_a_later_one_refused() -> None:
    payload = codec.pack_json(7)
    for version, kind in ((1, codec.HORIZON), (2, codec.HORIZON + 16)):
        assert codec.kind_of(kind) == codec.HORIZON, version
        Machine(Cursor(0)).apply(Chunk([Entry(0, 7, kind, 0, payload)], Cursor(0, 1), more=False))
    with pytest.raises(Newer, match="version 3, of a later release"):
        Machine(Cursor(0)).apply(Chunk([Entry(0, 7, codec.HORIZON + 32, 0, payload)], Cursor(0, 1), more=False))


def test_a_machine_notices_that_records_are_missing() -> None:
    with pytest.raises(LogDamaged, match="1 records are missing"):
        Machine(Cursor(0)).apply(Chunk([Entry(0, 7, codec.HORIZON, 0, codec.pack_json(1))], Cursor(0, 2), more=False))


@pytest.mark.parametrize("count", [0, 1, 2, 1000, ROWS, 2 * ROWS + 5])
def test_blocks_come_back(count: int) -> None:
    events = columns(count)
    assert equal(codec.joined(list(unpack_blocks(pack_blocks(events)))), events)


@given(st.lists(WHOLE, min_size=1, max_size=50))
def test_blocks_hold_any_numbers(numbers: list[int]) -> None:
    column = np.array(numbers, np.int64)
    events = Columns(column, np.abs(column).astype(np.uint32), column[::-1].copy(), column.astype(np.float64))
    assert equal(codec.joined(list(unpack_blocks(pack_blocks(events)))), events)


def test_compacted_events_take_little_room() -> None:
    events = columns(ROWS)
    assert len(pack_blocks(events)) / ROWS < 19
    alike = Columns(events.positions, np.full(ROWS, 7, np.uint32), np.sort(events.times), events.values)
    assert len(pack_blocks(alike)) / ROWS < 17


def test_a_bit_that_flips_in_a_block_is_found() -> None:
    data = pack_blocks(columns(20))
    for at in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(LogDamaged):
            list(unpack_blocks(bytes(damaged)))


def records(count: int, seed: int = 0) -> list[tuple[bytes, Remembered]]:
    random = np.random.default_rng(seed)
    return [
        (random.bytes(16), Remembered(Done(random.bytes(16), number, 2, 10 * number), 100 + number, number))
        for number in range(count)
    ]


def test_a_run_finds_what_is_in_it_and_nothing_else() -> None:
    some, others = records(1000), records(1000, seed=1)
    zeros = [(bytes(16), Remembered(Done(bytes(16), 1, 0, 5), 7, 1)), (b"\0" * 15 + b"\1", some[0][1])]
    run = Run(pack_run([*some, *zeros]))
    assert len(run) == 1002
    for key, (done, time, _) in [*some, *zeros]:
        assert run.find(key) == (done, time)
    assert not any(run.find(key) for key, _ in others)
    assert Run(pack_run([])).find(bytes(16)) is None


def test_an_idempotency_record_takes_at_most_64_bytes() -> None:
    assert len(pack_run(records(1000))) <= 64_000


def test_merged_runs_hold_what_is_not_forgotten() -> None:
    some, others = records(100), records(50, seed=1)
    merged = Run(merge_runs([Run(pack_run(some)), Run(pack_run(others))], after=120))
    for key, (done, time, _) in some + others:
        assert merged.find(key) == ((done, time) if time > 120 else None)


def test_a_bit_that_flips_in_a_run_or_a_checkpoint_is_found() -> None:
    for data, read in ((pack_run(records(3)), Run), (pack(made(), {}), unpack)):
        for at in range(8 * len(data)):
            damaged = bytearray(data)
            damaged[at // 8] ^= 1 << at % 8
            with pytest.raises((LogDamaged, LogUnavailable)):
                read(bytes(damaged))


def made() -> Machine:
    machine = Machine(Cursor(9, 8, 7, 6))
    machine.horizon, machine.rules, machine.claimed = 5, Rules(1, 2, 3, 4, 5, 6), 4
    machine.starts = {"s": None}
    machine.jumps = [(1, 2)]
    machine.series.begin(Series("a", 1, math.inf, None, ""))
    machine.series.begin(Series("é 7", 2, 0.1, 5, "owner"))
    machine.series.end(machine.series.begin(Series("gone", 3, 0.2, 5, "owner")), 7)
    machine.series.touch(2, 12)
    machine.buckets.spend(Budget("b", 0.1, 5), 3, 77)
    return machine


def test_a_checkpoint_comes_back() -> None:
    data = pack(made(), {2: (5, 0, 12)})
    machine, thresholds = unpack(data)
    assert thresholds == {2: [5, 0, 12]}
    assert pack(machine, thresholds) == data
    assert machine.series.ids == {"a": 1, "é 7": 2}
    assert machine.series.keepers == 1
    assert machine.series.owned == {"owner": 1}
    assert machine.series.ended.at("gone") == 7
    assert machine.series.begin(Series("next", 0, 0.0)) == 4
