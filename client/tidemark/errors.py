"""The exceptions of this package, and what they carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MOST_NAMED = 3
"""Events that a message names; the exception holds the others."""


class RefusedEvent(NamedTuple):
    """An event that the server did not take, and why."""

    series: str
    value: float
    timestamp: str
    reason: str


class Counts(NamedTuple):
    """Numbers of events sent so far, by what has become of them."""

    stored: int
    expired: int
    """Older than the retention when they arrived; not stored."""
    refused: int
    waiting: int
    """Not yet known to be stored."""


class TidemarkError(Exception):
    """The base of all exceptions of this package."""


class Refused(TidemarkError):
    """The server has refused these events, and will not take them if they are sent again."""

    def __init__(self, events: Sequence[RefusedEvent], total: int | None = None) -> None:
        self.events = list(events)
        self.total = len(self.events) if total is None else total
        """Number of refused events; `events` holds the newest 1,000 of them at most."""
        named = [
            f"{event.series!r} {event.value!r} at {event.timestamp}: {event.reason}"
            for event in self.events[:MOST_NAMED]
        ]
        more = f"; and {self.total - len(named)} more" if self.total > len(named) else ""
        super().__init__(f"{self.total} {'event' if self.total == 1 else 'events'} refused: {'; '.join(named)}{more}")


class Unanswered(TidemarkError):
    """No whole answer came: whether the request arrived is not known. `reason` is a few words."""

    def __init__(self, reason: str, url: str | None = None) -> None:
        super().__init__(reason if url is None else f"no answer from {url}: {reason}")
        self.reason = reason


class Problem(TidemarkError):
    """The server has answered a request with an error."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class NotAllowed(Problem):
    """The access key may not do this (401, 403). Events wait in the buffer and are tried again every 30 seconds."""


class NotSent(TidemarkError):
    """Time ran out while events were not yet known to be stored."""

    def __init__(self, waiting: int, reason: str = "") -> None:
        why = f" ({reason})" if reason else ""
        super().__init__(f"{waiting} {'event is' if waiting == 1 else 'events are'} not known to be stored{why}")
        self.waiting = waiting


class Closed(TidemarkError):
    """`send` was called after `close`."""
