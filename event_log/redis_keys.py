"""The keys of the log on Redis; one hash tag puts all into one slot of a Cluster."""

from __future__ import annotations

from typing import NamedTuple, Self


class Keys(NamedTuple):
    """All of them."""

    head: bytes
    stream: bytes
    """The records and changes, each under `<position of its last event>-<nonce>`."""
    kept: bytes
    """Kept events from before the mark, in chunks by the position where a chunk ends."""
    changes: bytes
    """Changes from before the mark that readers are still told."""
    series: bytes
    """The entry of each series with which it was registered."""
    tokens: bytes
    """The nonce of the write that registered it."""
    keeps: bytes
    """What series keep of their own."""
    base: bytes
    """The same, as a reader from START begins with it."""
    ended: bytes
    """The positions of their ends, as long as they may be read."""
    forgotten: bytes
    """The highest position of an event of a series that has left."""
    left: bytes
    """The last changes of `forgotten`, by step of cleaning."""
    once: bytes
    """When tables of memos end, and what they take; each is a key of its own behind this one."""
    budgets: bytes

    @classmethod
    def of(cls, name: str) -> Self:
        """Those of the log of this name."""
        return cls(*(f"{{{name}}}:{key}".encode() for key in cls._fields))
