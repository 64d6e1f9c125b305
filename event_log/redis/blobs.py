"""Blobs on Redis, as strings of at most 1 MiB each, and the manifest that names them for readers."""

from __future__ import annotations

import secrets

from event_log.port import Behind, Cursor, Manifest
from event_log.redis.appending import Appending
from event_log.redis.clock import RedisClock
from event_log.redis.connection import call
from event_log.redis.keys import CHUNK, Keys
from event_log.redis.pool import Pool
from event_log.redis.reading import Reading
from event_log.redis.scripts import OTHER_MARK, SWAP
from times import SECOND

GRACE_SECONDS = 600
"""Seconds for which what a swap leaves behind may still be read."""
STEP = 1000
"""Entries that are trimmed at a time."""
_FIELDS = "generation", "number", "position", "data", "blobs", "size", "swaps"


class Blobs:
    """Blobs, the manifest, and the records that it stands for."""

    def __init__(self, pool: Pool, keys: Keys, appending: Appending, reading: Reading, clock: RedisClock) -> None:
        self._pool = pool
        self._keys = keys
        self._appending = appending
        self._reading = reading
        self._clock = clock
        self._trimmed = ""

    def put(self, data: bytes) -> str:
        """Write a blob under a new name."""
        pieces = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)] or [b""]
        name = f"{secrets.token_hex(16)}.{len(pieces)}"
        for key, piece in zip(self._keys.chunks([name]), pieces, strict=True):
            self._pool.ask(("SET", key, piece, "EX", GRACE_SECONDS))
        return name

    def get(self, name: str) -> bytes:
        """Return a blob. Raises Behind."""
        pieces: list[bytes | None] = [self._pool.ask(("GET", key))[0] for key in self._keys.chunks([name])]
        if None in pieces:
            raise Behind(f"blob {name} is gone")
        return b"".join(piece for piece in pieces if piece is not None)

    def manifest(self) -> Manifest:
        """Return the newest one."""
        history, _ = self._reading.head()
        self._reading.history = history
        generation, number, position, data, blobs, _, _ = self._fields()
        self._reading.generation = int(generation or 0)
        cursor = Cursor(history, int(number or 0), int(position or 0))
        return Manifest(self._reading.generation, cursor, data or b"", tuple((blobs or b"").decode().split()))

    def swap(self, manifest: Manifest) -> bool:
        """Swap as the port says."""
        before, _, _, _, named, size, swaps = self._fields()
        if int(before or 0) != manifest.generation - 1:
            return False
        old = (named or b"").decode().split()
        new = self._keys.chunks([name for name in manifest.blobs if name not in old])
        going = self._keys.chunks([name for name in old if name not in manifest.blobs])
        chunks = self._keys.chunks(manifest.blobs)
        sizes = self._pool.ask(*[("STRLEN", key) for key in chunks]) if chunks else []
        cursor, growth = manifest.cursor, sum(sizes) - int(size or 0)
        values: tuple[bytes | str | int, ...] = (
            manifest.generation,
            cursor.number,
            cursor.position,
            manifest.data,
            " ".join(manifest.blobs),
            sum(sizes),
            self._swaps(swaps, cursor),
        )
        fields = [word for pair in zip(_FIELDS, values, strict=True) for word in pair]
        numbers = manifest.generation - 1, manifest.generation, cursor.number, len(new), growth
        done = self._swapped((*new, *going), cursor.history, (*numbers, *fields))
        if done:
            self._reading.generation = manifest.generation
        return done or self.manifest() == manifest  # it may have been done before the answer was lost

    def trim(self) -> None:
        """Drop the records that a swap has left behind ten minutes ago, but that of the cursor, by which a reader
        recognises the history."""
        swaps, size = self._pool.ask(("HMGET", self._keys.manifest, "swaps", "size"))[0]
        if not swaps:
            return
        early = self._clock.time() - GRACE_SECONDS * SECOND
        due = [id_ for when, _, id_ in map(_parted, swaps.decode().split()) if int(when) <= early]
        if not due or due[-1] == self._trimmed:
            return
        stream, head = self._keys.stream, self._keys.head
        while self._pool.ask(("XTRIM", stream, "MINID", "~", due[-1], "LIMIT", STEP))[0]:
            pass
        _, used, counted = self._pool.ask(
            ("XTRIM", stream, "MINID", due[-1]),
            ("MEMORY", "USAGE", stream, "SAMPLES", 5),
            ("HGET", head, "bytes"),
        )
        self._pool.ask(("HINCRBY", head, "bytes", used + int(size or 0) - int(counted or 0)))
        self._trimmed = due[-1]

    def _fields(self) -> list[bytes | None]:
        found: list[bytes | None] = self._pool.ask(("HMGET", self._keys.manifest, *_FIELDS))[0]
        return found

    def _swaps(self, before: bytes | None, cursor: Cursor) -> str:
        """Return the times of swaps with the record of each: those of the last ten minutes, and the one before them."""
        now = self._clock.time()
        kept = (before or b"").decode().split()
        while len(kept) > 1 and int(_parted(kept[1])[0]) <= now - GRACE_SECONDS * SECOND:
            del kept[0]
        return " ".join([*kept, f"{now}:{cursor.position}-{cursor.number}"])

    def _swapped(self, keys: tuple[bytes, ...], history: int, rest: tuple[bytes | str | int, ...]) -> bool:
        """Return whether it was done."""
        try:
            with self._pool.session() as session:
                command = call(SWAP, (self._keys.head, self._keys.manifest, *keys), session.mark(history), *rest)
                done = session.ask(command)[0]
        except OSError:
            return False
        if done == OTHER_MARK:
            self._appending.renew(history)
        return bool(done == 1)


def _parted(text: str) -> tuple[str, str, str]:
    return text.partition(":")
