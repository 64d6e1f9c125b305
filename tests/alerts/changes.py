"""Changes of alerts as a process is told of them while it reads the log."""

from __future__ import annotations

from alerts.rows import ALERTS, alert_of
from event_log.applied import Begun, Told
from event_log.steps import TableChange
from event_log.tables import Row
from event_service import EventService

Seen = list[tuple[str, str, int]]


def follow(service: EventService) -> Seen:
    """Return what a worker is told of alerts: row, state, position."""
    seen: Seen = []

    def listen(told: Told | Begun) -> None:
        assert isinstance(told, Told)
        for step in told.steps:
            if isinstance(step, TableChange) and step.table == ALERTS and step.value is not None:
                alert = alert_of(Row(step.value, step.position))
                seen.append((step.key, alert.state, alert.position))

    service.listen(listen)
    return seen
