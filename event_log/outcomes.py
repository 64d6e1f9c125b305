"""Outcomes of a conditional record, beside the errors of `event_log.errors`."""

from __future__ import annotations

from typing import NamedTuple

from event_log.errors import LogError
from event_log.idempotency import Done


class TryAgain(LogError):
    """A race made the positions that a write had reserved too few; nothing was done."""


class Repeated(LogError):
    """A write with this key was done before."""

    def __init__(self, done: Done) -> None:
        super().__init__(done)
        self.done = done


class Void(LogError):
    """There was nothing to be done: a series has ended before or was not quiet, a start has claimed before, a lease is
    another's, a row has changed."""


class Stored(NamedTuple):
    """Outcome of a record that was carried out."""

    stored: int
    expired: int
    position: int


Outcome = Stored | LogError
