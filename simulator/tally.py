"""The tally: what a run has posted and how it went, in bounded memory however long it lasts."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock

BUCKETS_PER_E = 100
"""Latencies fall into buckets 1 % wide: percentiles are that exact, and an hour takes no more room than a second."""


class Latencies:
    """Seconds, kept as counts per bucket. Not thread-safe."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.max = 0.0

    def add(self, seconds: float) -> None:
        """Count one latency."""
        self._buckets[round(math.log(max(seconds, 1e-9)) * BUCKETS_PER_E)] += 1
        self.max = max(self.max, seconds)

    def percentile(self, percent: float) -> float:
        """The latency that `percent` of all do not exceed, to 1 %; 0 when there are none."""
        wanted = self._buckets.total() * percent / 100
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(math.exp(bucket / BUCKETS_PER_E), self.max)
        return 0.0


@dataclass(slots=True)
class Totals:
    """The state of a tally at one moment. `latencies`: seconds by percentile, and the longest."""

    events: int = 0
    requests: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    latencies: dict[str, float] = field(default_factory=dict)


class Tally:
    """Counts for all posting threads; `_lock` guards every field."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events = 0
        self._requests = 0
        self._statuses: Counter[int] = Counter()
        self._errors: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._latencies = Latencies()

    def answered(self, status: int, seconds: float, events: int) -> None:
        """Count an answered request, and the events that it got accepted."""
        with self._lock:
            self._requests += 1
            self._events += events
            self._statuses[status] += 1
            self._latencies.add(seconds)

    def error(self, kind: str, example: str = "") -> None:
        """Count an error; the first example of its kind is kept."""
        with self._lock:
            self._errors[kind] += 1
            self._examples.setdefault(kind, example)

    def counts(self) -> tuple[int, int]:
        """The events accepted and the errors so far; cheap."""
        with self._lock:
            return self._events, self._errors.total()

    def totals(self) -> Totals:
        """Everything, at one moment."""
        with self._lock:
            latencies = {f"p{percent}": self._latencies.percentile(percent) for percent in (50, 90, 99)}
            return Totals(
                events=self._events,
                requests=self._requests,
                statuses=dict(sorted(self._statuses.items())),
                errors=dict(self._errors.most_common()),
                examples=dict(self._examples),
                latencies=latencies | {"max": self._latencies.max},
            )
