"""Small blocks and decks, so that a few dozen events make deep trees, splits and unloading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from rolling import (
    all_series,
    block,
    deck,
    exact,
    history,
    ladder,
    last_of_all,
    memory,
    ranks,
    scan,
    suffixes,
    timeline,
    tree,
    view,
    window,
)

SMALL = {
    "ADDED_SINGLY": 2,
    "BULK": 8,
    "BLOCKS_A_STEP": 2,
    "CAPACITY": 16,
    "FAN_OUT": 4,
    "FAR": 40,
    "FEW": 4,
    "FEW_RANGES": 2,
    "LATE": 12,
    "LATE_IN_A_ROW": 6,
    "LOADED": 3,
    "LOADED_SINGLY": 1,
    "LOOKED_INTO_A_STEP": 2,
    "MEMBERS_AT_ONCE": 2,
    "MEMBERS_A_STEP": 2,
    "AT_A_TIME": 2,
    "COUNTED_AT_A_TIME": 2,
    "MOST_BLOCKS": 3,
    "MOST_RUNGS": 24,
    "NEW_RUNGS": 3,
    "PIECE": 20,
    "PLACES": 2,
    "PORTION": 32,
    "PASSED_A_STEP": 5,
    "PATIENCE": 3,
    "ROUNDS": 2,
    "SAMPLE": 8,
    "SERIES_A_STEP": 2,
    "SLACK": 2,
    "SLICE": 8,
    "SLICES": 4,
    "SMALLEST": 1,
    "SORTED_AT_ONCE": 3,
    "STRIDE": 4,
    "SUMMED_SINGLY": 2,
    "TAKEN_SINGLY": 2,
    "WINDOWS_A_STEP": 2,
}
MODULES: tuple[ModuleType, ...] = (
    block,
    deck,
    exact,
    timeline,
    tree,
    all_series,
    view,
    window,
    history,
    ladder,
    last_of_all,
    memory,
    ranks,
    scan,
    suffixes,
)


@contextmanager
def small() -> Iterator[None]:
    """The engine with SMALL in place of its own sizes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            for name in SMALL.keys() & vars(module).keys():
                patch.setattr(module, name, SMALL[name])
        yield
