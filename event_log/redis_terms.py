"""What the scripts that write are given beside the record, and what is remembered of a write that is done once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import SystemRandom

from event_log.base import Batch, Memo, Series, Terms
from event_log.entries import pack_memo, pack_series, unpack_memo
from event_log.records import pack_batch
from event_log.redis_registry import Known

NEITHER = ""
"""Where there is nothing to give."""
Argument = bytes | str | int
_nonce = SystemRandom().getrandbits


def new_nonce() -> str:
    """Of a write. Decimal, as Redis writes the second half of an entry's id."""
    return str(_nonce(62))


def arguments(
    batch: Batch, terms: Terms, known: Known, fresh: Mapping[int, Series], max_bytes: int, max_series: int
) -> tuple[Argument, ...]:
    """What write.lua is given behind the nonce."""
    names = {entry.name: number for number, entry in fresh.items()}
    ids = [number if number >= 0 else names[name] for name, number in zip(batch.names, known.ids, strict=True)]
    olds = [number for number in known.ids if number >= 0] if terms.keep is not None else []
    most = -1 if terms.most_keepers is None else terms.most_keepers
    budget = terms.budget
    return (
        len(batch),
        pack_batch(batch, ids) if len(batch) else b"",
        max_bytes,
        max_series,
        NEITHER if terms.keep is None else f"{terms.keep} {most}",
        len(fresh),
        len(olds),
        NEITHER if budget is None else f"{budget.rate!r} {budget.burst} {budget.now} {budget.price(len(batch))}",
        NEITHER if budget is None else budget.name,
        *_once(terms),
        *[pack_series(number, entry) for number, entry in fresh.items()],
        *olds,
    )


def _once(terms: Terms) -> tuple[Argument, ...]:
    """Key, memo, the end of the table that it goes to, and now."""
    once = terms.once
    if once is None:
        return NEITHER, NEITHER, 0, 0
    period = max(1, once.until - once.now)
    end = (once.until // period + 1) * period
    return once.key, pack_memo(Memo(once.body, once.answer, 0), once.until), end, once.now


def memo_of(data: bytes) -> tuple[Memo, str]:
    """The memo as it is stored, and the nonce of the write it is of."""
    position, nonce, packed = data.split(b" ", 2)
    memo, _ = unpack_memo(packed)
    return replace(memo, position=int(position)), nonce.decode()
