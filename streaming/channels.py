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

from event_log.base import Events, SeriesEnd, Times, Values
from streaming.subscriber import Subscriber
from streaming.wire import MOST_EVENT_BYTES, Wire
from view.answers import Replayed
from view.portions import give_way

PIECE_BYTES = 1 << 16
"""About how much of what a newcomer has missed is written at a time: bounds what waits for a slow reader."""
PIECE_EVENTS = 2_000
"""Events written at a time: a few milliseconds of work."""
MOST_WAITING_EVENTS = 2_000_000
"""Where so many wait to be handed out, this worker cannot follow: who listens to them is told of a gap instead."""

Channel = tuple[str, Wire]
"""A series, and how its events are written."""


class Source(Protocol):
    """Where events come from: the service."""

    def position(self) -> int:
        """The highest position given so far."""

    def advance(self) -> bool:
        """Take in a portion of what is new, of which `Channels` is told; whether there is more."""

    def replay(self, series: str, after: int, limit: int) -> Replayed:
        """The next events of a series after a position."""

    def series_id(self, name: str) -> int | None:
        """The id under which `Channels` is told of a series; None for one not seen, or ended."""

    def ended_series(self) -> Mapping[int, str]:
        """The series that ended in the portion of which `Channels` is being told, by that id."""


class _Piece(NamedTuple):
    """What waits to be handed out of one series: events, or word that some are lost."""

    series: str
    positions: Times
    times: Times
    values: Values
    gap: int | None = None

    @property
    def begin(self) -> int:
        """The first position of which it says something."""
        return int(self.positions[0]) if self.gap is None else self.gap

    @property
    def end(self) -> int:
        """Who is handed it has had everything up to here."""
        return int(self.positions[-1]) if self.gap is None else self.gap - 1

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
        self._ids: dict[int, str] = {}  # of their series, as last looked up
        self._told = 0  # how far the view has read, as far as known
        self._walking = False  # what is told is what was left of a longer stretch, and more of that comes
        self._waiting: deque[_Piece] = deque()
        self._waiting_events = 0

    def __bool__(self) -> bool:
        return bool(self._members)

    @property
    def waiting(self) -> bool:
        """Whether there is something to hand out."""
        return bool(self._waiting)

    def join(self, subscriber: Subscriber, channel: Channel, after: int) -> Generator[bytes]:
        """The channel's events after position `after`, read at the pace of whoever iterates. At the end of it the
        subscriber is in the channel and is given every later event, exactly once; unless it has been ended meanwhile.
        Raises LogUnavailable."""
        series, wire = channel
        limit = max(1, min(PIECE_EVENTS, PIECE_BYTES // (len(series.encode()) + MOST_EVENT_BYTES)))
        joined = False
        while not joined and subscriber.ending is None:
            # Not under the lock: the view may have to catch up first, and whoever does that tells us of it.
            found = self._source.replay(series, after, limit)
            joined = not found.more and self._let_in(subscriber, channel, found.position)
            after = int(found.positions[-1]) if len(found.positions) else found.position
            first_there = int(found.positions[0]) if len(found.positions) else found.position + 1
            gap = first_there if found.gap else None
            if chunk := _Piece(series, found.positions, found.times, found.values, gap).write(wire):
                yield chunk
                give_way()  # a fast reader takes some megabytes at once before anybody has to wait

    def _let_in(self, subscriber: Subscriber, channel: Channel, position: int) -> bool:
        """Make a member of one that has had everything up to `position`; False when we were told of more meanwhile."""
        series, wire = channel
        with self._lock:
            if self._told > position:
                return False
            self._told = position
            self._members.setdefault(series, {}).setdefault(wire, {})[subscriber] = position
            self._look_up_ids()
            return True

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

    def take(self, events: Events) -> None:
        """Note what the view has taken in, as far as somebody wants it; cheap, for the view's reader waits for it."""
        with self._lock:
            whole = self._walking or events.fills(self._told)
            self._walking = events.kept and events.more
            self._told = events.place.position
            if self._members:
                before = self._ids
                self._look_up_ids()
                pieces = _pieces(events, before | self._ended_members() | self._ids)
                if not whole:
                    self._lose_before(pieces)
                for piece in pieces:
                    self._wait(piece)

    def lose_all(self, position: int) -> None:
        """Tell all that the log has another history now, which the view has read up to `position`: the positions that
        they have had mean nothing any more."""
        with self._lock:
            self._forget_waiting()
            self._told = position
            self._look_up_ids()
            for series, wires in self._members.items():
                self._wait(_gap(series, position))
                for wire, members in wires.items():
                    wires[wire] = dict.fromkeys(members, 0)

    def _lose_before(self, pieces: list[_Piece]) -> None:
        """Tell all that something is gone which stood before these, and which the view has not read."""
        first = {piece.series: piece.begin for piece in reversed(pieces)}
        for series in self._members:
            self._wait(_gap(series, first.get(series, self._told + 1) - 1))

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

    def _look_up_ids(self) -> None:
        found = {self._source.series_id(series): series for series in self._members}
        self._ids = {series_id: series for series_id, series in found.items() if series_id is not None}

    def _ended_members(self) -> dict[int, str]:
        """What has ended just now; some of it may have begun since ids were last looked up."""
        return {number: name for number, name in self._source.ended_series().items() if name in self._members}

    def _wait(self, piece: _Piece) -> None:
        self._waiting.append(piece)
        self._waiting_events += len(piece.positions)
        if self._waiting_events > MOST_WAITING_EVENTS:
            lost = {waiting.series: waiting.end for waiting in self._waiting}
            self._forget_waiting()
            self._waiting.extend(_gap(series, position) for series, position in lost.items())

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_events = 0

    def _hand_out(self, piece: _Piece) -> None:
        for wire, members in self._members.get(piece.series, {}).items():
            chunk = piece.write(wire)
            for member, had in members.items():
                if had < piece.begin:
                    self._put(member, chunk)
                elif piece.gap is None:
                    self._put(member, piece.behind(had).write(wire))

    def _put(self, member: Subscriber, chunk: bytes) -> None:
        if chunk and not member.put(chunk):
            self._drop(member)


def _gap(series: str, position: int) -> _Piece:
    """What tells of a gap that ends at a position."""
    nothing = np.empty(0, np.int64)
    return _Piece(series, nothing, nothing, np.empty(0), position + 1)


def _pieces(events: Events, names: dict[int, str]) -> list[_Piece]:
    """What is to be said of these series, in order of position: events, and where one ended."""
    pieces = [
        _gap(names[change.series], change.position)
        for change in events.changes
        if isinstance(change, SeriesEnd) and change.series in names
    ]
    wanted = np.flatnonzero(np.isin(events.ids, np.fromiter(names, np.uint32)))
    wanted = wanted[np.argsort(events.ids[wanted], kind="stable")]
    ids, starts = np.unique(events.ids[wanted], return_index=True)
    for number, rows in zip(ids.tolist(), np.split(wanted, starts[1:]), strict=False):  # one piece, if no ids
        columns = events.positions[rows], events.times[rows], events.values[rows]
        pieces.append(_Piece(names[number], *columns))
    return sorted(pieces, key=lambda piece: piece.begin)
