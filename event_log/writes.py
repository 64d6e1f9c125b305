"""A write under conditions: what is stored only if all of them hold when the log is applied, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct, pack, unpack

import numpy as np

from event_log.batch import Batch
from event_log.codec import Data, pack_events, unpack_events
from event_log.errors import LogDamaged

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
    """Number of last events that its series retain from this write on, this write's included."""
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
    """The same again. Raises LogDamaged."""
    try:
        return _Unpacking(data).write()
    except (ValueError, IndexError, UnicodeDecodeError) as fault:
        raise LogDamaged(f"a record of a write cannot be read: {fault}") from fault


class _Unpacking:
    """Reads one payload from front to back."""

    def __init__(self, data: Data) -> None:
        self._data = memoryview(data)
        self._at = 0

    def write(self) -> Write:
        flags, names, expired = self._fields(_HEAD)
        conditions = self._conditions(flags)
        sizes = unpack(f"<{names}H", self._bytes(2 * names))
        series = [str(self._bytes(size), "utf-8") for size in sizes]
        indexes, times, values = unpack_events(self._data[self._at :])
        if not isinstance(indexes, int) and len(indexes) and int(indexes.max()) >= names:
            raise LogDamaged("an event of a write has no series")
        return Write(Batch(series, None if isinstance(indexes, int) else indexes, times, values), conditions, expired)

    def _conditions(self, flags: int) -> Conditions:
        if not flags:
            return PLAIN
        keep = once = budget = owner = None
        symbols = False
        if flags & _HAS_KEEP:
            keep, counted = self._fields(_KEEP)
            symbols = bool(counted)
        if flags & _HAS_ONCE:
            once = Once(bytes(self._bytes(16)), bytes(self._bytes(16)))
        if flags & _HAS_BUDGET:
            rate, burst, size = self._fields(_BUDGET)
            budget = Budget(str(self._bytes(size), "utf-8"), rate, burst)
        if flags & _HAS_OWNER:
            count, size = self._fields(_OWNER)
            owner = Owner(str(self._bytes(size), "utf-8"), count)
        return Conditions(keep, symbols, once, budget, owner)

    def _fields(self, layout: Struct) -> tuple[int, ...]:
        return layout.unpack(self._bytes(layout.size))

    def _bytes(self, size: int) -> memoryview:
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise LogDamaged("a record of a write ends too early")
        return self._data[start : self._at]


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
