"""The door to events, with a meter at it."""

from __future__ import annotations

from typing import Any

from event_log.outcomes import Stored
from event_service import EventService
from metrics.meter import Meter


class MeteredService(EventService):
    """An EventService that counts what it takes in."""

    def __init__(self, meter: Meter, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._meter = meter

    def add(self, *args: Any, **kwargs: Any) -> Stored:
        """`EventService.add`, counted."""
        accepted = super().add(*args, **kwargs)
        self._meter.accepted(accepted.stored, accepted.expired)
        return accepted

    def add_many(self, *args: Any, **kwargs: Any) -> Stored:
        """`EventService.add_many`, counted."""
        accepted = super().add_many(*args, **kwargs)
        self._meter.accepted(accepted.stored, accepted.expired)
        return accepted
