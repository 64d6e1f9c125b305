"""Many series at once: registered in one write, learnt by another process in portions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_log import lmdb_log
from event_log.base import START
from event_log.batch import Batch
from event_log.lmdb_log import LmdbLog
from event_log.registry import LEARNT_AT_ONCE

MANY = 3 * LEARNT_AT_ONCE


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.booleans())
def test_the_first_events_of_all_series_are_those_of_each(which: list[int], one_time: bool) -> None:
    used, indexes = np.unique(np.array(which), return_inverse=True)
    times = 7 if one_time else np.arange(len(which)) * 3
    batch = Batch([f"s{name}" for name in used], indexes.astype(np.uint32), times, np.arange(len(which)) / 2)
    assert batch.firsts() == [batch.first(index) for index in range(len(used))]
    alone = Batch(["a"], None, times, batch.values)
    assert alone.firsts() == [alone.first(0)]


def test_a_reader_that_starts_learns_many_series_with_rests_and_a_writer_never_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[int] = []
    monkeypatch.setattr(lmdb_log, "_rest", lambda: rests.append(1))

    def opened() -> LmdbLog:
        return LmdbLog(tmp_path, max_bytes=1 << 26)

    log = opened()
    names = [f"s{number}" for number in range(MANY)]
    which = np.arange(MANY, dtype=np.uint32)
    log.append(Batch(names, which, 5, np.ones(MANY)))
    log.close()
    log = opened()
    log.append(Batch(["new"], None, 5, np.ones(1)))  # for which all others are learnt, in the write itself
    assert not rests
    log.close()
    log = opened()
    log.read(START, 1)
    assert len(rests) == MANY // LEARNT_AT_ONCE
    assert [series.name for series in log.series.values()] == [*names, "new"]
    log.close()
