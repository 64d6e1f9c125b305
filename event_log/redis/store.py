"""The store of many machines, shared by all who reach one Redis: a stream for the newest records; beside it blobs, as
strings of at most 1 MiB each, and the manifest that names them for readers."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from event_log.log_time import Moment
from event_log.port import Appended, Behind, Chunk, Cursor, Guard, Manifest, Record, RecordStore, Usage
from event_log.redis.appending import Appending, full
from event_log.redis.clock import RedisClock
from event_log.redis.connection import Command, call
from event_log.redis.facts import Facts
from event_log.redis.keys import CHUNK, Keys, blob_bytes
from event_log.redis.pool import Pool
from event_log.redis.reading import Reading
from event_log.redis.scripts import OTHER_MARK, SWAP
from event_log.redis.url import RedisUrl
from times import SECOND

SOME_ROOM = 64 * 1024
"""Bytes of a common batch. A log that has not so much left is not healthy, whatever smaller may still go in."""
GRACE_SECONDS = 600
"""Seconds for which what a swap leaves behind may still be read."""
STEP = 1000
"""Entries that are trimmed at a time."""
_FIELDS = "generation", "number", "position", "data", "blobs"
_SWAPS = "swaps"
"""The field of the times of the last swaps, each with its last entry: whoever comes next trims by them."""


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
        self._facts = Facts(self._reads)
        self._holder = secrets.token_hex(8)
        self._trimmed = ""  # up to this entry, by this process

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
        name = f"{secrets.token_hex(16)}.{len(data)}"
        for number, key in enumerate(self.keys.chunks([name])):
            self._reads.ask(("SET", key, data[number * CHUNK : (number + 1) * CHUNK], "EX", GRACE_SECONDS))
        return name

    def blob(self, name: str) -> bytes:
        pieces: list[bytes | None] = [self._reads.ask(("GET", key))[0] for key in self.keys.chunks([name])]
        if None in pieces:
            raise Behind(f"blob {name} is gone")
        return b"".join(piece for piece in pieces if piece is not None)

    def manifest(self) -> Manifest:
        self._reading.history, _ = self._reading.head()
        found = self._manifest(self._reading.history)
        self._reading.generation = found.generation
        return found

    def generation(self) -> int:
        """Return the generation as of the last read."""
        return self._reading.generation

    def swap(self, manifest: Manifest) -> bool:
        cursor, before = manifest.cursor, self._manifest(manifest.cursor.history)
        if before.generation != manifest.generation - 1:
            return False
        new = [name for name in manifest.blobs if name not in before.blobs]
        old = [name for name in before.blobs if name not in manifest.blobs]
        new_keys = self.keys.chunks(new)
        keys = self.keys.head, self.keys.manifest, *new_keys, *self.keys.chunks(old)
        growth = blob_bytes(new) - blob_bytes(old)
        numbers = before.generation, manifest.generation, cursor.number, len(new_keys), growth
        blobs, swaps = " ".join(manifest.blobs), " ".join([*self._swaps(), f"{self._clock.time()}:{_entry(cursor)}"])
        values: Command = manifest.generation, cursor.number, cursor.position, manifest.data, blobs, swaps
        fields = [word for pair in zip((*_FIELDS, _SWAPS), values, strict=True) for word in pair]
        done = self._reads.twice(
            lambda session: session.ask(call(SWAP, keys, session.mark(cursor.history), *numbers, *fields))[0]
        )
        if done == OTHER_MARK:
            self._appending.renew(cursor.history)
        if done != 1:
            return self.manifest() == manifest  # the answer may have been lost when it was done
        self._reading.generation = manifest.generation
        return True

    def may_compact(self, seconds: float) -> bool:
        lease, own, milliseconds = self.keys.lease, self._holder.encode(), int(seconds * 1000)
        holder = self._reads.ask(("SET", lease, own, "NX", "GET", "PX", milliseconds))[0]
        if holder == own:
            self._reads.ask(("SET", lease, own, "PX", milliseconds))
        return holder in (None, own)

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
        oldest = next(iter(self._swaps()), "")
        if oldest and oldest != self._trimmed and self._is_old(oldest):
            self._trim(oldest.partition(":")[2], blob_bytes(self._manifest(0).blobs))
            self._trimmed = oldest

    def close(self) -> None:
        self._writes.close()
        self._reads.close()

    def _manifest(self, history: int) -> Manifest:
        generation, number, position, data, blobs = self._reads.ask(("HMGET", self.keys.manifest, *_FIELDS))[0]
        cursor = Cursor(history, int(number or 0), int(position or 0))
        return Manifest(int(generation or 0), cursor, data or b"", tuple((blobs or b"").decode().split()))

    def _swaps(self) -> list[str]:
        """Return the swaps of the last ten minutes, and the one before them, as they are noted."""
        found: list[str] = (self._reads.ask(("HGET", self.keys.manifest, _SWAPS))[0] or b"").decode().split()
        while len(found) > 1 and self._is_old(found[1]):
            del found[0]
        return found

    def _is_old(self, swap: str) -> bool:
        return int(swap.partition(":")[0]) <= self._clock.time() - GRACE_SECONDS * SECOND

    def _trim(self, entry: str, blobs: int) -> None:
        """Drop all entries before this one, by which readers of the manifest recognise the history, and count anew what
        is left, beside so many bytes of blobs."""
        stream, head = self.keys.stream, self.keys.head
        while self._reads.ask(("XTRIM", stream, "MINID", "~", entry, "LIMIT", STEP))[0]:
            pass
        _, used, counted = self._reads.ask(
            ("XTRIM", stream, "MINID", entry), ("MEMORY", "USAGE", stream, "SAMPLES", 5), ("HGET", head, "bytes")
        )
        self._reads.ask(("HINCRBY", head, "bytes", used + blobs - int(counted or 0)))


def _entry(cursor: Cursor) -> str:
    """Return the id of the entry that ends with a cursor's record."""
    return f"{cursor.position}-{cursor.number}"
