"""A write under conditions: what is stored only if all of them hold when the log is applied, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from struct import Struct, pack
from typing import Any

import numpy as np

from event_log.batch import Batch
from event_log.codec import Data, pack_events, unpack_events

_HEAD = Struct("<BII")  # flags, how many names, how many events had expired on arrival
_KEEP = Struct("<q?")
_BUDGET = Struct("<dqH")
_OWNER = Struct("<qH")
_HAS_KEEP, _HAS_ONCE, _HAS_BUDGET, _HAS_OWNER = 1, 2, 4, 8


@dataclass(frozen=True, slots=True)
class Once:
    """A write to be done at most once under this key, decided by the first one."""

    key: bytes
    """A digest of 16 bytes."""
    body: bytes
    """Another one, of the request: the same key with another body is another request."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A token bucket of events that fills at `rate` a second up to `burst`; all who share the log share it by name."""

    name: str
    rate: float
    burst: int

    def price(self, events: int) -> int:
        """Return the price of a write: at least one, as a write of no event may store an idempotency record."""
        return max(1, events)


@dataclass(frozen=True, slots=True)
class Owner:
    """Owner of the series that a write begins, and the maximum number of its living ones."""

    name: str
    most: int


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions of a write, and what it asks beside the storing of its events."""

    keep: int | None = None
    """Number of last events that its series retain from this write on at least, this write's included. It only rises:
    a greater one in force stays."""
    symbols: bool = False
    """With `keep`: whether only MAX_SYMBOLS series, by the rules in force, may have a keep of their own."""
    once: Once | None = None
    budget: Budget | None = None
    owner: Owner | None = None


PLAIN = Conditions()


@dataclass(frozen=True, slots=True)
class Write:
    """Events by the names of their series, and the conditions."""

    batch: Batch
    conditions: Conditions = PLAIN
    expired: int = 0
    """Number of further events of the request, which had expired when it came."""


def pack_write(write: Write) -> bytes:
    """The payload of a WRITE. Deterministic: equal writes are equal bytes."""
    batch, asked = write.batch, write.conditions
    flags, parts = 0, []
    if asked.keep is not None:
        flags |= _HAS_KEEP
        parts.append(_KEEP.pack(asked.keep, asked.symbols))
    if asked.once is not None:
        flags |= _HAS_ONCE
        parts += asked.once.key, asked.once.body
    if asked.budget is not None:
        flags |= _HAS_BUDGET
        name = asked.budget.name.encode()
        parts += _BUDGET.pack(asked.budget.rate, asked.budget.burst, len(name)), name
    if asked.owner is not None:
        flags |= _HAS_OWNER
        name = asked.owner.name.encode()
        parts += _OWNER.pack(asked.owner.most, len(name)), name
    names = [name.encode() for name in batch.names]
    sizes = pack(f"<{len(names)}H", *map(len, names))
    indexes = 0 if batch.name_indexes is None else batch.name_indexes
    head = _HEAD.pack(flags, len(names), write.expired)
    return b"".join([head, *parts, sizes, *names, pack_events(indexes, batch.times, batch.values)])


def unpack_write(data: Data) -> Write:
    """The same again. Raises ValueError or struct.error."""
    rest = BytesIO(data)

    def fields(layout: Struct) -> tuple[Any, ...]:
        return layout.unpack(rest.read(layout.size))

    def text(size: int) -> str:
        return rest.read(size).decode()

    flags, count, expired = fields(_HEAD)
    keep, symbols = fields(_KEEP) if flags & _HAS_KEEP else (None, False)
    once = Once(rest.read(16), rest.read(16)) if flags & _HAS_ONCE else None
    budget = owner = None
    if flags & _HAS_BUDGET:
        rate, burst, size = fields(_BUDGET)
        budget = Budget(text(size), rate, burst)
    if flags & _HAS_OWNER:
        most, size = fields(_OWNER)
        owner = Owner(text(size), most)
    conditions = Conditions(keep, symbols, once, budget, owner) if flags else PLAIN
    names = [text(size) for size in fields(Struct(f"<{count}H"))]
    indexes, times, values = unpack_events(rest.read())
    if isinstance(indexes, int):
        return Write(Batch(names, None, times, values), conditions, expired)
    if len(indexes) and int(indexes.max()) >= count:
        raise ValueError("an event has no series")
    return Write(Batch(names, indexes, times, values), conditions, expired)


def unexpired(batch: Batch, horizon: int) -> tuple[Batch, int]:
    """The events of a batch that are dated after the horizon, with the names they need, and how many others it had."""
    if isinstance(batch.times, int):
        if batch.times > horizon:
            return batch, 0
        return Batch((), None, batch.times, np.empty(0)), len(batch)
    chosen = batch.times > horizon
    if chosen.all():
        return batch, 0
    times, values = batch.times[chosen], batch.values[chosen]
    if batch.name_indexes is None:
        return Batch(batch.names if len(values) else (), None, times, values), len(batch) - len(values)
    used, indexes = np.unique(batch.name_indexes[chosen], return_inverse=True)
    names = [batch.names[index] for index in used.tolist()]
    return Batch(names, indexes.astype(np.uint32), times, values), len(batch) - len(values)
