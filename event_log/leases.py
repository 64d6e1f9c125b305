"""Leases: a right that one process has at a time, until a moment of the log's time.

A lease has a number, the one of the record that gave it to its holder. What is done under it carries that number, and
is void once the lease is another's or has run out: a holder that was halted meanwhile can do no harm (a fencing token).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Lease(NamedTuple):
    """Holder of a right, and the time at which the right ends."""

    holder: str
    number: int
    until: int
    """In microseconds of the log's time."""


class Asked(NamedTuple):
    """A lease that a record asks for."""

    name: str
    holder: str
    duration: int
    """In microseconds; 0 gives the lease up."""


class Leases:
    """All leases by name."""

    def __init__(self, items: Iterable[tuple[str, Lease]] = ()) -> None:
        self._leases = dict(items)

    def items(self) -> list[tuple[str, Lease]]:
        """All that a checkpoint has to hold, in order."""
        return list(self._leases.items())

    def current(self, name: str, now: int) -> Lease | None:
        """Return the lease that is in force."""
        lease = self._leases.get(name)
        return lease if lease is not None and now < lease.until else None

    def is_in_force(self, name: str, number: int, now: int) -> bool:
        """Return whether a lease is still the one with this number."""
        lease = self.current(name, now)
        return lease is not None and lease.number == number

    def take(self, asked: Asked, now: int, number: int) -> bool:
        """Give or prolong a lease, by a record of this time and number; False while another one has it."""
        lease = self._leases.get(asked.name)
        if lease is not None and lease.holder == asked.holder:
            number = lease.number
        elif lease is not None and now < lease.until:
            return False
        self._leases[asked.name] = Lease(asked.holder, number, now + asked.duration)
        return True
