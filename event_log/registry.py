"""The series of a log as one process knows them: names, ids, and what each keeps of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import lmdb

from event_log.base import Batch, Change, KeepChange, Series, SeriesEnd, Terms, TooManyKeepers, TooManySeries
from event_log.fresh import Fresh
from event_log.heads import FreshHead
from event_log.settled import Settled

LEARNT_AT_ONCE = 500
"""So many series are learnt without a rest: some milliseconds."""


class Registry:
    """What this process has learned. The log's lock guards it."""

    def __init__(self, max_series: int) -> None:
        self.series: dict[int, Series] = {}
        self.ids: dict[str, int] = {}
        """The living series."""
        self.keeps: dict[int, int] = {}
        """What living series keep of their own now."""
        self.version = 0
        """Of what is fresh; all up to there is known."""
        self._settled_version = 0
        self._changed = 0
        self._next_id = 0
        self._ended: dict[int, int] = {}
        self._max_series = max_series

    def known(self, names: Sequence[str]) -> list[int] | None:
        """The ids of these series; None when one has yet to be registered."""
        ids = [self.ids.get(name, -1) for name in names]
        return None if -1 in ids else ids

    def is_current(self, head: FreshHead) -> bool:
        return (self.version, self._settled_version, self._changed) == (
            head.version,
            head.settled_version,
            head.changed,
        )

    def refresh(
        self,
        fresh: Fresh,
        settled: Settled,
        txn: lmdb.Transaction,
        head: FreshHead,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        """Learn what this snapshot of what is fresh, and what is settled, knows more; rest where that is much, as at a
        start."""
        if self.is_current(head) or head.version < self.version or head.settled_version < self._settled_version:
            return  # another thread, with a later snapshot, was first
        with settled.read() as settled_txn:
            settled_head = settled.head(settled_txn)
            news = settled.series_since(settled_txn, self._settled_version)
            for count, (number, series) in enumerate(news, 1):
                self.learn(number, series, settled=True)
                if count % LEARNT_AT_ONCE == 0:
                    rest()
            changes = {change.position: change for change in settled.changes_behind(settled_txn, self._changed)}
        for count, (number, series) in enumerate(fresh.series_from(txn, head, self._next_id), 1):
            self.learn(number, series)
            if count % LEARNT_AT_ONCE == 0:
                rest()
        changes.update({change.position: change for change in fresh.changes_behind(txn, head, self._changed)})
        for position in sorted(changes):
            self._take(changes[position])
        self._next_id = max(self._next_id, settled_head.next_id)
        self._forget_ended(settled_head.forgotten)
        self.version = max(self.version, head.version)
        self._settled_version = max(self._settled_version, settled_head.version)
        self._changed = max([self._changed, head.changed, *changes])

    def learn(self, number: int, series: Series, *, settled: bool = False) -> None:
        """Take in what is written of a series, of which the settled part may know what the fresh one does not."""
        known = self.series.get(number)
        if known is not None:
            newest = series if settled else known
            series = replace(newest, ended=max(known.ended, series.ended))
        self.series[number] = series
        self._next_id = max(self._next_id, number + 1)
        if series.ended:
            self._end(number, series)
            return
        self.ids[series.name] = number
        if series.keep is not None:
            self.keeps.setdefault(number, series.keep)

    def _end(self, number: int, series: Series) -> None:
        if self.ids.get(series.name) == number:
            del self.ids[series.name]
        self.keeps.pop(number, None)
        self._ended[number] = series.ended

    def _take(self, change: Change) -> None:
        if isinstance(change, KeepChange) and change.series in self.series and not self.series[change.series].ended:
            self.keeps[change.series] = change.keep
        elif isinstance(change, SeriesEnd) and change.series in self.series:
            self.learn(change.series, replace(self.series[change.series], ended=change.position))

    def _forget_ended(self, told: int) -> None:
        """Let go of series whose end nobody is told of any more."""
        for number in [number for number, ended in self._ended.items() if ended <= told]:
            del self._ended[number]
            self.series.pop(number, None)

    def admit(self, batch: Batch, terms: Terms) -> dict[int, Series]:
        """The series to be registered for a batch. Raises TooManySeries or TooManyKeepers."""
        new: dict[int, Series] = {}
        if any(name not in self.ids for name in batch.names):
            for name, first in zip(batch.names, batch.firsts(), strict=True):
                if name not in self.ids:
                    new[self._next_id + len(new)] = Series(name, *first, terms.keep)
        if new and len(self.ids) + len(new) > self._max_series:
            raise TooManySeries(f"the limit of {self._max_series:,} series (MAX_SERIES) is reached")
        if terms.keep is not None and terms.most_keepers is not None:
            keepers = sum(self.ids.get(name, -1) not in self.keeps for name in batch.names)
            if keepers and len(self.keeps) + keepers > terms.most_keepers:
                raise TooManyKeepers(f"the limit of {terms.most_keepers:,} series with a keep of their own is reached")
        return new

    def raised(self, batch: Batch, keep: int | None) -> list[int]:
        """Those of a batch's series that are known, and keep another number than that."""
        known = [self.ids[name] for name in batch.names if name in self.ids]
        return [] if keep is None else [number for number in known if self.keeps.get(number) != keep]

    def wrote(self, head: FreshHead, new: dict[int, Series], changes: Sequence[Change]) -> None:
        """Take in what this process has written itself; `head` is the one it has written."""
        for number, series in new.items():
            self.learn(number, series)
        for change in changes:
            self._take(change)
        self.version = head.version
        self._changed = head.changed
