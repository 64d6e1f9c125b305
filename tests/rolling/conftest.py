"""The engine in its own sizes and in small ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rolling.sizes import small


@pytest.fixture(scope="module")
def small_blocks() -> Iterator[None]:
    """Deep trees from a few dozen events. Hypothesis allows only fixtures wider than one test."""
    with small():
        yield


@pytest.fixture(scope="module", params=["own sizes", "small sizes"])
def sizes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test once with the engine as it is and once with small blocks."""
    if request.param == "own sizes":
        yield
        return
    with small():
        yield
