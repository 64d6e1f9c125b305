"""Fans events out: what the worker's view has taken in becomes chunks, once per series and wire format.

A newcomer first gets what the view holds of its series after where it begins, a piece at a time and at its own pace;
with the last piece it joins the channel, and from then on is handed whatever the view takes in. Nothing here reads the
log: a worker has one reader, and streams live on what that brings.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple, Protocol

import numpy as np

from event_log.base import Events, Series, Times, Values
from streaming.subscriber import Subscriber
from streaming.wire import MOST_EVENT_BYTES, Wire

PIECE_BYTES = 1 << 16
"""About how much of what a newcomer has missed is written at a time: bounds what waits for a slow reader."""
PIECE_EVENTS = 2_000
"""Events written at a time: a few milliseconds of work."""
MOST_WAITING_EVENTS = 2_000_000
"""Where so many wait to be handed out, this worker cannot follow: who listens to them is told of a gap instead."""

Channel = tuple[str, Wire]
"""A series, and how its events are written."""


class Replay(NamedTuple):
    """Events of one series that a view holds, in order of position, and how they leave a reader."""

    positions: Times
    times: Times
    values: Values
    position: int
    """How far the view had read; where there is no `more`, so far the reader has now everything."""
    more: bool
    """Whether the view holds further events of the series behind these."""
    gap: int | None
    """Where events between the place asked for and these are no longer there: the first position that still is."""


class Source(Protocol):
    """Where events come from."""

    def newest(self) -> int:
        """The highest position given so far."""

    def catch_up(self) -> bool:
        """Take in a portion of what is new, of which `Channels` is told; whether there is more."""

    def replay(self, series: str, after: int, limit: int) -> Replay:
        """The next events of a series behind a position."""


class _Piece(NamedTuple):
    """What waits to be handed out of one series: events, or word that some are lost."""

    series: str
    positions: Times
    times: Times
    values: Values
    gap: int | None = None

    def behind(self, position: int) -> _Piece:
        """What of it a subscriber has not had that has had everything up to a position."""
        start = int(self.positions.searchsorted(position, side="right"))
        return self._replace(positions=self.positions[start:], times=self.times[start:], values=self.values[start:])

    def write(self, wire: Wire) -> bytes:
        gap = b"" if self.gap is None else wire.gap(self.series, self.gap)
        return gap + (wire.events(*self[:4]) if len(self.positions) else b"")


class Channels:
    """Who wants which events, and what waits to be handed out. All of it is guarded by the feed's lock."""

    def __init__(self, source: Source, lock: threading.RLock, drop: Callable[[Subscriber], None]) -> None:
        self._source = source
        self._lock = lock
        self._drop = drop
        self._members: dict[str, dict[Wire, dict[Subscriber, int]]] = {}  # and up to where each has had everything
        self._waiting: deque[_Piece] = deque()
        self._waiting_events = 0

    def __bool__(self) -> bool:
        return bool(self._members)

    def join(self, subscriber: Subscriber, channel: Channel, after: int) -> Generator[bytes]:
        """The channel's events after position `after`, read at the pace of whoever iterates. At the end of it the
        subscriber is in the channel and is given every later event, exactly once; unless it has been ended meanwhile.
        Raises LogUnavailable."""
        series, wire = channel
        limit = max(1, min(PIECE_EVENTS, PIECE_BYTES // (len(series.encode()) + MOST_EVENT_BYTES)))
        more = True
        while more and subscriber.ending is None:
            with self._lock:
                positions, times, values, position, more, gap = self._source.replay(series, after, limit)
                if not more:
                    self._members.setdefault(series, {}).setdefault(wire, {})[subscriber] = position
            after = int(positions[-1]) if len(positions) else position
            if chunk := _Piece(series, positions, times, values, gap).write(wire):
                yield chunk

    def leave(self, subscriber: Subscriber, channel: Channel) -> None:
        """Take the subscriber out of the channel, if it is in."""
        series, wire = channel
        with self._lock:
            wires = self._members.get(series, {})
            members = wires.get(wire, {})
            members.pop(subscriber, None)
            if not members:
                wires.pop(wire, None)
            if not wires:
                self._members.pop(series, None)
            if not self._members:
                self._forget_waiting()

    def take(self, events: Events, known: Mapping[int, Series]) -> None:
        """Note what the view has taken in, as far as somebody wants it; cheap, for the view's reader waits for it."""
        with self._lock:
            if not self._members or events.kept:
                return
            for series_id in np.unique(events.ids).tolist():
                series = known[series_id].name
                if series in self._members:
                    rows = np.flatnonzero(events.ids == series_id)
                    self._wait(_Piece(series, events.positions[rows], events.times[rows], events.values[rows]))

    def lose(self, position: int, series: str | None = None) -> None:
        """Tell those who listen to a series, or to any, that something up to `position` is lost that they should have
        had. Behind it, positions may be lower than those they have had: the log may have another history now."""
        with self._lock:
            if series is None:
                self._forget_waiting()
            for name in self._members if series is None else {series} & self._members.keys():
                self._wait(_gap(name, position))

    def step(self) -> bool:
        """Hand out some of what waits; whether there is more."""
        with self._lock:
            if self._waiting:
                piece = self._waiting.popleft()
                if len(piece.positions) > PIECE_EVENTS:
                    self._waiting.appendleft(piece.behind(int(piece.positions[PIECE_EVENTS - 1])))
                    piece = piece._replace(
                        positions=piece.positions[:PIECE_EVENTS],
                        times=piece.times[:PIECE_EVENTS],
                        values=piece.values[:PIECE_EVENTS],
                    )
                self._waiting_events -= len(piece.positions)
                self._hand_out(piece)
            return bool(self._waiting)

    def _wait(self, piece: _Piece) -> None:
        self._waiting.append(piece)
        self._waiting_events += len(piece.positions)
        if self._waiting_events > MOST_WAITING_EVENTS:
            lost = {waiting.series: int(waiting.positions[-1]) for waiting in self._waiting if len(waiting.positions)}
            self._forget_waiting()
            self._waiting.extend(_gap(series, position) for series, position in lost.items())

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_events = 0

    def _hand_out(self, piece: _Piece) -> None:
        for wire, members in self._members.get(piece.series, {}).items():
            chunk = piece.write(wire)
            for member, had in members.items():
                if piece.gap is not None:
                    members[member] = piece.gap - 1
                elif had >= piece.positions[0]:
                    self._put(member, piece.behind(had).write(wire))
                    continue
                self._put(member, chunk)

    def _put(self, member: Subscriber, chunk: bytes) -> None:
        if chunk and not member.put(chunk):
            self._drop(member)


def _gap(series: str, position: int) -> _Piece:
    """What tells of a gap that ends at a position."""
    nothing = np.empty(0, np.int64)
    return _Piece(series, nothing, nothing, np.empty(0), position + 1)
