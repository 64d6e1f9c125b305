"""Errors of a log: each says why it cannot do what was asked."""

from __future__ import annotations


class LogError(Exception):
    """The log cannot do what was asked; nothing was stored."""


class LogUnavailable(LogError):
    """The log cannot be read or written just now; it may come back by itself."""


class LogUncertain(LogUnavailable):
    """The one exception to "nothing was stored": the answer to a write was lost, so it may have been stored."""

    events = 1
    """Number of events of the request."""


class LogFull(LogUnavailable):
    """No room is left for a write; compaction makes room as events expire."""


class LogDamaged(LogUnavailable):
    """Stored data cannot be trusted; a person has to look at it."""


class HistoryChanged(LogError):
    """The log no longer has, or can no longer tell from, what this reader has read: it must begin anew."""


class TooManySeries(LogError):
    """A write would begin more series than are allowed."""

    def __init__(self, most: int, owner: str = "") -> None:
        super().__init__(f"the limit of {most} series{owner and f' of {owner}'} is reached")
        self.most = most
        self.owner = owner
        """Owner of the limit; "" where it is MAX_SERIES."""


class TooManyKeepers(LogError):
    """A write would give more series a keep of their own than MAX_SYMBOLS."""


class OverBudget(LogError):
    """A write has more events than its budget holds just now."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after
        """Seconds after which it will hold them, if nobody else spends it."""
