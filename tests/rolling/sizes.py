"""Small blocks and decks, so that a few dozen events make deep trees, splits and unloading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from rolling import (
    all_series,
    block,
    cut,
    deck,
    exact,
    last_of_several,
    ranks,
    reading,
    runs,
    scan,
    several,
    shared_block,
    suffixes,
    timeline,
    tree,
    view,
    window,
)

SMALL = {
    "ADDED_SINGLY": 2,
    "AT_ONCE": 20,
    "BULK": 8,
    "BLOCKS_A_STEP": 2,
    "CAPACITY": 16,
    "COARSE": 2,
    "COPIED": 4,
    "EDGES": 3,
    "FAN_OUT": 4,
    "FEW": 4,
    "HELD": 40,
    "LATE_IN_A_DECK": 6,
    "LOADED": 3,
    "LOADED_SINGLY": 1,
    "MARKS": 6,
    "MEMBERS_AT_ONCE": 2,
    "MERGED_AT_ONCE": 2,
    "MOST_BLOCKS": 3,
    "MOST_LATE": 20,
    "MOST_SLICES": 2,
    "PIECE": 20,
    "PLACES": 2,
    "PORTION": 32,
    "SCALES": 2,
    "SERIES_A_STEP": 2,
    "SERIES_AT_ONCE": 1,
    "SLICE": 8,
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
    cut,
    last_of_several,
    ranks,
    reading,
    runs,
    scan,
    several,
    shared_block,
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
