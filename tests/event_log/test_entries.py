"""The bytes of series, changes and memos: what is packed is unpacked, and damage is noticed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_log.base import Change, Memo
from event_log.entries import (
    pack_change,
    pack_id,
    pack_kept,
    pack_memo,
    pack_position,
    pack_series,
    unpack_change,
    unpack_id,
    unpack_kept,
    unpack_memo,
    unpack_position,
    unpack_series,
)
from event_log.errors import LogDamaged
from event_log.rules import Rules
from event_log.series import Series
from event_log.steps import KeepChange, RulesChange, SeriesEnd

times = st.integers(-(2**63), 2**63 - 1)
ids = st.integers(0, 2**31 - 1)
positions = st.integers(0, 2**53)
keeps = st.integers(0, 10**8)
changes = st.one_of(
    st.builds(RulesChange, positions, times, st.builds(Rules, positions, keeps)),
    st.builds(KeepChange, positions, times, ids, keeps),
    st.builds(SeriesEnd, positions, ids),
)


@given(positions, positions, ids, ids)
def test_keys_are_in_the_order_of_what_they_stand_for(a: int, b: int, one: int, other: int) -> None:
    assert (unpack_position(pack_position(a)), unpack_id(pack_id(one))) == (a, one)
    assert unpack_kept(pack_kept(one, a)) == (one, a)
    assert (pack_position(a) < pack_position(b)) == (a < b)
    assert (pack_id(one) < pack_id(other)) == (one < other)
    assert (pack_kept(one, a) < pack_kept(other, b)) == ((one, a) < (other, b))


@given(ids, st.text(max_size=128).filter(str.isprintable), times, st.none() | keeps, positions, positions)
def test_a_series(number: int, name: str, created: int, keep: int | None, forgotten: int, ended: int) -> None:
    series = Series(name, created, 12.5, keep, forgotten, ended)
    data = pack_series(number, series)
    assert unpack_series(number, data) == series
    with pytest.raises(LogDamaged, match=f"series {number + 1} "):
        unpack_series(number + 1, data)


@given(changes)
def test_a_change(change: Change) -> None:
    assert unpack_change(change.position, pack_change(change)) == change


@given(st.binary(max_size=32), st.binary(max_size=64), positions, times)
def test_a_memo(body: bytes, answer: bytes, position: int, until: int) -> None:
    assert unpack_memo(pack_memo(Memo(body, answer, position), until)) == (Memo(body, answer, position), until)


@given(st.text(min_size=1, max_size=20).filter(str.isprintable), st.data())
def test_a_damaged_bit_is_noticed(name: str, data: st.DataObject) -> None:
    entry = bytearray(pack_series(3, Series(name)))
    bit = data.draw(st.integers(0, 8 * len(entry) - 1))
    entry[bit // 8] ^= 1 << bit % 8
    with pytest.raises(LogDamaged, match="series 3 does not match its checksum"):
        unpack_series(3, bytes(entry))
