"""Why a log cannot do what was asked, as `event_log.base` promises it."""

from __future__ import annotations

from event_log.terms import Memo


class LogError(Exception):
    """The log cannot do what was asked; nothing was stored."""


class LogUnavailable(LogError):
    """The log cannot be read or written just now; it may come back by itself."""


class LogUncertain(LogUnavailable):
    """The one exception to "nothing was stored": the answer to a write was lost, so it may have been stored."""

    events = 1
    """How many events the request had."""


class LogFull(LogUnavailable):
    """No room is left for a write, even after cleaning."""


class LogDamaged(LogUnavailable):
    """What is stored cannot be trusted; a person has to look at it."""


class HistoryChanged(LogError):
    """The log no longer has, or can no longer tell from, what this reader has read: it must begin anew at START."""


class TooManySeries(LogError):
    """A write would register more series than MAX_SERIES."""


class TooManyKeepers(LogError):
    """A write would give more series a keep of their own than its terms allow."""


class OverBudget(LogError):
    """A write has more events than its budget holds just now."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after
        """Seconds after which it will hold them, if nobody else spends it."""


class DoneBefore(LogError):
    """A write with this key was done before, and not forgotten yet."""

    def __init__(self, memo: Memo) -> None:
        super().__init__(memo)
        self.memo = memo
