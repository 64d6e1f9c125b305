"""Salvage: what is intact of a damaged log goes into a new one, and the damaged one is set aside.

Records carry checksums that cover their positions, so each proves itself. Where some are missing, positions jump.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import lmdb

from event_log.base import Change, LogDamaged, Series
from event_log.entries import (
    pack_id,
    unguarded,
    unpack_id,
    unpack_kept,
    unpack_memo,
    unpack_position,
    unpack_series,
)
from event_log.heads import HEAD, SettledHead, unpack_settled
from event_log.pages import Item, Pages
from event_log.records import FORMAT, count_events, is_intact, unpack
from event_log.settled import FORMAT_KEY, Settled, unpack_timed_change

WRITES_A_STEP = 20_000


class Salvage:
    """What can be saved from one file."""

    def __init__(self, file: Path) -> None:
        self._pages = Pages(file)
        self.head, self._roots = self._newest()
        self.lost = 0
        """Events of the queue that are lost."""

    def _newest(self) -> tuple[SettledHead, dict[bytes, int]]:
        """The last state whose own head can be read. Raises LogDamaged."""
        for head in self._pages.heads():
            values, roots = self._pages.tables(head)
            if values.get(FORMAT_KEY) == FORMAT:
                with suppress(LogDamaged):
                    return unpack_settled(values.get(HEAD, b"")), roots
        raise LogDamaged("nothing in it can be saved")

    def write(self, folder: Path) -> None:
        """Make a new log of it; it counts as one once its format is written, last of all."""
        settled = Settled(folder, None, sync=True)
        try:
            numbers = self._write_all(settled)
            with settled.write() as txn:
                settled.begin(txn, self.head._replace(next_id=max([self.head.next_id, *(n + 1 for n in numbers)])))
        finally:
            settled.close()

    def _write_all(self, settled: Settled) -> set[int]:
        series = dict(self._series())
        kept, records = dict(self._kept()), self._records()
        named = {number for number, _ in map(unpack_kept, kept)}
        for key, data in records.items():
            named.update(unpack(data, unpack_position(key))[1].tolist())
        for number in named - series.keys():
            series[number] = Series(f"lost series {number}")
        changes = {change.position: (when, change) for when, change in self._changes()}
        jumps = dict(self._jumps())
        jumps.update(self._holes(records, set(changes), jumps))
        version = self.head.version
        with settled.write() as txn:
            for number, one in series.items():
                settled.put_series(txn, number, one, version)
            for when, change in changes.values():
                settled.put_change(txn, change, when)
            for to, start in jumps.items():
                settled.put_jump(txn, start, to)
            for key, data in self._items(b"memos"):
                with suppress(LogDamaged):
                    settled.put_memo(txn, key, *unpack_memo(data))
        _put_all(settled, settled.kept, sorted(kept.items()))
        _put_all(settled, settled.records, sorted(records.items()))
        return named | series.keys()

    def _items(self, table: bytes) -> Iterator[Item]:
        return self._pages.items(self._roots[table]) if table in self._roots else iter(())

    def _series(self) -> Iterator[tuple[int, Series]]:
        for key, data in self._items(b"series"):
            if len(key) == len(pack_id(0)):
                with suppress(LogDamaged, UnicodeDecodeError):
                    yield unpack_id(key), unpack_series(unpack_id(key), data)

    def _kept(self) -> Iterator[Item]:
        return (
            (key, data)
            for key, data in self._items(b"kept")
            if len(key) == 12 and is_intact(data, unpack_position(key[4:]))
        )

    def _records(self) -> dict[bytes, bytes]:
        """The queue. What its tree does not lead to may stand in the file still: a position never has two records."""
        found: dict[bytes, bytes] = {}
        places = range(self.head.mark + 1, self.head.position + 1)
        for key, data in self._items(b"records"):
            found.update(_intact(key, data, places))
        if not self._is_dense(found):
            for key, data in self._pages.everything():
                for own, record in _intact(key, data, places):
                    found.setdefault(own, record)
        return _without_doubles(found)

    def _is_dense(self, records: dict[bytes, bytes]) -> bool:
        return not self._pages.lost and sum(map(count_events, records.values())) == self.head.position - self.head.mark

    def _changes(self) -> Iterator[tuple[float, Change]]:
        for key, data in self._items(b"changes"):
            if len(key) == 8:
                with suppress(LogDamaged):
                    yield unpack_timed_change(key, data)

    def _jumps(self) -> Iterator[tuple[int, int]]:
        for key, data in self._items(b"jumps"):
            if len(key) == 8:
                with suppress(LogDamaged):
                    body = unguarded(data, unpack_position(key), "a jump")
                    yield unpack_position(key), int.from_bytes(body, "little")

    def _holes(
        self, records: dict[bytes, bytes], standing: set[int], jumps: dict[int, int]
    ) -> Iterator[tuple[int, int]]:
        """The places where records are missing, as (to, from)."""
        position = self.head.mark
        ends = [(unpack_position(key) - count_events(data), unpack_position(key)) for key, data in records.items()]
        for start, last in [*sorted(ends), (self.head.position, self.head.position)]:
            while position < start:
                known = [to for to, came in jumps.items() if came <= position < to <= start]
                if position + 1 in standing:
                    position += 1
                elif known:
                    position = max(known)
                else:
                    end = min([start, *(place - 1 for place in standing if position < place <= start)])
                    self.lost += end - position
                    yield end, position
                    position = end
            position = max(position, last)


def _intact(key: bytes, data: bytes, places: range) -> Iterable[Item]:
    """The record, if it proves to stand there."""
    if len(key) != 8 or not data or unpack_position(key) not in places:
        return ()
    if is_intact(data, unpack_position(key)):
        return ((key, data),)
    return ()


def _without_doubles(records: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Of records that overlap, the longer ones."""
    found: dict[bytes, bytes] = {}
    position = 0
    for key in sorted(records):
        start = unpack_position(key) - count_events(records[key])
        if start >= position:
            found[key] = records[key]
            position = unpack_position(key)
    return found


def _put_all(settled: Settled, table: lmdb._Database, items: list[Item]) -> None:
    for start in range(0, len(items), WRITES_A_STEP):
        with settled.write() as txn:
            for key, data in items[start : start + WRITES_A_STEP]:
                txn.put(key, data, db=table, append=True)
