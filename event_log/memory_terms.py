"""What the log in memory remembers beside events: memos of writes done once, buckets that writes are paid from."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf

from event_log.base import Budget, DoneBefore, Memo, Once, OverBudget
from times import SECOND

MEMO_BYTES = 500
"""What one takes, about."""


class Memos:
    """What is remembered of writes that came with a key. Time is what the callers say it is."""

    def __init__(self) -> None:
        self._memos: dict[bytes, tuple[int, Memo]] = {}
        self._ends: list[tuple[int, bytes]] = []  # a heap

    def __len__(self) -> int:
        return len(self._memos)

    def recall(self, key: bytes, now: int) -> Memo | None:
        """The memo of a key, if it is not forgotten by now."""
        until, memo = self._memos.get(key, (0, None))
        return memo if now <= until else None

    def admit(self, once: Once) -> None:
        """Raises DoneBefore."""
        memo = self.recall(once.key, once.now)
        if memo is not None:
            raise DoneBefore(memo)

    def remember(self, once: Once, position: int) -> None:
        """Remember a write; forgets those whose time has passed."""
        self.forget(once.now)
        self._memos[once.key] = once.until, Memo(once.body, once.answer, position)
        heappush(self._ends, (once.until, once.key))

    def forget(self, now: int) -> None:
        """Forget those whose time has passed."""
        while self._ends and self._ends[0][0] < now:
            until, key = heappop(self._ends)
            if key in self._memos and self._memos[key][0] == until:
                del self._memos[key]


class Buckets:
    """Buckets by name: how many events each held, and when."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, int]] = {}

    def level(self, budget: Budget) -> tuple[float, int]:
        """How many events a bucket holds, and the moment that counts as now."""
        held, then = self._buckets.get(budget.name, (budget.burst, budget.now))
        now = max(then, budget.now)
        return min(budget.burst, held + budget.rate * (now - then) / SECOND), now

    def spend(self, budget: Budget, count: int) -> None:
        """Take so many events out. Raises OverBudget, having taken none."""
        held, now = self.level(budget)
        if count > held:
            missing = count - held
            raise OverBudget(missing / budget.rate if budget.rate > 0 and count <= budget.burst else inf)
        self._buckets[budget.name] = held - count, now
