"""What the two parts of a log on LMDB say about themselves, once each."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from event_log.base import LogDamaged, Rules
from event_log.entries import guarded, unguarded
from event_log.records import Data

HEAD = b"head"

_FRESH = Struct("<16sBBBQQQqQQQqqq")
_SETTLED = Struct("<16s16sBQQqQQIIQQQQQqqqq")


class FreshHead(NamedTuple):
    """Of what is fresh: read by every append, published by whoever settles."""

    identity: bytes
    """Of the settled log that this belongs to."""
    active: int = 0
    """Which of each two tables takes what is new."""
    frozen: int = 0
    """Whether the other ones still hold what is being settled."""
    damaged: int = 0
    """Whether damage was found, which stops all until the next start."""
    floor: int = 0
    """All behind this position stands in the tables here."""
    base: int = 0
    """The log's position, where no record stands higher."""
    changed: int = 0
    """The position of the last change."""
    horizon: int = 0
    version: int = 0
    """Counts what has happened to series."""
    ended: int = 0
    """The version at which a series ended last."""
    settled_version: int = 0
    room: int = 0
    """How many bytes the active tables may fill."""
    began: int = 0
    """When, by the monotonic clock in nanoseconds, the first of what the active tables hold came."""
    frozen_began: int = 0


class SettledHead(NamedTuple):
    """Of what is settled."""

    identity: bytes
    boot: bytes
    """The run of the machine in which it was last opened."""
    closed: int = 0
    """Whether all there was is in here: the last process has left in peace."""
    position: int = 0
    """Up to where it has taken over what was fresh."""
    mark: int = 0
    horizon: int = 0
    version: int = 0
    """Counts the changes to the table of series."""
    changed: int = 0
    """The position of the last change."""
    next_id: int = 0
    sweep_series: int = 0
    sweep_position: int = 0
    """From which record of kept events on the sweep goes on."""
    sweep_began: int = 0
    """Where the view stood with which the last sweep began."""
    killing: int = 0
    """From which series on the events that the first change not folded has killed are yet to be dropped."""
    folded: int = 0
    """Changes up to here are in the base rules and in what series keep: no event that they killed is left."""
    forgotten: int = 0
    """Changes up to here are told to nobody any more."""
    retention: int = -1
    keep_last: int = -1
    """The base rules; -1: none yet."""
    retention_now: int = -1
    keep_last_now: int = -1

    @property
    def rules(self) -> Rules | None:
        """Those before all changes that are not folded."""
        return None if self.retention < 0 else Rules(self.retention, self.keep_last)

    @property
    def rules_now(self) -> Rules | None:
        """Those in force."""
        return None if self.retention_now < 0 else Rules(self.retention_now, self.keep_last_now)


def pack_fresh(head: FreshHead) -> bytes:
    return _FRESH.pack(*head)


def unpack_fresh(data: Data) -> FreshHead:
    """Raises LogDamaged."""
    if len(data) != _FRESH.size:
        raise LogDamaged("what is fresh has lost its head")
    return FreshHead._make(_FRESH.unpack(data))


def pack_settled(head: SettledHead) -> bytes:
    return guarded(_SETTLED.pack(*head), 0)


def unpack_settled(data: Data) -> SettledHead:
    """Raises LogDamaged."""
    return SettledHead._make(_SETTLED.unpack(unguarded(data, 0, "its head")))
