"""Reading the stream: one trip for what is new, and none where it came along with an append.

A reader recognises its history by the last record it has read: after a loss positions jump, so no other history has a
record of that number at that position.
"""

from __future__ import annotations

from collections.abc import Sequence

from event_log.errors import HistoryChanged
from event_log.port import Behind, Chunk, Cursor
from event_log.redis.appending import Appending
from event_log.redis.connection import Command, Reply
from event_log.redis.entries import MOST_ENTRIES, Decoder, Missing, holds, read_entries
from event_log.redis.keys import Keys, history_of
from event_log.redis.pool import Pool

READ_BYTES = 4 * 1024 * 1024
"""Bytes that one read brings, roughly."""


class Reading:
    """The reading half of the store."""

    def __init__(self, pool: Pool, keys: Keys, appending: Appending) -> None:
        self._pool = pool
        self._where = str(pool.url)
        self._keys = keys
        self._appending = appending
        self._entry_bytes = 1000.0  # what one takes, of late
        self.history = 0
        """The history of the last records or manifest read."""
        self.generation = 0
        """Generation of the manifest as of the last read."""

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        """Read as the port says."""
        own, replies = self._appending.ahead
        if replies and own == cursor:
            self._appending.ahead = cursor, []
            # Another process may have appended since: only a read of its own can say that nothing is newer.
            return self._chunk(cursor, limit, replies)._replace(more=True)
        count = min(limit, self._appending.most_entries)
        return self._chunk(cursor, limit, self._pool.look(read_entries(self._keys, cursor, count)))

    def head(self, *fields: str) -> tuple[int, list[bytes | None]]:
        """Return the history of the log, and fields of its head. Begins a log where there is none."""
        command: Command = ("HMGET", self._keys.head, "mark", *fields)
        found: list[bytes | None] = self._pool.ask(command)[0]
        if found[0] is None:
            self._appending.arrive()
            found = self._pool.ask(command)[0]
        return history_of(found[0], self._where), found[1:]

    def _chunk(self, cursor: Cursor, limit: int, replies: Sequence[Reply]) -> Chunk:
        (mark, newest, generation, compacted), entries = replies
        if mark is None:
            raise self._loss("has no log any more")
        history = history_of(mark, self._where)
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
            self._appending.most_entries = max(1, min(MOST_ENTRIES, int(READ_BYTES / self._entry_bytes)))
        self._appending.note(decoder.end)
        end = Cursor(history, number, position)
        furthest = self._appending.furthest
        if number > furthest.number or history != furthest.history:
            self._appending.furthest = end
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
