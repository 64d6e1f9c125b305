from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from rolling import shared_block
from rolling.all_series import AllSeries
from rolling.shared_block import SharedBlock
from rolling.view import View
from rolling.window import RollingWindow
from tests.rolling.test_steps import counted, most
from tests.rolling.test_view import Pair

pytestmark = pytest.mark.usefixtures("small_blocks")


def blocks(everything: AllSeries) -> list[SharedBlock]:
    return list(everything.blocks())


def loaded(everything: AllSeries) -> int:
    return sum(block.loaded for block in blocks(everything))


def test_only_a_few_blocks_hold_columns() -> None:
    pair = Pair.keeping(0, 0, 0)
    for start in range(0, 400, 5):
        pair.add([(i % 3, i, float(i)) for i in range(start + 1, start + 6)])
        assert loaded(pair.view.all_series) <= shared_block.LOADED
    assert len(blocks(pair.view.all_series)) > 20
    for after in range(0, 400, 11):
        pair.ask(None, after, 0, None)
        assert loaded(pair.view.all_series) <= shared_block.LOADED
        pair.view.check()


def test_a_large_batch_is_taken_in_without_columns() -> None:
    pair = Pair.keeping(0, 0)
    pair.add([(i % 2, i, float(i)) for i in range(1, 400)])
    assert loaded(pair.view.all_series) <= 1
    pair.ask_all(0)


def test_a_split_of_an_unloaded_block_finds_its_events_in_the_series() -> None:
    pair = Pair.keeping(0, 0, 0)
    pair.add([(i % 3, 10 * i, float(i)) for i in range(1, 300)])
    for i in range(60):
        pair.add([(i % 3, 505, 0.5)])
        pair.view.check()
    pair.ask(None, 504, 0, None)
    pair.ask(None, 505, 0, None)


def test_the_last_block_may_be_unloaded_expired_and_written_to_again() -> None:
    pair = Pair.keeping(0, 0)
    pair.add([(i % 2, i, float(i)) for i in range(1, 100)])
    for horizon in (50, 97, 98):
        pair.prune(horizon)
        pair.add([(0, time, 1.0) for time in (99, 98, 97, 50)] * 6)
        pair.view.check()
        pair.ask_all(horizon)
    pair.prune(99)
    assert len(pair.view.all_series) == 0
    pair.add([(1, 99, 1.0), (1, 100, 2.0)])
    pair.ask_all(99)


def test_a_series_leaves_a_block_of_many_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair.keeping(*[0] * 12)
    pair.add([(i % 12, i // 12, float(i % 12)) for i in range(12, 400)])
    calls = counted(monkeypatch, (RollingWindow, "within"))
    found = most(calls, pair.view.end_series(0))
    assert found["RollingWindow.within"] <= 1 + 11  # those of one block
    pair.model.end_series(0)
    pair.view.check()
    pair.ask_all(0)


def test_no_block_loses_events_that_its_series_lack_while_a_snapshot_is_asked() -> None:
    random, view, position = np.random.default_rng(1), View(), 0

    def taking(size: int) -> Iterator[None]:
        nonlocal position
        ids = random.integers(0, 12, size).astype(np.uint32)
        positions = np.arange(position + 1, position + size + 1)
        position += size
        return view.add_many(ids, random.integers(0, 10_000, size), random.normal(0, 1, size), positions)

    deque(taking(300), maxlen=0)
    for _ in range(3):
        snapshot = view.snapshot()
        for _ in taking(100):
            for block in snapshot.all_series.blocks():
                if block.summary.count:
                    snapshot.all_series.open(block)
        snapshot.check()
        snapshot.close()
        view.check()
