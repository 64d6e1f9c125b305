"""Answers: statistics whose names are attributes, and what a stream of events tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Statistics(dict[str, Any]):
    """Statistics by name, also as attributes: `found.mean`, `found.p99`; `found["p99.9"]`.

    Where the window is empty, all but `count` and `sum` are None.
    """

    position: int
    """Position in the log up to which the answer covers all events."""

    def __init__(self, document: Mapping[str, Any], position: int) -> None:
        super().__init__(document)
        self.position = position

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{name!r} was not asked for; name it in include=[...]") from None


class Event(NamedTuple):
    """An event as the server tells it."""

    series: str
    timestamp: str
    value: float
    position: int


class Gap(NamedTuple):
    """Events that should have come here are no longer there; what follows begins at `position`."""

    series: str
    position: int
