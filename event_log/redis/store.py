"""The store of many machines, shared by all who reach one Redis: a stream for the newest records, strings for blobs."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from event_log.log_time import Moment
from event_log.port import Appended, Chunk, Cursor, Guard, Manifest, Record, RecordStore, Usage
from event_log.redis.appending import Appending, full
from event_log.redis.blobs import Blobs
from event_log.redis.clock import RedisClock
from event_log.redis.facts import Facts
from event_log.redis.keys import Keys
from event_log.redis.pool import Pool
from event_log.redis.reading import Reading
from event_log.redis.url import RedisUrl

SOME_ROOM = 64 * 1024
"""Bytes of a common batch. A log that has not so much left is not healthy, whatever smaller may still go in."""


class RedisStore(RecordStore):
    """Connects at its first use in each process, never before a fork. Appends have connections of their own, which may
    have to wait for replicas."""

    def __init__(self, url: RedisUrl, *, max_bytes: int, clock: Callable[[], Moment] | None = None) -> None:
        """`clock`: for tests, in place of the time that Redis tells."""
        self.url = url
        self.keys = Keys.of(url.name)
        self._max_bytes = max_bytes
        self._writes, self._reads = Pool(url), Pool(url)
        self._clock = RedisClock(self._reads, self.keys, clock)
        self._appending = Appending(self._writes, self.keys, max_bytes, self._clock.given)
        self._reading = Reading(self._reads, self.keys, self._appending)
        self._blobs = Blobs(self._reads, self.keys, self._appending, self._reading, self._clock)
        self._facts = Facts(self._reads)
        self._holder = secrets.token_hex(8)

    def append(self, record: Record, guard: Guard) -> Appended:
        return self._appending.append(record, guard)

    def confirm(self, appended: Appended) -> None:
        """Note that an append of this process has confirmed its record, and all records before it."""
        self._appending.confirm(appended, self._reading.history)

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        return self._reading.read(cursor, limit)

    def is_level(self, cursor: Cursor) -> bool:
        return False

    def end(self) -> Appended:
        _, (number, position) = self._reading.head("number", "position")
        return Appended(int(number or 0), int(position or 0))

    def time(self) -> int:
        return self._clock.time()

    def corrected(self, wall: int) -> int:
        return self._clock.corrected(wall)

    def put_blob(self, data: bytes) -> str:
        return self._blobs.put(data)

    def blob(self, name: str) -> bytes:
        return self._blobs.get(name)

    def manifest(self) -> Manifest:
        return self._blobs.manifest()

    def generation(self) -> int:
        """Return the generation as of the last read."""
        return self._reading.generation

    def swap(self, manifest: Manifest) -> bool:
        return self._blobs.swap(manifest)

    def may_compact(self, seconds: float) -> bool:
        lease, milliseconds = self.keys.lease, int(seconds * 1000)
        if self._reads.ask(("SET", lease, self._holder, "NX", "PX", milliseconds))[0] is not None:
            return True
        if self._reads.ask(("GET", lease))[0] != self._holder.encode():
            return False
        self._reads.ask(("SET", lease, self._holder, "PX", milliseconds))
        return True

    def check(self) -> None:
        history, (used,) = self._reading.head("bytes")
        self._appending.renew(history)
        self._facts.check()
        if int(used or 0) + SOME_ROOM > self._max_bytes:
            raise full(str(self.url))

    def notice(self) -> str | None:
        _, (lost,) = self._reading.head("lost")
        found = [*self._facts.notices(), self._clock.notice()]
        if lost is not None:
            begin = f"Redis has lost what stood behind position {lost.decode()}"
            found.insert(0, f"{begin}, on all hosts alike: one that had less took over, or older data was restored")
        return "; ".join(filter(None, found)) or None

    def usage(self) -> Usage:
        _, (used,) = self._reading.head("bytes")
        return Usage(int(used or 0), self._max_bytes, self._facts.synced())

    def sync(self) -> None:
        self._clock.ask()
        self._blobs.trim()

    def close(self) -> None:
        self._writes.close()
        self._reads.close()
