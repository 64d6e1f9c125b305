"""Small blocks and decks, so that a few dozen events make deep trees, splits and unloading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import pytest

from rolling import all_series, block, deck, exact, timeline, view, window

SMALL = {"CAPACITY": 16, "BULK": 8, "FAN_OUT": 4, "LOADED": 3, "FEW": 2, "PIECE": 20, "WINDOWS_A_STEP": 2}
MODULES: tuple[ModuleType, ...] = (block, deck, timeline, all_series, view, window)


@contextmanager
def small() -> Iterator[None]:
    """The engine with SMALL in place of its own sizes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            for name in SMALL.keys() & vars(module).keys():
                patch.setattr(module, name, SMALL[name])
        patch.setattr(exact, "FEW", 2)
        yield
