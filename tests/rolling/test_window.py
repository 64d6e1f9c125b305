from __future__ import annotations

import pytest

from rolling.summary import exact
from rolling.window import RollingWindow
from tests.rolling.test_block import columns_of, rows_of

pytestmark = pytest.mark.usefixtures("small_blocks")


def window_of(keep: int, times: list[int], step: int = 1) -> RollingWindow:
    """Return a window with this keep; the event of a time has that time as value."""
    window = RollingWindow(keep)
    for position, time in enumerate(times):
        window.add(time, float(time), position * step + 1, exact(float(time)))
    window.check()
    return window


@pytest.mark.parametrize(
    ("keep", "cutoff", "live"), [(0, 50, 50), (10, 50, 50), (60, 50, 60), (500, 50, 100), (0, 100, 0)]
)
def test_live_are_the_recent_ones_or_the_last_kept(keep: int, cutoff: int, live: int) -> None:
    assert window_of(keep, list(range(1, 101))).live(cutoff) == live


@pytest.mark.parametrize("keep", [0, 1, 15, 16, 17, 40, 100, 101])
@pytest.mark.parametrize("horizon", [0, 1, 50, 99, 100, 200])
def test_pruning_changes_no_answer_at_or_behind_its_horizon(keep: int, horizon: int) -> None:
    whole, pruned = window_of(keep, list(range(1, 101))), window_of(keep, list(range(1, 101)))
    pruned.prune(horizon)
    pruned.check()
    assert len(pruned) <= max(100 - horizon, min(keep, 100)) + 2 * 16
    for cutoff in range(horizon, horizon + 60, 7):
        assert pruned.live(cutoff) == whole.live(cutoff)
        assert rows_of(pruned.rows(pruned.live(cutoff))) == rows_of(whole.rows(whole.live(cutoff)))
    pruned.add(horizon + 1, 0.5, 10**6, exact(0.5))
    pruned.check()


def test_an_empty_window_can_be_pruned() -> None:
    window = window_of(0, [])
    window.prune(100)
    window.check()
    assert window.live(0) == 0


def test_pruning_lets_go_of_the_empty_block_before_a_batch() -> None:
    window = RollingWindow(0)
    for _ in window.add_many(columns_of([(time, time, 1.0) for time in range(1, 50)])):
        pass
    window.prune(10)
    window.check()
    assert window.live(10) == 39


@pytest.mark.parametrize("horizon", [0, 30, 70, 100])
def test_raising_what_is_kept_brings_nothing_back_to_life(horizon: int) -> None:
    window = window_of(20, list(range(1, 101)))
    expected = rows_of(window.rows(window.live(horizon)))
    window.change_keep(horizon, 10**8)
    window.check()
    assert rows_of(window.rows(10**8)) == expected
    window.prune(10**9)
    assert window.live(10**9) == len(expected)


def test_raising_what_an_empty_window_keeps() -> None:
    window = window_of(5, [])
    window.change_keep(100, 10**8)
    window.check()
    assert (len(window), window.keep) == (0, 10**8)


@pytest.mark.parametrize("step", [1, 2**33])
def test_within_starts_and_ends_between_events_of_one_time(step: int) -> None:
    times = [1] * 20 + [2] * 20 + [3] * 20
    window = window_of(0, times, step)
    rows = rows_of(window.rows(60))
    for start in (0, 1, 19, 20, 25, 59):
        for end in (start + 1, 21, 45, 60):
            found = window.within(rows[start][:2], rows[end][:2] if end < 60 else None)
            assert (rows_of(found) if found else []) == rows[start:end]


def test_within_finds_nothing_where_nothing_is() -> None:
    window = window_of(0, [10, 20])
    assert window.within((11, 0), (20, 0)) is None
    assert window.within((21, 0), None) is None
    assert window_of(0, []).within((5, 0), None) is None


def test_positions_further_apart_than_32_bits() -> None:
    window = window_of(3, [5, 4, 9, 1, 7] * 8, step=2**32 + 1)
    rows = rows_of(window.rows(40))
    assert rows == sorted(rows)
    assert rows[-1] == (9, 37 * (2**32 + 1) + 1, 9.0)
