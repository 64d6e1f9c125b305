"""Token buckets by name, which hold events; they fill by the log's time."""

from __future__ import annotations

from math import inf

from event_log.errors import OverBudget
from event_log.writes import Budget
from times import SECOND


class Buckets:
    """All buckets from which something is missing."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, int, float, int]] = {}  # tokens, when, rate, burst

    def refuse(self, budget: Budget | None, events: int, now: int) -> None:
        """Raise OverBudget where a bucket does not hold the price of a write of these events: with the seconds after
        which it will, infinity if it never will."""
        if budget is None:
            return
        tokens, price = self._tokens(budget, now), budget.price(events)
        if price > tokens:
            raise OverBudget((price - tokens) / budget.rate if budget.rate > 0 and price <= budget.burst else inf)

    def spend(self, budget: Budget | None, events: int, now: int) -> None:
        """Take the price of a write of these events out of its bucket. Raises OverBudget, having taken nothing."""
        if budget is None:
            return
        self.refuse(budget, events, now)
        left = self._tokens(budget, now) - budget.price(events)
        self._buckets[budget.name] = left, now, budget.rate, budget.burst

    def items(self) -> list[tuple[str, float, int, float, int]]:
        """All that a checkpoint has to hold, in order."""
        return [(name, *state) for name, state in self._buckets.items()]

    def load(self, items: list[tuple[str, float, int, float, int]]) -> None:
        """Go on with what a checkpoint held."""
        self._buckets = {name: (tokens, when, rate, burst) for name, tokens, when, rate, burst in items}

    def _tokens(self, budget: Budget, now: int) -> float:
        tokens, when, _, _ = self._buckets.get(budget.name, (float(budget.burst), now, 0.0, 0))
        return min(float(budget.burst), tokens + budget.rate * max(0, now - when) / SECOND)

    def sweep(self, now: int) -> None:
        """Forget the buckets that are full again: to begin anew is the same."""
        self._buckets = {
            name: (tokens, when, rate, burst)
            for name, (tokens, when, rate, burst) in self._buckets.items()
            if tokens + rate * (now - when) / SECOND < burst
        }
