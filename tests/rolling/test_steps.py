"""Long work goes in steps, of which each touches few blocks and few series, however large the batch or the series."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rolling import all_series, view
from rolling.block import CAPACITY, Block
from rolling.shared_block import SharedBlock
from rolling.view import View
from rolling.window import RollingWindow

BATCH = 4_000


def counted(monkeypatch: pytest.MonkeyPatch, *methods: tuple[type, str]) -> dict[str, int]:
    """Return how often each of these is called."""
    calls: dict[str, int] = {}

    def count(owner: type, name: str) -> Callable[..., Any]:
        method = getattr(owner, name)

        def call(*args: Any, **options: Any) -> Any:
            calls[key] = calls.get(key, 0) + 1
            return method(*args, **options)

        key = f"{owner.__name__}.{name}"
        return call

    for owner, name in methods:
        monkeypatch.setattr(owner, name, count(owner, name))
    return calls


def most(calls: dict[str, int], steps: Iterator[None]) -> dict[str, int]:
    """The most calls within one step."""
    found: dict[str, int] = {}
    ended = False
    while not ended:
        calls.clear()
        ended = next(steps, steps) is steps
        for name, number in calls.items():
            found[name] = max(found.get(name, 0), number)
    return found


def batch(view: View, ids: list[int], times: list[int], position: int) -> Iterator[None]:
    values = np.random.default_rng(1).normal(100, 15, len(ids))
    return view.add_many(np.array(ids, np.uint32), np.array(times), values, np.arange(position, position + len(values)))


def filled(view: View, series: int, count: int) -> None:
    """Events in order of time, in turn over the series: blocks without columns, and each full."""
    for start in range(0, count, 5 * BATCH):
        numbers = range(start, min(start + 5 * BATCH, count))
        for _ in batch(view, [n % series for n in numbers], [10 * n for n in numbers], start + 1):
            pass


BLOCKS = ((Block, "extend"), (Block, "split"), (Block, "append"), (SharedBlock, "extend"))


def test_a_batch_out_of_order_takes_a_few_blocks_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = View()
    filled(whole, 1, 30_000)
    generator = random.Random(1)
    times = [generator.randrange(300_000) for _ in range(BATCH)]
    calls = counted(monkeypatch, *BLOCKS)
    found = most(calls, batch(whole, [1] * BATCH, times, 30_001))
    assert found["Block.extend"] <= all_series.BLOCKS_A_STEP
    assert found["Block.split"] <= all_series.BLOCKS_A_STEP
    assert len(whole) == 30_000 + BATCH
    whole.check()


def test_a_batch_of_many_series_gives_to_a_few_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = View()
    calls = counted(monkeypatch, (RollingWindow, "add"), (View, "window"), *BLOCKS)
    for position in (1, BATCH + 1):
        found = most(calls, batch(whole, list(range(BATCH)), [5] * BATCH, position))
        assert found["RollingWindow.add"] == found["View.window"] == view.SERIES_A_STEP
    assert len(whole.windows) == BATCH
    whole.check()


@pytest.mark.parametrize("size", [1, view.TAKEN_SINGLY, 3000])
def test_a_step_fetches_the_columns_of_one_block_of_many_series(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    whole = View()
    filled(whole, 1000, 20_000)
    generator = random.Random(size)
    times = [generator.randrange(150_000) for _ in range(size)]
    calls = counted(monkeypatch, (RollingWindow, "within"))
    found = most(calls, batch(whole, [7] * size, times, 20_001))
    assert 100 < found["RollingWindow.within"] <= CAPACITY
    whole.check()


def test_events_of_one_instant_do_not_swell_what_a_block_notes_of_its_series() -> None:
    whole = View()
    for _ in batch(whole, [0] * 50, list(range(900, 950)), 1):
        pass
    for start in range(0, 5 * BATCH, BATCH):
        for _ in batch(whole, [1 + n % 3000 for n in range(BATCH)], [500] * BATCH, 100 + start):
            pass
    assert sum(len(block.members) for block in whole.all_series.blocks()) <= len(whole)
    whole.check()
