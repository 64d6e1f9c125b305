"""The bounded buffer between `send` and the thread that delivers."""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import islice
from typing import NamedTuple

from tidemark.errors import Closed, TidemarkError


class Sent(NamedTuple):
    """An event as it was sent. A time is microseconds since the epoch, or ISO-8601 text."""

    series: str
    value: float
    time: int | str


class BufferFull(TidemarkError):
    """The buffer is full of events that are not yet known to be stored; this one was not taken."""


class Buffer:
    """Events in order, each in it until it is known what became of it. All fields belong to `changed`.

    Positions count events: `added` were put in so far, `done` were taken out.
    """

    def __init__(self, capacity: int, batch: int) -> None:
        self.changed = threading.Condition()
        self.added = 0
        self.done = 0
        self.closed = False
        self._capacity = capacity
        self._batch = min(batch, capacity)
        self._wanted = 0
        """Position up to which somebody waits for events to be delivered."""
        self._events: deque[Sent] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Sent, wait_seconds: float | None) -> None:
        """Add an event; where there is no room, wait up to `wait_seconds` (None: without end). Raises BufferFull."""
        with self.changed:
            if len(self._events) >= self._capacity:
                self._wait_for_room(wait_seconds)
            if self.closed:
                raise Closed("the client is closed; this event was not taken")
            self._events.append(event)
            self.added += 1
            if len(self._events) == self._batch:
                self.changed.notify_all()

    def _wait_for_room(self, seconds: float | None) -> None:
        if not self.changed.wait_for(lambda: self.closed or len(self._events) < self._capacity, seconds):
            raise BufferFull(
                f"{self._capacity} events wait to be stored, which is the capacity; this one was not taken"
            )

    def want_all(self) -> int:
        """Have everything that is in delivered now; return the position that this comes to."""
        with self.changed:
            self._wanted = self.added
            self.changed.notify_all()
            return self.added

    def next_batch(self, interval: float) -> list[Sent]:
        """Return the oldest events once they are due: a batch is full, somebody waits, or the interval has passed.
        Nothing where the buffer was closed and is empty, or where nothing came within the interval."""
        with self.changed:
            self.changed.wait_for(self._is_due, interval)
            return list(islice(self._events, self._batch))

    def _is_due(self) -> bool:
        return len(self._events) >= self._batch or self._wanted > self.done or self.closed

    def take_out(self, count: int) -> None:
        """Forget the oldest events: it is known what became of them."""
        with self.changed:
            for _ in range(count):
                self._events.popleft()
            self.done += count
            self.changed.notify_all()

    def wait(self, deadline: float | None) -> float | None:
        """Wait for a change, with `changed` held; return the seconds left until the deadline (None: none is set)."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is None or left > 0:
            self.changed.wait(left)
        return left

    def close(self) -> None:
        """Take no more events."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
