"""A few records are read one by one, to the same events as many at once, and damage among them is noticed alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_log.entries import pack_position
from event_log.errors import LogDamaged
from event_log.few import MOST, unpack_few
from event_log.records import pack_columns, pack_one, unpack_all
from tests.event_log.test_records import as_rows, ids, times, values

Item = tuple[bytes, bytes]
afters = st.integers(0, 2**53)
few = st.lists(st.tuples(ids, times, values), min_size=1, max_size=MOST)


def items_of(rows: list[tuple[int, int, float]], after: int) -> list[Item]:
    """A record for each of these events, the first right behind a position."""
    return [(pack_position(at), pack_one(*row, at)) for at, row in enumerate(rows, after + 1)]


@given(few, afters)
def test_a_few_are_read_as_many_are(rows: list[tuple[int, int, float]], after: int) -> None:
    items = items_of(rows, after)
    columns = unpack_few(items, after)
    assert columns is not None
    lasts = np.arange(after + 1, after + 1 + len(rows))
    assert as_rows(columns) == as_rows(unpack_all([data for _, data in items], lasts))


@given(few, afters, st.data())
def test_a_damaged_bit_is_noticed(rows: list[tuple[int, int, float]], after: int, data: st.DataObject) -> None:
    items = items_of(rows, after)
    at = data.draw(st.integers(0, len(items) - 1))
    broken = bytearray(items[at][1])
    bit = data.draw(st.integers(0, 8 * len(broken) - 1).filter(lambda bit: bit != 63))  # that one makes it a batch
    broken[bit // 8] ^= 1 << bit % 8
    items[at] = items[at][0], bytes(broken)
    with pytest.raises(LogDamaged, match=f"position {after + 1 + at} does not match its checksum"):
        unpack_few(items, after)


ONE, TWO, THREE = items_of([(1, 2, 3.0)] * 3, 7)


@pytest.mark.parametrize(
    "items",
    [
        items_of([(1, 2, 3.0)] * (MOST + 1), 7),
        [TWO],
        [ONE, THREE],
        [TWO, ONE],
        [ONE, (TWO[0], TWO[1] + THREE[1])],
        [ONE, (TWO[0], b"")],
        [ONE, (TWO[0], TWO[1][:-1])],
        [(ONE[0], pack_columns(1, 2, np.ones(1), None, 8)), TWO],
        [(b"", ONE[1])],
    ],
)
def test_what_is_anything_else_is_left_to_others(items: list[Item]) -> None:
    assert unpack_few(items, 7) is None
