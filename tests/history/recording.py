"""A history: what clients have asked over HTTP, when each operation began and ended, and what they were told.

Black box: nothing here knows how the service works, only its contract. Order is by the monotonic clock (nanoseconds),
moments are of the wall clock (microseconds).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any
from urllib.parse import quote, urlencode

from times import format_duration, format_timestamp, wall_clock

NEVER = 1 << 63
"""End of an operation of which nobody was told the end."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event as sent. Values are unique in a history, so an event is known by its value."""

    series: str
    time: int | None
    """Microseconds; None where it is stamped on arrival."""
    value: float
    expired: bool = False
    """True if it was dated before the retention, so that it counts as expired."""


@dataclass(slots=True)
class Attempt:
    """One request, and its answer if one came."""

    began: int = field(default_factory=monotonic_ns)
    wall_began: int = field(default_factory=wall_clock)
    ended: int = NEVER
    wall_ended: int = NEVER
    status: int | None = None
    position: int | None = None
    replayed: bool = False
    body: bytes = b""

    def end(self) -> None:
        """Note that the whole answer has come."""
        self.ended, self.wall_ended = monotonic_ns(), wall_clock()

    @property
    def is_definite(self) -> bool:
        """Return whether it tells what became of the request: a 502 to 504 or no answer does not."""
        return self.status is not None and self.status not in (502, 503, 504)

    @property
    def json(self) -> Any:
        """Return what the body says."""
        return json.loads(self.body)


@dataclass(slots=True)
class Operation:
    """Operation of one client, in one attempt or several."""

    client: str
    attempts: list[Attempt]

    @property
    def first(self) -> Attempt:
        """The first attempt."""
        return self.attempts[0]

    @property
    def answer(self) -> Attempt | None:
        """The first definite answer."""
        return next((attempt for attempt in self.attempts if attempt.is_definite), None)

    def __str__(self) -> str:
        told = [f"{attempt.status} at {attempt.position}" for attempt in self.attempts]
        return f"{self.client}: {self.what()} -> {', '.join(told)}"

    def what(self) -> str:
        """Return what was wanted, for people."""
        raise NotImplementedError


@dataclass(slots=True)
class Write(Operation):
    """Events posted in one request; with a key it may have been sent again."""

    events: list[Event]
    key: str | None = None
    clash: bool = False
    """True if the key had been used for another body, so that it must be refused."""

    @property
    def stored(self) -> list[Event]:
        """The events to be stored, those that have expired left out."""
        return [event for event in self.events if not event.expired]

    def what(self) -> str:
        key = f" under {self.key}" if self.key else ""
        return f"POST of {[(event.series, event.value) for event in self.events]}{key}"


@dataclass(slots=True)
class Delete(Operation):
    """The end of a series."""

    series: str

    def what(self) -> str:
        return f"DELETE of {self.series}"


@dataclass(frozen=True, slots=True)
class Question:
    """A GET whose answer is of one position, and of one moment where it has a window and no `at`."""

    kind: str
    """statistics, history, events, series."""
    series: str | None = None
    window: int | None = None
    last: int | None = None
    at: int | None = None
    step: int | None = None
    include: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path of the question."""
        durations = {name: format_duration(value) for name in ("window", "step") if (value := getattr(self, name))}
        last = {} if self.last is None else {"limit" if self.kind == "events" else "last": str(self.last)}
        at = {} if self.at is None else {"at": format_timestamp(self.at)}
        include = {"include": ",".join(self.include)} if self.include else {}
        query = urlencode(durations | last | at | include)
        place = "" if self.series is None else "/" + quote(self.series, safe="")
        path = f"/series{place}/events" if self.kind == "events" else f"/{self.kind}{place}"
        return f"{path}?{query}" if query else path


@dataclass(slots=True)
class Read(Operation):
    """A question; those that were not answered say nothing."""

    question: Question

    def what(self) -> str:
        return f"GET {self.question.path}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream: an event, or a gap, behind which all is told from its position on."""

    position: int
    time: int = 0
    value: float = 0.0
    gap: bool = False
    heard: int = field(default_factory=monotonic_ns, compare=False)


@dataclass(slots=True)
class Connection:
    """One connection to the stream of a series, from the position after which it was asked for."""

    client: str
    series: str
    after: int
    messages: list[Message] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.client}: stream of {self.series} after {self.after}"

    @property
    def told(self) -> int:
        """The position behind which a client that comes back goes on."""
        if not self.messages:
            return self.after
        last = self.messages[-1]
        return last.position - 1 if last.gap else last.position


@dataclass(slots=True)
class History:
    """All that was recorded in a run, and what its system is allowed to do."""

    operations: list[Operation] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    final: list[Connection] = field(default_factory=list)
    """One connection for each series, from its beginning to the end of the run when all was quiet."""
    brief: frozenset[str] = frozenset()
    """The series that clients delete; their streams may tell gaps."""
    gaps: bool = False
    """True if any stream may tell a gap, as where a log on Redis goes on after a restart."""
    losses: bool = False
    """True if unacknowledged events may be told and then be lost where positions jump, as at a failover."""

    def of(self, kind: type[Write] | type[Delete] | type[Read]) -> Iterator[Any]:
        """The operations of a kind."""
        return (operation for operation in self.operations if isinstance(operation, kind))

    def streams(self) -> Iterable[Connection]:
        """All connections, those at the end too."""
        return [*self.connections, *self.final]
