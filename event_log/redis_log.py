"""The log of many machines, shared by all who reach one Redis.

Redis orders the writes, each of which is one script, and gives the positions; it keeps what it holds in memory, and
on a disk and on replicas as it is told to. A process has a connection for writes, one for readings and one for what
else is looked at; where Redis is so far away that a trip mostly waits, up to three each for writes and readings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from event_log.base import (
    PLAIN,
    Batch,
    EventLog,
    Events,
    HistoryChanged,
    KeptSince,
    LogUnavailable,
    Memo,
    Place,
    Rules,
    Series,
    Terms,
    Usage,
)
from event_log.records import FORMAT, unpack
from event_log.redis_cleaning import Cleaning
from event_log.redis_faults import other_format, other_keys
from event_log.redis_keys import Keys
from event_log.redis_lines import Lines
from event_log.redis_link import Link
from event_log.redis_persistence import Persistence
from event_log.redis_reading import Reading
from event_log.redis_scripts import CHECK, MOVED, OTHER_KEYS
from event_log.redis_series import SeriesReader
from event_log.redis_session import call
from event_log.redis_url import RedisUrl
from event_log.redis_writing import Writing

SOME_ROOM = 64 * 1024
"""What a common batch takes. A log that has not so much left is not healthy, whatever smaller may still go in."""
QUIET_RECORDS = 2000
"""So many records are looked through for events of a series that is to end if it is quiet."""
QUIET_TRIES = 20


class RedisLog(EventLog):
    """Connects at its first use in each process, never before a fork."""

    def __init__(self, url: RedisUrl, *, max_bytes: int, max_series: int = 10_000) -> None:
        self.url = url
        self.max_series = max_series
        self._keys = Keys.of(url.name)
        self._max_bytes = max_bytes
        self._writes, self._reads, self._lines = Link(url), Link(url, for_reads=True), Lines(url)
        self._series = SeriesReader(self._reads, self._keys)
        self._writing = Writing(self._writes, self._keys, self._series, max_bytes, max_series)
        self._reading = Reading(self._lines, self._reads, self._keys, self._series)
        self._persistence = Persistence(self._reads)
        self._claimed: tuple[Rules, str] | None = None

    def append(self, batch: Batch, terms: Terms = PLAIN) -> int:
        position = self._writing.append(batch) if terms is PLAIN or terms == PLAIN else None
        return self._writing.write(batch, terms) if position is None else position

    def append_one(self, series: str, time: int, value: float) -> int:
        position = self._writing.append_one(series, time, value)
        if position is None:
            return self._writing.write(Batch([series], None, time, np.array([value])), PLAIN)
        return position

    def recall(self, key: bytes, now: int) -> Memo | None:
        return self._writing.recall(key, now)

    def read(self, place: Place, limit: int = 1_000_000) -> Events:
        try:
            events = self._reading.read(place, limit)
        except HistoryChanged:
            if self._reading.head is None:
                self._begin_anew()
            raise
        self._writing.stands_at(events.place.position)
        if self._writing.leaps:
            self._look_for_losses()
        return events

    @property
    def far(self) -> bool:
        return self._lines.far

    def position(self) -> int:
        return self._reading.position()

    @property
    def series(self) -> Mapping[int, Series]:
        return self._series.registry

    @property
    def jumps(self) -> Sequence[tuple[int, int]]:
        head = self._reading.head
        return head.jumps if head else ()

    def claim(self, rules: Rules, start: str) -> None:
        self._claimed = rules, start
        self._writing.claim(rules, start)

    def end_series(self, series: int, quiet_since: int | None = None) -> int | None:
        if quiet_since is None:
            return self._writing.end(series, None)
        for _ in range(QUIET_TRIES):
            stands = self._quiet_until(series, quiet_since)
            if stands is None:
                return None
            end = self._writing.end(series, stands)
            if end != MOVED:
                return end
            quiet_since = stands
        return None

    def clean(self, horizon: int, kept_since: KeptSince, position: int) -> bool:
        more = Cleaning(self._writes, self._keys, self._series.registry, kept_since, position).run(horizon)
        if more is None:
            self._writing.arrive()
            return True
        return more

    def check(self) -> None:
        used = self._writes.ask(lambda _: [call(CHECK, (self._keys.head,), FORMAT)])[0]
        if used == OTHER_KEYS:
            raise other_keys(str(self.url))
        if isinstance(used, bytes):
            raise other_format(str(self.url), used.decode(errors="replace"), FORMAT.decode())
        if used + SOME_ROOM > self._max_bytes:
            raise self._writing.full()

    def notice(self) -> str | None:
        head = self._reading.head
        if head is not None and head.lost >= 0:
            return (
                f"Redis has lost what stood behind position {head.lost}, on all hosts alike: one that had less took "
                f"over, or older data was restored"
            )
        return self._persistence.notice()

    def usage(self) -> Usage:
        return Usage(self._reading.bytes_used(), self._max_bytes, self._persistence.settled())

    def sync(self) -> None:
        return  # Redis does that by itself

    def close(self) -> None:
        self._writes.close()
        self._reads.close()
        self._lines.close()

    def _begin_anew(self) -> None:
        """Begin another log where there is none any more, and say so, without waiting for a write: until then answers
        would stand at position 0, before what was acknowledged."""
        if self._claimed is not None:
            with suppress(LogUnavailable):  # the next who reads or writes will
                self._writing.claim(*self._claimed)

    def _look_for_losses(self) -> None:
        """Say where a jump has passed over a position that this process was given: what stood there is lost."""
        head, leaps = self._reading.head, self._writing.leaps
        while head is not None and leaps and leaps[0][1] <= head.position:
            tip, _ = leaps.popleft()
            for begin, end in head.jumps:
                if begin < tip < end:
                    self._reading.say_lost(begin, tip)

    def _quiet_until(self, series: int, since: int) -> int | None:
        """Where the log stands, if the series was given no event from a position on up to there."""
        keys = self._keys
        head, entries = self._reads.look(
            ("HMGET", keys.head, "position", "mark"),
            ("XRANGE", keys.stream, f"{since + 1}", "+", "COUNT", QUIET_RECORDS),
        )
        position, mark = (int(value or 0) for value in head)
        if since < mark or len(entries) == QUIET_RECORDS:
            return None  # that cannot be told cheaply
        for key, (kind, data) in entries:
            end = int(key.partition(b"-")[0])
            if kind == b"e" and (unpack(data, end)[1] == series).any():
                return None
            position = max(position, end)
        return position
