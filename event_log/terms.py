"""What a write may ask beside the storing of its events: a keep, to be done once, to be paid for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memo:
    """What is remembered of a write that came with a key."""

    body: bytes
    """A digest of the request, at most 32 bytes: the same key with another one is another request."""
    answer: bytes
    """What the caller wants to know again, at most 64 bytes."""
    position: int
    """Where the log stood behind that write."""


@dataclass(frozen=True, slots=True)
class Once:
    """A write to be done at most once under this key, decided by the first one."""

    key: bytes
    """At most 32 bytes."""
    body: bytes
    answer: bytes
    """As in Memo."""
    now: int
    until: int
    """Remembered for at least so long, and forgotten (no longer replayed, its room free) by now + 2 * (until - now)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A bucket of events that fills at `rate` a second up to `burst`; all who share the log share it by its name."""

    name: str
    rate: float
    burst: int
    now: int
    """Microseconds; one that lies before the last one seen counts as that."""

    def price(self, events: int) -> int:
        """Return what a write of so many events costs: at least one event, as a write of none may store a memo."""
        return max(1, events)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a write asks beside the storing of its events: all of it in the same step, or nothing."""

    keep: int | None = None
    """From this write on, its series keep so many of their last events, this write's included."""
    most_keepers: int | None = None
    """With `keep`: how many series at most may have a keep of their own."""
    once: Once | None = None
    """With it, or with a budget, the batch may be empty: then no position is taken."""
    budget: Budget | None = None
    """What the write is paid from."""


PLAIN = Terms()
