"""A read of a log on LMDB, in one snapshot of the fresh part and one, opened later, of the settled part."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import lmdb

from event_log.base import START, Events, HistoryChanged, Place
from event_log.reading import as_events, take
from event_log.store import Store
from event_log.walk import Walk, refuse_behind, step


class Reading:
    """What is in the log, in a snapshot of the fresh part."""

    def __init__(self, store: Store, txn: lmdb.Transaction) -> None:
        self._store = store
        self._fresh = store.fresh
        self._txn = txn
        self.head = store.fresh.head(txn)

    def read(self, place: Place, limit: int) -> Events:
        """Raises HistoryChanged, or LogDamaged."""
        if place.detail is None and place.position >= max(1, self.head.floor):
            return self._newest(place, limit)
        with self._store.settled.read() as txn:
            return self._all(txn, place, limit)

    def queue(self, place: Place, limit: int) -> Events:
        """The same for a place that may lie behind what is fresh, not looking for kept events."""
        with self._store.settled.read() as txn:
            return self._queue(txn, place, limit)

    def _newest(self, place: Place, limit: int) -> Events:
        """Behind a place that what is fresh reaches back to: most reads."""
        last = self._fresh.last(self._txn, self.head)
        if place.position >= last:
            if place.position > last:
                raise HistoryChanged(f"the log ends at position {last:,}, before {place.position:,}")
            return Events.none(place, self.head.horizon)
        items, counts, more = take(self._fresh.items(self._txn, self.head, place.position), limit)
        changes = self._fresh.changes_behind(self._txn, self.head, place.position)
        return as_events(
            items,
            counts,
            more,
            after=place.position,
            changes=changes,
            jumps=self._store.jumps,
            end=last,
            horizon=self.head.horizon,
        )

    def _all(self, txn: lmdb.Transaction, place: Place, limit: int) -> Events:
        head = self._store.settled.head(txn)
        refuse_behind(head, place)
        rules = head.rules if place == START else None
        while place.position < head.mark or isinstance(place.detail, Walk):
            events = step(self._store.settled, txn, head, place, limit)
            place = events.place
            if len(events) or events.changes:
                end = max(head.position, self._fresh.last(self._txn, self.head))
                more = place.detail is not None or place.position < end
                break
        else:
            events = self._queue(txn, place, limit)
            more = events.more
        return replace(events, rules=rules, more=more, horizon=max(self.head.horizon, head.horizon))

    def _queue(self, txn: lmdb.Transaction, place: Place, limit: int) -> Events:
        settled = self._store.settled
        head = settled.head(txn)
        after = place.position
        fresh = self._fresh.items(self._txn, self.head, max(after, head.position))
        items, counts, more = take(chain(settled.items(txn, after), fresh), limit)
        end = max(head.position, self._fresh.last(self._txn, self.head))
        changes = {change.position: change for change in settled.changes_behind(txn, after)}
        changes |= {change.position: change for change in self._fresh.changes_behind(self._txn, self.head, after)}
        return as_events(
            items,
            counts,
            more,
            after=after,
            changes=[changes[position] for position in sorted(changes) if position <= end],
            jumps=self._store.jumps,
            end=end,
            horizon=max(self.head.horizon, head.horizon),
        )
