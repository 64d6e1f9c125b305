"""What a write does inside its one transaction of the fresh part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import lmdb

from event_log.base import Batch, Change, DoneBefore, KeepChange, Memo, Once, Series, Terms
from event_log.entries import pack_memo, pack_position
from event_log.environment import bytes_in
from event_log.fresh import Fresh
from event_log.heads import FreshHead
from event_log.records import pack_pieces, sealed
from event_log.registry import Registry
from event_log.settled import Settled

ENTRY = 512
"""More than what a series, a change or a memo takes."""


def put_pieces(
    fresh: Fresh, txn: lmdb.Transaction, head: FreshHead, pieces: Sequence[tuple[int, bytes]], position: int
) -> int:
    """Store records behind a position, where room is reserved; returns the position of the last event."""
    table = fresh.records[head.active]
    for count, data in pieces:
        position += count
        txn.put(pack_position(position), sealed(data, position), db=table, append=True)
    return position


@dataclass(slots=True)
class Appended:
    """What such a transaction has done, to be learned once it has ended well."""

    head: FreshHead
    position: int
    new: dict[int, Series] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


def append_with_terms(
    fresh: Fresh, settled: Settled, registry: Registry, txn: lmdb.Transaction, batch: Batch, terms: Terms
) -> Appended:
    """Store a batch with all that its terms ask. Raises what `EventLog.append` raises, having stored nothing."""
    head = fresh.head(txn)
    registry.refresh(fresh, settled, txn, head)
    if terms.once is not None:
        _refuse_again(fresh, settled, txn, head, terms.once)
    new = registry.admit(batch, terms) if len(batch) else {}
    own = {series.name: number for number, series in new.items()}
    ids = [own[name] if name in own else registry.ids[name] for name in batch.names] if len(batch) else []
    raised = registry.raised(batch, terms.keep) if ids else []
    if terms.budget is not None:
        fresh.spend(txn, terms.budget, terms.budget.price(len(batch)))
    pieces = pack_pieces(batch, ids) if ids else []
    size = sum(len(data) for _, data in pieces) + ENTRY * (len(new) + len(raised))
    if terms.once is not None:
        size += ENTRY + 2 * bytes_in(txn, fresh.memos[head.active])  # settled, they take an index too
    position = fresh.reserve(txn, head, size)
    head = fresh.head(txn)
    done = Appended(head, position, new)
    for number, series in new.items():
        fresh.put_series(txn, head, number, series)
    for number in raised:
        position += 1
        assert terms.keep is not None
        change = KeepChange(position, head.horizon, number, terms.keep)
        head = fresh.put_change(txn, head, change)
        done.changes.append(change)
    done.position = put_pieces(fresh, txn, head, pieces, position)
    if terms.once is not None:
        memo = Memo(terms.once.body, terms.once.answer, done.position)
        txn.put(terms.once.key, pack_memo(memo, terms.once.until), db=fresh.memos[head.active])
    if new:
        head = head._replace(version=head.version + 1)
    if head != done.head:
        fresh.put_head(txn, head)
    done.head = head
    return done


def _refuse_again(fresh: Fresh, settled: Settled, txn: lmdb.Transaction, head: FreshHead, once: Once) -> None:
    """Raises DoneBefore."""
    found = memo_of(fresh, settled, txn, head, once.key, once.now)
    if found is not None:
        raise DoneBefore(found)


def memo_of(
    fresh: Fresh, settled: Settled, txn: lmdb.Transaction, head: FreshHead, key: bytes, now: int
) -> Memo | None:
    """What is remembered under a key."""
    found = fresh.memo(txn, head, key)
    if found is None:
        with settled.read() as settled_txn:
            found = settled.memo(settled_txn, key)
    return found[0] if found is not None and now < found[1] else None
