"""The store of many machines, shared by all who reach one Redis: a stream for the newest records, strings for blobs.

A reader recognises its history by the last record it has read: after a loss positions jump, so no other history has a
record of that number at that position.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from event_log.errors import HistoryChanged, LogDamaged, LogUnavailable
from event_log.log_time import Moment
from event_log.memory_store import grouped
from event_log.port import Appended, Behind, Chunk, Cursor, Entry, Guard, Manifest, Record, RecordStore, Usage
from event_log.redis.appending import HEADER, Appending
from event_log.redis.keys import CHUNK, Keys
from event_log.redis.link import Link, Lost
from event_log.redis.persistence import Persistence
from event_log.redis.scripts import ALL, ARRIVED, LEASE, SWAP, TIME, TRIM
from event_log.redis.session import call
from event_log.redis.url import RedisUrl

GRACE_SECONDS = 600
READ_BYTES = 4 * 1024 * 1024
"""About how much one read brings."""
MOST_ENTRIES = 2000
"""Entries of one read: to give as many takes Redis about a millisecond."""
MOST_TRIMS = 100
"""Steps of one `sync`."""


class RedisStore(RecordStore):
    """Connects at its first use in each process, never before a fork."""

    def __init__(self, url: RedisUrl, *, max_bytes: int, clock: Callable[[], Moment] | None = None) -> None:
        """`clock`: for tests, in place of the time that Redis tells."""
        self.url = url
        self.keys = Keys.of(url.name)
        self._now: Callable[[], int | str] = (lambda: "") if clock is None else (lambda: clock().wall)
        self._max_bytes = max_bytes
        self._writes, self._reads = Link(url, scripts=ALL), Link(url, for_reads=True, scripts=ALL)
        self._appending = Appending(self._writes, self.keys, max_bytes, self._now)
        self._persistence = Persistence(self._reads)
        self._entry_bytes = 1000.0  # what one takes, of late
        self._generation = 0
        self._history = 0  # as of the last read, like the next
        self._lost: bytes | None = None  # where the last jump began of which it is known that something was lost
        self._holder = secrets.token_hex(8)

    def append(self, record: Record, guard: Guard) -> Appended:
        return self._appending.append(record, guard)

    def confirm(self, appended: Appended) -> None:
        """What this process appended itself, and all before, its append has confirmed."""
        if self.url.wait and appended.number > self._appending.copied:
            self._appending.reaffirm(appended, self._history)

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        count = max(1, min(limit, MOST_ENTRIES, int(READ_BYTES / self._entry_bytes)))
        start = f"({cursor.position}-{cursor.number}" if cursor.number else "-"
        head, entries, manifest = self._reads.look(
            ("HMGET", self.keys.head, "history", "number", "lost"),
            ("XRANGE", self.keys.stream, start, "+", "COUNT", count),
            ("HMGET", self.keys.manifest, "generation", "number"),
        )
        history, newest = self._known(head)
        self._generation, self._history = int(manifest[0] or 0), history
        self._lost = head[2] if len(head) > 2 else None
        if history != cursor.history:
            self._recognise(cursor)
        found = [_entry(key, fields) for key, fields in entries]
        first = int(entries[0][0].partition(b"-")[2]) if entries else newest + 1
        if first != cursor.number + 1:
            raise self._missing(cursor, int(manifest[1] or 0))
        found = _limited(found, limit)
        if found:
            size = sum(len(entry.payload) for entry in found) / len(found)
            self._entry_bytes = max(100.0, 0.5 * (self._entry_bytes + size))
        number = cursor.number + len(found)
        position = found[-1].position if found else cursor.position
        self._appending.tip = max(self._appending.tip, Appended(number, position))
        return Chunk(grouped(found), Cursor(history, number, position), more=number < newest)

    def _known(self, head: list[bytes | None]) -> tuple[int, int]:
        """The history, and the number of its newest record. Begins a log where there is none."""
        if head[0] is None:
            self._appending.arrive()
            head = self._reads.look(("HMGET", self.keys.head, "history", "number"))[0]
        if head[0] is None or head[1] is None:
            raise LogUnavailable(f"{self.url} has lost the log that was just begun")
        return int(head[0]), int(head[1])

    def _recognise(self, cursor: Cursor) -> None:
        """Go on in another history where all that this reader has read is part of it. Raises HistoryChanged."""
        own = f"{cursor.position}-{cursor.number}"
        if cursor.number and not self._reads.look(("XRANGE", self.keys.stream, own, own))[0]:
            raise self._loss("was started or promoted, and lacks what was read before")

    def _loss(self, what: str) -> HistoryChanged:
        """Note that something was lost, for all hosts to tell."""
        jumped = self._reads.look(("HGET", self.keys.head, "jumped"))[0]
        self._writes.ask(lambda _: [("HSET", self.keys.head, "lost", jumped or 0)])
        return HistoryChanged(f"{self.url} {what}")

    def _missing(self, cursor: Cursor, compacted: int) -> Exception:
        if cursor.number < compacted:
            return Behind("these records have been compacted")
        return self._loss("lacks records that follow what was read before")

    def is_level(self, cursor: Cursor) -> bool:
        return False

    def end(self) -> Appended:
        number, position = self._reads.look(("HMGET", self.keys.head, "number", "position"))[0]
        return Appended(int(number or 0), int(position or 0))

    def time(self) -> int:
        found = int(self._reads.look(call(TIME, (self.keys.head,), self._now()))[0])
        if found >= 0:
            return found
        self._appending.arrive()
        return int(self._reads.look(call(TIME, (self.keys.head,), self._now()))[0])

    def put_blob(self, data: bytes) -> str:
        pieces = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)] or [b""]
        name = f"{secrets.token_hex(16)}.{len(pieces)}"
        for key, piece in zip(self.keys.chunks([name]), pieces, strict=True):
            self._put(key, piece)
        return name

    def _put(self, key: bytes, piece: bytes) -> None:
        command = "SET", key, piece, "EX", GRACE_SECONDS
        try:
            self._writes.ask(lambda _: [command])
        except Lost:  # to do it twice does no harm
            self._writes.ask(lambda _: [command])

    def blob(self, name: str) -> bytes:
        pieces: list[bytes | None] = [self._reads.look(("GET", key))[0] for key in self.keys.chunks([name])]
        if None in pieces:
            raise Behind(f"blob {name} is gone")
        return b"".join(piece for piece in pieces if piece is not None)

    def manifest(self) -> Manifest:
        fields = "generation", "number", "position", "data", "blobs"
        found, head = self._reads.look(
            ("HMGET", self.keys.manifest, *fields), ("HMGET", self.keys.head, "history", "number")
        )
        history, _ = self._known(head)
        if found[0] is None:
            found = self._reads.look(("HMGET", self.keys.manifest, *fields))[0]
        generation, number, position, data, blobs = found
        self._generation = int(generation)
        cursor = Cursor(history, int(number), int(position))
        return Manifest(self._generation, cursor, data, tuple(blobs.decode().split()))

    def generation(self) -> int:
        """As of the last read."""
        return self._generation

    def swap(self, manifest: Manifest) -> bool:
        before = self.manifest()
        new = self.keys.chunks([name for name in manifest.blobs if name not in before.blobs])
        old = self.keys.chunks([name for name in before.blobs if name not in manifest.blobs])
        named = self.keys.chunks(manifest.blobs)
        size = sum(self._reads.look(*(("STRLEN", key) for key in named))) if named else 0
        cursor = manifest.cursor
        rest = (
            str(cursor.history),
            manifest.generation - 1,
            cursor.number,
            cursor.position,
            manifest.data,
            " ".join(manifest.blobs),
            size,
            len(new),
            self._now(),
        )
        keys = (self.keys.head, self.keys.manifest, *new, *old)
        try:
            done = self._writes.ask(lambda session: [call(SWAP, keys, session.stamp, *rest)], copied=True)[0]
        except Lost:  # it may have been done
            return self.manifest()._replace(cursor=cursor) == manifest
        if done == 1:
            self._generation = manifest.generation
        elif done == ARRIVED:
            self._appending.arrive()
        return bool(done == 1)

    def may_compact(self, seconds: float) -> bool:
        command = call(LEASE, (self.keys.lease,), self._holder, int(seconds * 1000))
        return bool(self._writes.ask(lambda _: [command])[0] == 1)

    def check(self) -> None:
        self.end()

    def notice(self) -> str | None:
        if self._lost:
            return (
                f"Redis has lost what stood behind position {self._lost.decode()}, on all hosts alike: one that had "
                "less took over, or older data was restored"
            )
        return self._persistence.notice()

    def usage(self) -> Usage:
        used, blobs = self._reads.look(("HMGET", self.keys.head, "bytes", "blobs"))[0]
        return Usage(int(used or 0) + int(blobs or 0), self._max_bytes, self._persistence.synced())

    def sync(self) -> None:
        for _ in range(MOST_TRIMS):
            if self._writes.ask(lambda _: [call(TRIM, self.keys[:2], self._now())])[0] != 1:
                return

    def close(self) -> None:
        self._writes.close()
        self._reads.close()


def _entry(key: bytes, fields: list[Any]) -> Entry:
    """An entry of the stream as a record. Raises LogDamaged."""
    header, payload = fields[1], fields[3]
    if len(header) <= HEADER.size:
        raise LogDamaged("an entry of the stream has no header")
    kind, takes, _ = HEADER.unpack_from(header)
    return Entry(int(key.partition(b"-")[0]), int(header[HEADER.size :]), kind, int(takes), payload)


def _limited(entries: list[Entry], limit: int) -> list[Entry]:
    """The first of these, until they hold so many positions."""
    for index, entry in enumerate(entries, 1):
        limit -= max(1, entry.takes)
        if limit <= 0:
            return entries[:index]
    return entries
