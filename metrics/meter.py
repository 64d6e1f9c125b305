"""Counters of requests and their events, and the table that holds them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache

from metrics.table import Table

BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_BUCKETS_NS = tuple(round(seconds * 1e9) for seconds in BUCKETS_SECONDS)
_WIDTH = len(BUCKETS_SECONDS) + 2
"""A histogram's columns: one for each bucket, one for what is slower, one for the nanoseconds altogether."""
_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"))
OTHER = "other"
OVERLOAD = "overload"
"""Name in the place of the route for a request that was refused for want of time."""
OPEN_STREAMS = 1
"""Level of the table that holds the number of streams this process has open."""
REASONS = {
    400: "invalid",
    401: "forbidden",
    403: "forbidden",
    408: "invalid",
    413: "too_large",
    415: "invalid",
    422: "invalid",
    429: "limit",
    500: "error",
    503: "unavailable",
}
"""Reasons for which events are refused, by the status that says so."""


@cache
def shared() -> Table:
    """The table that this process shares with those it forks; made by the first to ask."""
    return Table()


class Meter:
    """Counts into a table. Columns are looked up once for each route, method and status."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._requests: dict[tuple[str, str, int], tuple[int, int]] = {}
        self._stored = table.column("stored")
        self._expired = table.column("expired")

    def request(self, route: str, method: str, status: int, nanoseconds: int | None) -> None:
        """A request was answered; None: of one that lasts, a WebSocket, the time says nothing."""
        try:
            count, histogram = self._requests[route, method, status]
        except KeyError:
            count, histogram = self._columns(route, method, status)
        if nanoseconds is None:
            self.table.add(count, 1)
        else:
            bucket = histogram + bisect_left(_BUCKETS_NS, nanoseconds)
            self.table.observe(count, bucket, histogram + _WIDTH - 1, nanoseconds)

    def accepted(self, stored: int, expired: int) -> None:
        """Events were stored, or found to be expired."""
        if stored:
            self.table.add(self._stored, stored)
        if expired:
            self.table.add(self._expired, expired)

    def shed(self, method: str) -> None:
        """A request was refused before anybody looked at it: there was too much to do."""
        self.request(OVERLOAD, method, 503, None)

    def refused(self, reason: str, events: int) -> None:
        """Events were refused, all of one request."""
        self.table.add(self.table.column(f"refused {reason}"), events)

    def notified(self, receiver: str, outcome: str, count: int) -> None:
        """Changes of alerts were sent to a receiver, failed to be, or were dropped."""
        self.table.add(self.table.column(f"notifications {outcome} {receiver}"), count)

    def looked(self, seconds: float) -> None:
        """A look at all alerts has taken this long."""
        column = self.table.column("looks", 2)
        self.table.add(column, 1)
        self.table.add(column + 1, round(seconds * 1e9))

    def _columns(self, route: str, method: str, status: int) -> tuple[int, int]:
        known = method if method in _METHODS else OTHER
        count = self.table.column(f"requests {known} {status} {route}")
        found = count, self.table.column(f"seconds {known} {route}", _WIDTH)
        if known is not OTHER:  # else clients could make up methods until the memory is full
            self._requests[route, method, status] = found
        return found


class Totals:
    """Counters of all processes together, read at one moment."""

    def __init__(self, table: Table) -> None:
        levels, self._counts = table.totals()
        self.open_streams = levels[OPEN_STREAMS]

    def requests(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield route, method, status and number of requests."""
        for rest, [count] in self._of("requests"):
            method, status, route = rest.split(" ", 2)
            yield route, method, status, count

    def seconds(self) -> Iterator[tuple[str, str, list[tuple[str, int]], float]]:
        """Yield route, method, number of requests up to each duration, and the seconds of all together."""
        for rest, columns in self._of("seconds"):
            method, route = rest.split(" ", 1)
            if not any(columns):
                continue  # only what lasts, or was refused unseen
            rising = [sum(columns[: index + 1]) for index in range(_WIDTH - 1)]
            bounds = [*map(str, BUCKETS_SECONDS), "+Inf"]
            yield route, method, list(zip(bounds, rising, strict=True)), columns[-1] / 1e9

    def events(self, key: str) -> int:
        """Return the number of events that were `stored`, or had `expired`."""
        return self._counts[key][0]

    def refused(self) -> dict[str, int]:
        """Return the number of refused events by reason, 0 for a reason that never occurred."""
        return dict.fromkeys(sorted(set(REASONS.values())), 0) | {rest: count for rest, [count] in self._of("refused")}

    def notifications(self) -> Iterator[tuple[str, str, int]]:
        """Yield receiver, outcome and number of changes."""
        for rest, [count] in self._of("notifications"):
            outcome, _, receiver = rest.partition(" ")
            yield receiver, outcome, count

    def looks(self) -> tuple[int, float]:
        """Return the number of looks at all alerts, and the seconds of all together."""
        count, nanoseconds = self._counts.get("looks", (0, 0))
        return count, nanoseconds / 1e9

    def _of(self, kind: str) -> Iterator[tuple[str, list[int]]]:
        for key, columns in self._counts.items():
            name, _, rest = key.partition(" ")
            if name == kind:
                yield rest, columns
