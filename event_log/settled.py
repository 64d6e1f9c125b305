"""What is settled: an LMDB environment with full sync, which one process at a time writes to.

The queue holds the records behind the mark densely. Of what stands before it, the kept events lie by series. Series
are found by id, and by the version at which something about them changed last. No value takes more than a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from struct import Struct

import lmdb

from event_log.base import Change, LogDamaged, Memo, Series
from event_log.entries import (
    guarded,
    pack_change,
    pack_id,
    pack_memo,
    pack_position,
    pack_series,
    unguarded,
    unpack_change,
    unpack_memo,
    unpack_position,
    unpack_series,
)
from event_log.environment import Environment, bytes_in
from event_log.heads import HEAD, SettledHead, pack_settled, unpack_settled
from event_log.records import FORMAT, Data

FORMAT_KEY = b"format"
NOTICE_KEY = b"notice"
_VERSION = Struct(">QI")  # version, series
_WHEN = Struct("<d")
_UNTIL = Struct(">q")
_STAMP = Struct("<Q")
_JUMP = Struct("<Q")
WAYS_OUT = "raise TIDEMARK_LOG_MAX_BYTES, or wait until events expire"
KEPT_WAYS_OUT = (
    "kept events fill the log, and these do not expire: lower TIDEMARK_KEEP_LAST, delete series, or raise "
    "TIDEMARK_LOG_MAX_BYTES"
)


class Settled(Environment):
    """The tables. Writing needs the right to settle."""

    def __init__(self, path: Path, begin: SettledHead | None, *, sync: bool) -> None:
        """Where there is nothing yet, a log begins that has this head; None: by `begin`, later."""
        super().__init__(path, 9, sync=sync)
        try:
            with self.write() as txn:
                found = self._open_tables(txn)
                if found is None and begin is not None:
                    self.begin(txn, begin)
        except BaseException:
            self.close()
            raise

    def _open_tables(self, txn: lmdb.Transaction) -> Data | None:
        found = txn.get(FORMAT_KEY)
        if found not in (None, FORMAT) or (found is None and txn.stat()["entries"]):
            raise Foreign(
                f"{self.path} holds {bytes(found or b'something else').decode(errors='replace')!r}, "
                f"not {FORMAT.decode()!r}; name another path in TIDEMARK_LOG_URL"
            )
        names = (b"records", b"series", b"versions", b"kept", b"changes", b"memos", b"memo_times", b"jumps")
        tables = [self.table(txn, name) for name in names]
        self.records, self.series, self.versions, self.kept, self.changes = tables[:5]
        self.memos, self.memo_times, self.jumps = tables[5:]
        self.tables = tables
        return found

    def begin(self, txn: lmdb.Transaction, head: SettledHead) -> None:
        """Make a log of what has none of its own yet."""
        txn.put(FORMAT_KEY, FORMAT)
        self.put_head(txn, head)

    def head(self, txn: lmdb.Transaction) -> SettledHead:
        """Raises LogDamaged."""
        data = txn.get(HEAD)
        if data is None:
            raise self.damaged("it has lost its head")
        return unpack_settled(data)

    def put_head(self, txn: lmdb.Transaction, head: SettledHead) -> None:
        txn.put(HEAD, pack_settled(head))

    def bytes_used(self, txn: lmdb.Transaction) -> int:
        """What its tables take."""
        return bytes_in(txn, *self.tables)

    def items(self, txn: lmdb.Transaction, after: int) -> Iterator[tuple[Data, Data]]:
        """The records of the queue behind a position."""
        cursor = txn.cursor(self.records)
        return cursor.iternext() if cursor.set_range(pack_position(after + 1)) else iter(())

    def series_of(self, txn: lmdb.Transaction, number: int) -> Series | None:
        data = txn.get(pack_id(number), db=self.series)
        return None if data is None else unpack_series(number, data)

    def series_since(self, txn: lmdb.Transaction, version: int) -> Iterator[tuple[int, Series]]:
        """The series about which something has changed after a version."""
        cursor = txn.cursor(self.versions)
        if cursor.set_range(_VERSION.pack(version + 1, 0)):
            for key in cursor.iternext(values=False):
                number = _VERSION.unpack(key)[1]
                series = self.series_of(txn, number)
                if series is not None:
                    yield number, series

    def put_series(self, txn: lmdb.Transaction, number: int, series: Series, version: int) -> None:
        """Write down what is new about a series, at a version."""
        key = pack_id(number)
        cursor_key = b"v" + key
        before = txn.get(cursor_key, db=self.series)
        if before is not None:
            txn.delete(_VERSION.pack(_STAMP.unpack(before)[0], number), db=self.versions)
        txn.put(cursor_key, _STAMP.pack(version), db=self.series)
        txn.put(_VERSION.pack(version, number), b"", db=self.versions)
        txn.put(key, pack_series(number, series), db=self.series)

    def drop_series(self, txn: lmdb.Transaction, number: int) -> None:
        key = pack_id(number)
        before = txn.get(b"v" + key, db=self.series)
        if before is not None:
            txn.delete(_VERSION.pack(_STAMP.unpack(before)[0], number), db=self.versions)
        txn.delete(b"v" + key, db=self.series)
        txn.delete(key, db=self.series)

    def changes_behind(self, txn: lmdb.Transaction, after: int) -> list[Change]:
        """The changes behind a position."""
        return [change for _, change in self.timed_changes(txn, after)]

    def timed_changes(self, txn: lmdb.Transaction, after: int) -> Iterator[tuple[float, Change]]:
        """The same, each with the time at which it was settled."""
        cursor = txn.cursor(self.changes)
        if cursor.set_range(pack_position(after + 1)):
            for key, data in cursor.iternext():
                yield unpack_timed_change(key, data)

    def put_change(self, txn: lmdb.Transaction, change: Change, when: float) -> None:
        txn.put(pack_position(change.position), _WHEN.pack(when) + pack_change(change), db=self.changes)

    def drop_change(self, txn: lmdb.Transaction, position: int) -> None:
        txn.delete(pack_position(position), db=self.changes)

    def memo(self, txn: lmdb.Transaction, key: bytes) -> tuple[Memo, int] | None:
        """What was done under a key, and until when that is remembered."""
        data = txn.get(key, db=self.memos)
        return None if data is None else unpack_memo(data)

    def put_memo(self, txn: lmdb.Transaction, key: bytes, memo: Memo, until: int) -> None:
        before = self.memo(txn, key)
        if before is not None:
            txn.delete(_UNTIL.pack(before[1]) + key, db=self.memo_times)
        txn.put(key, pack_memo(memo, until), db=self.memos)
        txn.put(_UNTIL.pack(until) + key, b"", db=self.memo_times)

    def has_memo_until(self, txn: lmdb.Transaction, now: int) -> bool:
        """Whether there is a memo that need not be remembered at a time."""
        cursor = txn.cursor(self.memo_times)
        return cursor.first() and bool(_UNTIL.unpack_from(cursor.key())[0] <= now)

    def forget_memos(self, txn: lmdb.Transaction, now: int, most: int) -> None:
        """Forget the memos that need not be remembered at a time, a bounded number of them."""
        cursor = txn.cursor(self.memo_times)
        cursor.first()
        while cursor.key() and most and _UNTIL.unpack_from(cursor.key())[0] <= now:
            txn.delete(bytes(cursor.key()[_UNTIL.size :]), db=self.memos)
            cursor.delete()  # and stand on the next one, or on none
            most -= 1

    def jumps_in(self, txn: lmdb.Transaction) -> list[tuple[int, int]]:
        """The jumps of positions, as (from, to)."""
        found = []
        for key, data in txn.cursor(self.jumps).iternext():
            to = unpack_position(key)
            found.append((_JUMP.unpack(unguarded(data, to, "a jump of positions"))[0], to))
        return found

    def put_jump(self, txn: lmdb.Transaction, start: int, to: int) -> None:
        txn.put(pack_position(to), guarded(_JUMP.pack(start), to), db=self.jumps)

    def why_full(self, txn: lmdb.Transaction) -> str:
        """One line for people: why there is no room, and the way out."""
        kept = bytes_in(txn, self.kept) * 2 > self.bytes_used(txn)
        return f"the log at {self.path.parent} is full; {KEPT_WAYS_OUT if kept else WAYS_OUT}"


def unpack_timed_change(key: Data, data: Data) -> tuple[float, Change]:
    """A change and the time at which it was settled. Raises LogDamaged."""
    if len(data) < _WHEN.size:
        raise LogDamaged("a change has no time")
    return _WHEN.unpack_from(data)[0], unpack_change(unpack_position(key), data[_WHEN.size :])


class Foreign(LogDamaged):
    """What is there is not ours, or of another format: never to be touched."""
