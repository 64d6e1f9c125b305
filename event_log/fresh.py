"""What is fresh: an LMDB environment without sync, the only one that a request writes to.

Each table is there twice: what is new goes to the active one, while the other is empty or frozen, its records being
settled. It lies in a directory named by the run of the machine, after which nobody trusts it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from struct import Struct

import lmdb

from event_log.base import Budget, Change, LogDamaged, LogFull, Memo, OverBudget, Rules, Series
from event_log.entries import (
    pack_change,
    pack_id,
    pack_position,
    pack_series,
    unpack_change,
    unpack_id,
    unpack_memo,
    unpack_position,
    unpack_series,
)
from event_log.environment import PAGE, Environment
from event_log.heads import HEAD, FreshHead, pack_fresh, unpack_fresh
from event_log.records import Data, count_events, is_intact
from times import SECOND

Item = tuple[Data, Data]
"""Key and record."""

SOME_ROOM = 64 * 1024
"""What a common batch takes. A log that has not so much left is not healthy, whatever smaller may still go in."""
_PROBE = b"probe"
_CLAIMS = b"claims"
_START_SIZE = 16
MOST_STARTS = 64
"""So many starts of the service are remembered to have claimed."""
_RULES = Struct("<qq")
_BUDGET = Struct("<dq")  # events it holds, when


class NoRoom(LogFull):
    """Nothing more goes in before something is settled."""


class Fresh(Environment):
    """The tables, in twos; which of them is active says the head in the same snapshot."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, 9, sync=False)
        with self.write() as txn:
            names = (b"records", b"series", b"changes", b"memos")
            self.records, self.series, self.changes, self.memos = (
                [self.table(txn, name + half) for half in (b"0", b"1")] for name in names
            )
            self.budgets = self.table(txn, b"budgets")

    def found(self) -> FreshHead | None:
        """Its head; None where it was never made whole."""
        with self.read() as txn:
            data = txn.get(HEAD)
        return None if data is None else unpack_fresh(data)

    def head(self, txn: lmdb.Transaction) -> FreshHead:
        """Raises LogDamaged when somebody has found damage."""
        head = unpack_fresh(txn.get(HEAD, b""))
        if head.damaged:
            raise LogDamaged(self.damage or f"the log at {self.path.parent.parent} was found damaged; restart Tidemark")
        return head

    def verify(self) -> None:
        """Read all that waits for being settled. Raises LogDamaged where something is wrong, or missing."""
        with self.read() as txn:
            head = unpack_fresh(txn.get(HEAD, b""))._replace(active=1, frozen=1)  # so that both halves are looked at
            position = head.floor + len(self.changes_behind(txn, head, -1))
            for key, data in self.items(txn, head, -1):
                if not is_intact(data, unpack_position(key)):
                    raise LogDamaged(f"the record at position {unpack_position(key)} does not match its checksum")
                position += count_events(data)
            for _, data in chain.from_iterable(txn.cursor(table).iternext() for table in self.memos):
                unpack_memo(data)
            list(self.series_from(txn, head, 0))
            if position != max(head.base, *(self.last(txn, head._replace(active=half)) for half in (0, 1))):
                raise LogDamaged("records are missing")

    def probe(self) -> None:
        """Try whether a common batch can be written. Raises LogUnavailable."""
        with self.write() as txn:
            txn.put(_PROBE, bytes(SOME_ROOM))
        with self.write() as txn:
            txn.delete(_PROBE)

    def put_head(self, txn: lmdb.Transaction, head: FreshHead) -> None:
        txn.put(HEAD, pack_fresh(head))

    def last(self, txn: lmdb.Transaction, head: FreshHead) -> int:
        """The log's position."""
        cursor = txn.cursor(self.records[head.active])
        return max(unpack_position(cursor.key()), head.base) if cursor.last() else head.base

    def reserve(self, txn: lmdb.Transaction, head: FreshHead, size: int) -> int:
        """The position behind which records of so many bytes are to be put, in this transaction. Raises NoRoom."""
        table = self.records[head.active]
        stat = txn.stat(table)
        if (stat["leaf_pages"] + stat["branch_pages"] + stat["overflow_pages"]) * PAGE + size > head.room:
            raise NoRoom
        if not head.began:
            self.put_head(txn, head._replace(began=time.monotonic_ns()))
        if not stat["entries"]:
            return head.base
        cursor = txn.cursor(table)
        cursor.last()
        return max(unpack_position(cursor.key()), head.base)

    def is_empty(self, txn: lmdb.Transaction, head: FreshHead) -> bool:
        """Whether nothing waits for being settled."""
        tables = (self.records, self.series, self.changes, self.memos)
        return not head.frozen and not any(txn.stat(table[head.active])["entries"] for table in tables)

    def items(self, txn: lmdb.Transaction, head: FreshHead, after: int) -> Iterator[Item]:
        """The records behind a position."""
        return chain.from_iterable(
            _behind(txn, self.records[half], after) for half in ((1 - head.active, head.active)[not head.frozen :])
        )

    def changes_behind(self, txn: lmdb.Transaction, head: FreshHead, after: int) -> list[Change]:
        """The changes behind a position."""
        if head.changed <= after:
            return []
        halves = (1 - head.active, head.active)[not head.frozen :]
        return [
            unpack_change(unpack_position(key), data)
            for half in halves
            for key, data in _behind(txn, self.changes[half], after)
        ]

    def records_behind(self, txn: lmdb.Transaction, half: int, after: int) -> Iterator[Item]:
        """The records of one half behind a position."""
        return _behind(txn, self.records[half], after)

    def series_from(self, txn: lmdb.Transaction, head: FreshHead, start: int) -> Iterator[tuple[int, Series]]:
        """What is said here of series, from an id on."""
        for half in (1 - head.active, head.active)[not head.frozen :]:
            yield from self.series_in(txn, half, start)

    def series_in(self, txn: lmdb.Transaction, half: int, start: int) -> Iterator[tuple[int, Series]]:
        """The same of one half."""
        cursor = txn.cursor(self.series[half])
        if cursor.set_range(pack_id(start)):
            for key, data in cursor.iternext():
                number = unpack_id(key)
                yield number, unpack_series(number, data)

    def put_series(self, txn: lmdb.Transaction, head: FreshHead, number: int, series: Series) -> None:
        txn.put(pack_id(number), pack_series(number, series), db=self.series[head.active])

    def put_change(self, txn: lmdb.Transaction, head: FreshHead, change: Change) -> FreshHead:
        """Write a change down; returns the head to be written."""
        txn.put(pack_position(change.position), pack_change(change), db=self.changes[head.active])
        return head._replace(changed=change.position, base=change.position)

    def memo(self, txn: lmdb.Transaction, head: FreshHead, key: bytes) -> tuple[Memo, int] | None:
        """What was done under a key, and until when that is remembered."""
        for half in (head.active, 1 - head.active):
            data = txn.get(key, db=self.memos[half])
            if data is not None:
                return unpack_memo(data)
        return None

    def spend(self, txn: lmdb.Transaction, budget: Budget, events: int) -> None:
        """Take events out of a budget. Raises OverBudget."""
        key = budget.name.encode()[:500]
        data = txn.get(key, db=self.budgets)
        held, seen = (budget.burst, budget.now) if data is None else _BUDGET.unpack(data)
        now = max(budget.now, seen)
        held = min(float(budget.burst), held + (now - seen) / SECOND * budget.rate)
        if held < events:
            raise OverBudget((events - held) / budget.rate if events <= budget.burst else math.inf)
        txn.put(key, _BUDGET.pack(held - events, now), db=self.budgets)

    def claims(self, txn: lmdb.Transaction) -> tuple[list[bytes], Rules | None]:
        """The last starts that have claimed, and the rules in force."""
        data = bytes(txn.get(_CLAIMS) or _RULES.pack(-1, -1))
        retention, keep_last = _RULES.unpack_from(data)
        starts = [data[at : at + _START_SIZE] for at in range(_RULES.size, len(data), _START_SIZE)]
        return starts, None if retention < 0 else Rules(retention, keep_last)

    def put_claims(self, txn: lmdb.Transaction, starts: list[bytes], rules: Rules | None) -> None:
        fixed = _RULES.pack(-1, -1) if rules is None else _RULES.pack(rules.retention, rules.keep_last)
        txn.put(_CLAIMS, fixed + b"".join(starts[-MOST_STARTS:]))


def digest_of(start: str) -> bytes:
    """What is remembered of a start that has claimed."""
    return blake2b(start.encode(), digest_size=_START_SIZE).digest()


def _behind(txn: lmdb.Transaction, table: lmdb._Database, after: int) -> Iterator[Item]:
    cursor = txn.cursor(table)
    return cursor.iternext() if cursor.set_range(pack_position(after + 1)) else iter(())
