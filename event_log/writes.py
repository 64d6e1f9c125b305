"""A write under conditions: what is stored only if all of them hold when the log is applied, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from event_log.batch import Batch
from event_log.codec import Data, pack_events, pack_json, unpack_events, unpack_json


class Once(NamedTuple):
    """A write to be done at most once under this key, decided by the first one."""

    key: bytes
    """A digest of 16 bytes."""
    body: bytes
    """Another one, of the request: the same key with another body is another request."""


class Budget(NamedTuple):
    """A token bucket of events that fills at `rate` a second up to `burst`; all who share the log share it by name."""

    name: str
    rate: float
    burst: int

    def price(self, events: int) -> int:
        """Return the price of a write: at least one, as a write of no event may store an idempotency record."""
        return max(1, events)


class Owner(NamedTuple):
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
    """The payload of a WRITE: a line of JSON, and the events. Deterministic: equal writes are equal bytes."""
    batch, asked = write.batch, write.conditions
    once = asked.once and [digest.hex() for digest in asked.once]
    names = list(batch.names)
    head = pack_json((write.expired, names, asked.keep, asked.symbols, once, asked.budget, asked.owner))
    indexes = 0 if batch.name_indexes is None else batch.name_indexes
    return head + b"\n" + pack_events(indexes, batch.times, batch.values)


def unpack_write(data: Data) -> Write:
    """The same again. Raises ValueError, TypeError or struct.error."""
    head, _, events = bytes(data).partition(b"\n")
    expired, names, keep, symbols, digests, budget, owner = unpack_json(head)
    once = digests and Once(*map(bytes.fromhex, digests))
    conditions = Conditions(keep, symbols, once, budget and Budget(*budget), owner and Owner(*owner))
    indexes, times, values = unpack_events(events)
    if isinstance(indexes, int):
        return Write(Batch(names, None, times, values), conditions, expired)
    if len(indexes) and int(indexes.max()) >= len(names):
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
