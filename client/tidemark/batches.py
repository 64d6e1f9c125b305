"""Batches: events as the bytes of a request, which stay the same however often they are sent."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from tidemark.buffer import Sent
from tidemark.errors import RefusedEvent

SECOND = 1_000_000


class Batch:
    """Events that are posted together, under one `Idempotency-Key`."""

    def __init__(self, events: Sequence[Sent]) -> None:
        self.events = events
        self.key = secrets.token_hex(16)
        self.body = _encode(events)

    def halves(self) -> list[Batch]:
        """Return the events as two batches with new keys."""
        middle = len(self.events) // 2
        return [Batch(self.events[:middle]), Batch(self.events[middle:])]

    def by_series(self) -> list[Batch]:
        """Return two batches with new keys, of which each has half of the series."""
        names = list(dict.fromkeys(event.series for event in self.events))
        first = set(names[: len(names) // 2])
        return [
            Batch([event for event in self.events if event.series in first]),
            Batch([event for event in self.events if event.series not in first]),
        ]

    def without(self, indexes: Iterable[int]) -> list[Batch]:
        """Return the other events as a batch with a new key; none where none are left."""
        out = set(indexes)
        rest = [event for index, event in enumerate(self.events) if index not in out]
        return [Batch(rest)] if rest else []

    @property
    def has_one_series(self) -> bool:
        """All events are of the same series."""
        return len({event.series for event in self.events}) == 1


def refused(event: Sent, reason: str) -> RefusedEvent:
    """Return an event as it is told."""
    time = event.time if isinstance(event.time, str) else iso(event.time)
    return RefusedEvent(event.series, event.value, time, reason)


def iso(time: int) -> str:
    """Return microseconds since the epoch as ISO-8601."""
    second, rest = divmod(time, SECOND)
    return f"{datetime.fromtimestamp(second, UTC).isoformat()[:19]}.{rest:06d}Z"


def _encode(events: Sequence[Sent]) -> bytes:
    """Return the JSON array; names and whole seconds, which come again and again, are written once each."""
    names: dict[str, str] = {}
    seconds: dict[int, str] = {}
    items = []
    for series, value, time in events:
        name = names.get(series) or names.setdefault(series, json.dumps(series))
        if isinstance(time, str):
            stamp = json.dumps(time)
        else:
            second, rest = divmod(time, SECOND)
            whole = seconds.get(second) or seconds.setdefault(second, iso(second * SECOND)[:19])
            stamp = f'"{whole}.{rest:06d}Z"'
        items.append(f'{{"timestamp":{stamp},"value":{value!r},"series":{name}}}')
    return f"[{','.join(items)}]".encode()
