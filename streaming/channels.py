"""Fans events out: what the worker's view has taken in becomes chunks, once per series and wire format.

A newcomer first gets what the view holds of its series after where it begins, a chunk at a time and at its own pace;
with the last chunk it joins the channel, and from then on is handed whatever the view takes in. Nothing here reads the
log: a worker has one reader, and streams live on what that brings.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Container, Generator, Sequence
from typing import NamedTuple

import numpy as np

from event_log.applied import Told
from event_log.aside import give_way
from event_log.batch import Times, Values
from event_log.codec import Columns, joined
from event_log.steps import Jump, Rows, SeriesEnd, Step
from event_service import EventService
from streaming.subscriber import Subscriber
from streaming.wire import MOST_EVENT_BYTES, Wire

PIECE_BYTES = 1 << 16
"""Bytes of missed events that are written at a time, roughly: bounds what waits for a slow reader."""
PIECE_EVENTS = 2_000
"""Events written at a time: a few milliseconds of work."""
MOST_WAITING_EVENTS = 2_000_000
"""Maximum number of events that wait to be handed out: above it a subscriber is told of a gap instead."""

Channel = tuple[str, Wire]
"""A series, and the wire format of its events."""


class _Piece(NamedTuple):
    """Events of one series that wait to be handed out, or word that some are lost."""

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
        """Position up to which a subscriber has had everything once it is handed this."""
        return int(self.positions[-1]) if self.gap is None else self.gap - 1

    def behind(self, position: int) -> _Piece:
        """Return the part for a subscriber that has had everything up to a position."""
        start = int(self.positions.searchsorted(position, side="right"))
        return self._replace(positions=self.positions[start:], times=self.times[start:], values=self.values[start:])

    def first(self, count: int) -> _Piece:
        """Its first events."""
        return self._replace(positions=self.positions[:count], times=self.times[:count], values=self.values[:count])

    def write(self, wire: Wire) -> bytes:
        gap = b"" if self.gap is None else wire.gap(self.series, self.gap)
        return gap + (wire.events(*self[:4]) if len(self.positions) else b"")


class Channels:
    """Subscribers by channel, and the events that wait to be handed out. The feed's lock guards all of it."""

    def __init__(self, source: EventService, lock: threading.RLock) -> None:
        self._source = source
        self._lock = lock
        self._members: dict[str, dict[Wire, dict[Subscriber, int]]] = {}  # and up to where each has had everything
        self._ids: dict[int, str] = {}  # of their series, as last looked up
        self._told = 0  # position of the view, as far as known
        self._waiting: deque[_Piece] = deque()
        self._waiting_events = 0

    def __bool__(self) -> bool:
        return bool(self._members)

    @property
    def waiting(self) -> bool:
        """Return whether there is something to hand out."""
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

    def take(self, told: Told) -> None:
        """Note what the projection has taken in, as far as somebody wants it; cheap, for its reader waits for it."""
        with self._lock:
            self._told = told.cursor.position
            if self._members:
                names = dict(self._ids)
                self._look_up_ids()
                names |= self._ids
                for piece in _pieces(told.steps, names, self._members):
                    self._wait(piece)

    def begin_anew(self, position: int) -> None:
        """Have all catch up by themselves with the projection that has taken the place of the one before, which stands
        here."""
        with self._lock:
            had = dict.fromkeys(self._members, self._told)
            for waiting in reversed(self._waiting):
                if waiting.series in had:
                    had[waiting.series] = waiting.begin - 1
            for series, wires in self._members.items():
                for member, own in itertools.chain(*[members.items() for members in wires.values()]):
                    member.fall_behind(min(max(own, had[series]), position))
            self._members.clear()
            self._forget_waiting()
            self._told = position

    def step(self) -> bool:
        """Hand out some of what waits; whether there is more."""
        with self._lock:
            if self._waiting:
                piece = self._waiting.popleft()
                if len(piece.positions) > PIECE_EVENTS:
                    self._waiting.appendleft(piece.behind(int(piece.positions[PIECE_EVENTS - 1])))
                    piece = piece.first(PIECE_EVENTS)
                self._waiting_events -= len(piece.positions)
                self._hand_out(piece)
            return bool(self._waiting)

    def _look_up_ids(self) -> None:
        found = {self._source.series_id(series): series for series in self._members}
        self._ids = {series_id: series for series_id, series in found.items() if series_id is not None}

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
                    member.put(chunk)
                elif piece.gap is None:
                    member.put(piece.behind(had).write(wire))


def _gap(series: str, position: int) -> _Piece:
    """Return a gap that ends at a position."""
    nothing = np.empty(0, np.int64)
    return _Piece(series, nothing, nothing, np.empty(0), position + 1)


def _pieces(steps: Sequence[Step], names: dict[int, str], wanted: Container[str]) -> list[_Piece]:
    """Return the news of these series, in order of position: events, where one ended, and where positions jumped.
    `wanted`: the names of them all, of which some may not be known by id any more."""
    pieces, columns = list[_Piece](), list[Columns]()
    for step in steps:
        if isinstance(step, Columns):
            columns.append(step)
        elif isinstance(step, Rows):
            columns.append(step.columns())
        elif isinstance(step, SeriesEnd) and step.name in wanted:
            names = {**names, step.series: step.name}  # it may have begun since ids were last looked up
            pieces.append(_gap(step.name, step.position))
        elif isinstance(step, Jump):
            pieces.extend(_gap(series, step.to) for series in set(names.values()))
    events = joined(columns)
    chosen = np.flatnonzero(np.isin(events.ids, np.fromiter(names, np.uint32)))
    chosen = chosen[np.argsort(events.ids[chosen], kind="stable")]
    ids, starts = np.unique(events.ids[chosen], return_index=True)
    for number, rows in zip(ids.tolist(), np.split(chosen, starts[1:]), strict=False):  # one piece, if no ids
        pieces.append(_Piece(names[number], events.positions[rows], events.times[rows], events.values[rows]))
    return sorted(pieces, key=lambda piece: piece.begin)
