"""Reading the stream: one trip for what is new, and none where it came along with an append.

A reader recognises its history by the last record it has read: after a loss positions jump, so no other history has a
record of that number at that position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from event_log.errors import HistoryChanged
from event_log.port import Behind, Chunk, Cursor
from event_log.redis.appending import Appending
from event_log.redis.connection import NOTHING, Command, Packed, Reply, pack
from event_log.redis.entries import Decoder, Missing, holds
from event_log.redis.keys import Keys, Mark
from event_log.redis.pool import Pool

READ_BYTES = 4 * 1024 * 1024
"""Bytes that one read brings, roughly."""
MOST_ENTRIES = 2000
"""Entries of one read: to give as many takes Redis about a millisecond."""
_FIELDS = "mark", "number", "generation", "compacted"


class _Ahead(NamedTuple):
    """Records that came along with the answer to an append, for the next read."""

    cursor: Cursor
    replies: Sequence[Reply]


class Reading:
    """The reading half of the store."""

    def __init__(self, pool: Pool, keys: Keys, appending: Appending) -> None:
        self._pool = pool
        self._where = str(pool.url)
        self._keys = keys
        self._appending = appending
        self._entry_bytes = 1000.0  # what one takes, of late
        self._furthest = Cursor(0)  # of all readers in this history
        self._ahead: _Ahead | None = None
        self.history = 0
        """That of the last records or manifest read."""
        self.generation = 0
        """Generation of the manifest as of the last read."""
        appending.follow = self._follow

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        """Read as the port says."""
        ahead = self._ahead
        if ahead is not None and ahead.cursor == cursor:
            self._ahead = None
            # Another process may have appended since: only a read of its own can say that nothing is newer.
            return self._chunk(cursor, limit, ahead.replies)._replace(more=True)
        return self._chunk(cursor, limit, self._pool.look(self._packed(cursor, limit)))

    def head(self, *fields: str) -> tuple[int, list[bytes | None]]:
        """Return the history of the log, and fields of its head. Begins a log where there is none."""
        command: Command = ("HMGET", self._keys.head, "mark", *fields)
        found: list[bytes | None] = self._pool.ask(command)[0]
        if found[0] is None:
            self._appending.arrive()
            found = self._pool.ask(command)[0]
        return Mark.read(found[0], self._where).history, found[1:]

    def _packed(self, cursor: Cursor, limit: int) -> Packed:
        count = max(1, min(limit, MOST_ENTRIES, int(READ_BYTES / self._entry_bytes)))
        start = f"({cursor.position}-{cursor.number}" if cursor.number else "-"
        return pack(("HMGET", self._keys.head, *_FIELDS), ("XRANGE", self._keys.stream, start, "+", "COUNT", count))

    def _follow(self) -> tuple[Packed, Callable[[list[Reply]], None]]:
        """The reading that goes with an append, for the reader that is furthest, and what takes the answers."""
        cursor = self._furthest

        def take(replies: list[Reply]) -> None:
            if not any(isinstance(reply, Exception) for reply in replies) and replies[1]:
                self._ahead = _Ahead(cursor, replies)

        return self._packed(cursor, MOST_ENTRIES) if cursor.history else NOTHING, take

    def _chunk(self, cursor: Cursor, limit: int, replies: Sequence[Reply]) -> Chunk:
        (mark, newest, generation, compacted), entries = replies
        if mark is None:
            raise self._loss("has no log any more")
        history = Mark.read(mark, self._where).history
        self.history, self.generation = history, int(generation)
        if history != cursor.history:
            self._recognise(cursor, int(compacted or 0))
        decoder, wanted = Decoder(cursor), cursor.position + limit
        try:
            for entry in entries:
                decoder.take(entry)
                if decoder.end.position >= wanted:
                    break
        except Missing:
            raise self._missing(cursor, int(compacted or 0)) from None
        number, position = decoder.end
        if not entries and number != int(newest):
            raise self._missing(cursor, int(compacted or 0))
        if entries:
            self._entry_bytes = max(100.0, 0.5 * (self._entry_bytes + decoder.size / len(entries)))
        self._appending.note(decoder.end)
        end = Cursor(history, number, position)
        if number > self._furthest.number or history != self._furthest.history:
            self._furthest = end
        return Chunk(decoder.finish(), end, more=number < int(newest))

    def _recognise(self, cursor: Cursor, compacted: int) -> None:
        """Go on in another history where all that this reader has read is part of it. Raises HistoryChanged."""
        if not cursor.number:
            return
        own = f"{cursor.position}-{cursor.number}"
        found = self._pool.ask(("XRANGE", self._keys.stream, own, "+", "COUNT", 1))[0]
        if found and holds(found[0], cursor.number, cursor.position):
            self._appending.arrive()  # which tells whether something was lost that this process has written, not read
            return
        if cursor.number < compacted:
            raise HistoryChanged(f"{self._where} was started or promoted, and what was read before is compacted")
        raise self._loss("was started or promoted, and lacks what was read before")

    def _missing(self, cursor: Cursor, compacted: int) -> Exception:
        if cursor.number < compacted:
            return Behind("these records have been compacted")
        return self._loss("lacks records that follow what was read before")

    def _loss(self, what: str) -> HistoryChanged:
        """Note that something was lost, for all hosts to tell."""
        self._appending.arrive()
        return HistoryChanged(f"{self._where} {what}")
