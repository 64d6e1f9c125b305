"""The port of the log's stores: what files, Redis and memory promise alike.

A store keeps a totally ordered sequence of records, and knows nothing of what they mean. Beside it lie immutable blobs,
and a manifest that says which of them stand in place of the oldest records. All meaning is the machine's.

Every record has a *number*: 1, 2, 3, without holes within one history. It also *takes* positions, perhaps none;
`position` is the last one given up to and with it. Positions only rise, and after a loss they jump, so that none is
ever given twice. A *history* is one such sequence. Where a store goes on from less than it had acknowledged while
readers still know of more (a failover, a restored backup), that is another history, with another random id.

Writers know the log only up to some record. So that a write which needs no outcome may be acknowledged at once, the
store compares three words while it appends: the history, the number of the last *fence* (a record after which an id may
mean nothing any more) and the published *horizon* (a low watermark: a time at or before which events may be dead).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from event_log.codec import Singles
from event_log.errors import LogError

MOST_POSITION = 2**53
"""Positions stay below it, so that each is an exact number in JSON."""
JUMP = 10**9
"""Positions that are skipped at least after a loss: more than can have been given and lost."""


class Stale(LogError):
    """The writer knows too little for a plain write: it must apply what is new, and decide again."""


class Behind(LogError):
    """The records behind this cursor are no longer there: the reader begins anew with the manifest, in the same
    history."""


class Cursor(NamedTuple):
    """State of a reader: it has read every record up to `number`, which led to `position`."""

    history: int
    number: int = 0
    position: int = 0
    where: int = 0
    """The store's own note of where it goes on, to be given back unread."""


class Record(NamedTuple):
    """A record to be appended, and all that a store has to know of it."""

    kind: int
    """One byte for the machine; a store compares it with `codec.SINGLE` at most."""
    payload: bytes
    takes: int = 0
    """Number of positions that it takes."""
    timed: bool = False
    """True if the store notes the log's time with it."""
    fences: bool = False
    """True if plain writes of those who have not applied it are stale. It may use the room reserved for what heals."""
    raises: tuple[int, int] | None = None
    """(moment, span): the published horizon rises to min(moment, log time) - span. Such a record may use all the room
    there is."""


class Guard(NamedTuple):
    """Conditions of an append. Nothing is stored where one does not hold."""

    history: int
    """History of the ids in the payload. Where the log has another one: HistoryChanged."""
    known: int | None = None
    """Stale if the last fence has a higher number. None: the record needs no such promise."""
    oldest: int | None = None
    """Stale if it is at or before the published horizon."""


class Appended(NamedTuple):
    """Number and position of a record that was appended."""

    number: int
    position: int


class Entry(NamedTuple):
    """A record as it is read."""

    position: int
    time: int
    """The log's time at which it was appended, in microseconds; 0 unless it is timed."""
    kind: int
    takes: int
    payload: bytes | memoryview


class Chunk(NamedTuple):
    """Result of a read: records in order. Consecutive ones of one event each may come as columns."""

    entries: Sequence[Entry | Singles]
    cursor: Cursor
    """Cursor of a reader that has taken all of these."""
    more: bool
    """True if anything newer stood in the log."""


class Manifest(NamedTuple):
    """Starting point of a reader: the blobs named here hold all that matters of the records up to `cursor`."""

    generation: int
    """Rises by one with each swap; 0 for a log without blobs."""
    cursor: Cursor
    data: bytes = b""
    blobs: tuple[str, ...] = ()


class Usage(NamedTuple):
    """Bytes that the store uses, and its state, for health and metrics."""

    bytes_used: int
    bytes_allowed: int
    synced: float | None
    """Age in seconds of the oldest record that a power cut could still cost; None where nothing is ever safe."""


class RecordStore(ABC):
    """One log. Safe to be used by any number of threads, greenlets and processes; opened at the first use in a process,
    never before a fork.

    Every method may raise LogUnavailable; after one of `append` nothing was stored, unless it is LogUncertain. What may
    take long holds no lock that another call needs, and under gevent never the hub. No call waits for another process
    for more than about two seconds: then it raises LogUnavailable.
    """

    blocks = False
    """True if long calls hold the thread that makes them: under gevent they then belong into a real one, from which all
    methods may be called."""

    @abstractmethod
    def append(self, record: Record, guard: Guard) -> Appended:
        """Store a record atomically. Raises HistoryChanged, Stale or LogFull, having stored nothing. What it returned
        for survives the death of any process; `confirm` says when it survives more."""

    @abstractmethod
    def confirm(self, appended: Appended) -> None:
        """Return once a record, of which this process may only have read, is as safe as the settings promise for what
        is acknowledged. Raises LogUncertain, or HistoryChanged where it was lost."""

    @abstractmethod
    def read(self, cursor: Cursor, limit: int) -> Chunk:
        """The records behind a cursor, oldest first, until they hold `limit` positions or there are no more; at least
        one if there is any. Never behind an append that was answered before the call. Raises Behind. Raises
        HistoryChanged in another history, unless the store can tell that all up to the cursor is part of it: the new
        cursor is one of that."""

    @abstractmethod
    def is_level(self, cursor: Cursor) -> bool:
        """Return whether nothing newer than this can be known without a trip. Costs a fraction of a microsecond; a
        store that would have to ask over a network says False."""

    @abstractmethod
    def end(self) -> Appended:
        """The number and position of the newest record."""

    @abstractmethod
    def time(self) -> int:
        """The log's time in microseconds. It only rises, at about the rate of a clock, whatever one clock does."""

    def corrected(self, wall: int) -> int:
        """The time that a host goes by whose clock tells this one: another one where hosts share a log and its clock is
        off. Costs a fraction of a microsecond."""
        return wall

    @abstractmethod
    def put_blob(self, data: bytes) -> str:
        """Write a blob down under a new random name. It is on the disk when this returns, and may be gone after ten
        minutes unless a manifest names it by then. May use the room reserved for what heals."""

    @abstractmethod
    def blob(self, name: str) -> bytes | memoryview:
        """Return the blob of this name. Raises Behind if it is gone."""

    @abstractmethod
    def manifest(self) -> Manifest:
        """The newest one."""

    @abstractmethod
    def generation(self) -> int:
        """Return the generation of the newest manifest. Costs a microsecond where the store is local."""

    @abstractmethod
    def swap(self, manifest: Manifest) -> bool:
        """Put a manifest in force in place of the one of the generation before it; False if another one was first, if
        its cursor is of another history, or a blob that it names is gone. All records up to its cursor are synced
        before. The blobs that are named no more, and the records up to the cursor, may still be read for ten minutes
        while there is room."""

    @abstractmethod
    def may_compact(self, seconds: float) -> bool:
        """Take the right to compact for `seconds`, or prolong it; False while another process has it. It hinders nobody
        from anything: `swap` compares generations."""

    @abstractmethod
    def check(self) -> None:
        """Raises LogUnavailable, with the reason, when the log cannot be read or written. Cheap."""

    @abstractmethod
    def notice(self) -> str | None:
        """Return a warning for people about a store that works all the same; None if there is none."""

    @abstractmethod
    def usage(self) -> Usage:
        """Return the bytes it takes and may take, and how safe its records are. Cheap."""

    @abstractmethod
    def sync(self) -> None:
        """Do what is due about once a second: sync, remove what a swap has left behind. May take its time."""

    @abstractmethod
    def close(self) -> None:
        """Sync and let go of everything held. May be called twice; the next use opens it again."""
