"""The way of a reader that stands behind the mark: kept events by series, in portions, until it has passed the mark."""

from __future__ import annotations

from typing import NamedTuple

import lmdb

from event_log.base import Change, Events, HistoryChanged, Place
from event_log.entries import pack_kept, unpack_kept
from event_log.heads import SettledHead
from event_log.records import Columns, chosen, joined, unpack
from event_log.settled import Settled

MOST_CHANGES = 16
"""A reader behind the mark that was to be told of more must begin anew: each takes a pass over all kept events."""


class Walk(NamedTuple):
    """How far a reader has come on its pass over the kept events between its position and `high`."""

    high: int
    """Up to which position this pass goes; the mark may have gone on meanwhile, and the next pass goes there."""
    series: int = 0
    position: int = 0
    """What was read last."""


def step(settled: Settled, txn: lmdb.Transaction, head: SettledHead, place: Place, limit: int) -> Events:
    """The next portion for a reader behind the mark: kept events, or one change. Raises HistoryChanged."""
    walk = place.detail
    if not isinstance(walk, Walk):
        changes = _changes(settled, txn, head, place.position)
        if changes and changes[0].position == place.position + 1:
            none = Events.none(Place(changes[0].position), head.horizon)
            return Events(*_columns(none), none.place, head.horizon, changes[:1], more=True)
        walk = Walk(changes[0].position - 1 if changes else head.mark)
    return _portion(settled, txn, head, place.position, walk, limit)


def _changes(settled: Settled, txn: lmdb.Transaction, head: SettledHead, position: int) -> list[Change]:
    """Those a reader has to be told on its way to the mark. One from the start begins with what they have led to."""
    if position == 0:
        return []
    changes = [change for change in settled.changes_behind(txn, position) if change.position <= head.mark]
    if len(changes) > MOST_CHANGES:
        raise HistoryChanged("this reader has fallen too far behind; it must begin anew")
    return changes


def _portion(settled: Settled, txn: lmdb.Transaction, head: SettledHead, low: int, walk: Walk, limit: int) -> Events:
    pieces: list[Columns] = []
    cursor = txn.cursor(settled.kept)
    more = cursor.set_range(pack_kept(walk.series, max(low, walk.position) + 1))
    while more and limit > 0:
        number, last = unpack_kept(cursor.key())
        if number != walk.series:
            walk = Walk(walk.high, number, low)
        piece = _between(unpack(cursor.value(), last), max(low, walk.position), walk.high)
        if len(piece[0]):
            pieces.append(piece)
            limit -= len(piece[0])
            walk = walk._replace(position=int(piece[0][-1]))
        if last >= walk.high:
            walk = Walk(walk.high, number + 1, low)
        more = cursor.set_range(pack_kept(walk.series, max(last if number == walk.series else low, low) + 1))
    place = Place(low, walk) if more else Place(walk.high)
    columns = joined(pieces) if pieces else _columns(Events.none(place, head.horizon))
    return Events(*columns, place, head.horizon, kept=True, more=True)


def _between(columns: Columns, low: int, high: int) -> Columns:
    start, end = (int(columns[0].searchsorted(position, side="right")) for position in (low, high))
    return chosen(columns, slice(start, end))


def _columns(events: Events) -> Columns:
    return events.positions, events.ids, events.times, events.values


def refuse_behind(head: SettledHead, place: Place) -> None:
    """Raises HistoryChanged for a reader that was to be told of changes that are forgotten."""
    told = place.detail.high if isinstance(place.detail, Walk) else place.position
    if told < head.forgotten and (place.position or place.detail is not None):
        raise HistoryChanged("this reader has fallen too far behind; it must begin anew")
