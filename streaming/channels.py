"""The fan-out of new events: read from the log once, written once per series and wire format, handed to all who want
them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from event_log.base import START, EventLog, Events, Place
from streaming.subscriber import Subscriber
from streaming.wire import Wire

READ_EVENTS = 10_000
"""About how many events are read at once; bounds how long one step holds up everything else."""

Channel = tuple[str, Wire]
"""A series, and how its events are written."""


class Channels:
    """Who wants which events, and how far the log has been handed out. All of it is guarded by the feed's lock."""

    def __init__(self, log: EventLog, lock: threading.RLock, drop: Callable[[Subscriber], None]) -> None:
        self._log = log
        self._lock = lock
        self._drop = drop
        self._members: dict[str, dict[Wire, set[Subscriber]]] = {}
        self._place = START

    def __bool__(self) -> bool:
        return bool(self._members)

    def catch_up(self, subscriber: Subscriber, channel: Channel, after: int) -> Generator[bytes]:
        """The channel's events after position `after`, read at the pace of whoever iterates. At the end of it the
        subscriber is in the channel and is given every later event, exactly once; unless it has been ended meanwhile.
        Raises LogUnavailable."""
        place = Place(after)
        while subscriber.ending is None and not self._join(subscriber, channel, place):
            events = self._log.read(place, READ_EVENTS)
            place = events.place
            if chunk := self._chunk(events, channel):
                yield chunk

    def leave(self, subscriber: Subscriber, channel: Channel) -> None:
        """Take the subscriber out of the channel, if it is in."""
        series, wire = channel
        with self._lock:
            wires = self._members.get(series, {})
            members = wires.get(wire, set())
            members.discard(subscriber)
            if not members:
                wires.pop(wire, None)
            if not wires:
                self._members.pop(series, None)

    def step(self) -> bool:
        """Hand out the next events of the log; whether there are likely more. Raises LogUnavailable."""
        with self._lock:
            if not self._members or self._log.position() <= self._place.position:
                return False
            events = self._log.read(self._place, READ_EVENTS)
            self._place = events.place
            self._hand_out(events)
            return events.more

    def _join(self, subscriber: Subscriber, channel: Channel, place: Place) -> bool:
        """Let in a subscriber that has everything up to `after`; False when it has too much to catch up on."""
        with self._lock:
            if not self._members:
                self._place = Place(self._log.position())
            while self._place.position < place.position and self._log.position() > self._place.position:
                self.step()
            if self._place.position - place.position > READ_EVENTS:
                return False
            self._send_missed(subscriber, channel, place)
            series, wire = channel
            self._members.setdefault(series, {}).setdefault(wire, set()).add(subscriber)
            return True

    def _send_missed(self, subscriber: Subscriber, channel: Channel, place: Place) -> None:
        """Give one subscriber what the channel's members have had since a place."""
        while place.position < self._place.position:
            events = self._log.read(place, READ_EVENTS)
            place = events.place
            if chunk := self._chunk(events, channel, self._place.position):
                subscriber.put(chunk)

    def _chunk(self, events: Events, channel: Channel, until: int | None = None) -> bytes:
        series, wire = channel
        for _, rows in self._rows(events, (series,)):
            if until is not None:
                rows = rows[events.positions[rows] <= until]
            return _written(series, wire, events, rows)
        return b""

    def _hand_out(self, events: Events) -> None:
        for series, rows in self._rows(events, self._members):
            for wire, members in self._members[series].items():
                chunk = _written(series, wire, events, rows)
                for member in members:
                    if not member.put(chunk):
                        self._drop(member)

    def _rows(self, events: Events, wanted: Container[str]) -> Iterator[tuple[str, NDArray[np.intp]]]:
        """Each wanted series among the events, with the indexes of its events in log order."""
        known = self._log.series
        for number in np.unique(events.ids).tolist():
            name = known[number].name
            if name in wanted:
                yield name, np.flatnonzero(events.ids == number)


def _written(series: str, wire: Wire, events: Events, rows: NDArray[np.intp]) -> bytes:
    return wire(series, events.positions[rows], events.times[rows], events.values[rows]) if len(rows) else b""
