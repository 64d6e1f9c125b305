"""Small blocks and decks, so that a few dozen events make deep trees, splits and unloading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from rolling import all_series, block, deck, exact, timeline, view

SMALL = {"CAPACITY": 16, "BULK": 8, "FAN_OUT": 4, "LOADED": 3, "ADDED_SINGLY": 2, "TAKEN_SINGLY": 2, "SUMMED_SINGLY": 2}
MODULES: tuple[ModuleType, ...] = (block, deck, exact, timeline, all_series, view)


@contextmanager
def small() -> Iterator[None]:
    """The engine with SMALL in place of its own sizes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            for name in SMALL.keys() & vars(module).keys():
                patch.setattr(module, name, SMALL[name])
        yield
