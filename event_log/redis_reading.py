"""Reading the log on Redis: one pipeline of plain commands a portion, whose head must be the same before and after.

No script: what it would return goes through Lua first, at seven times the cost; and none of these commands is refused
where Redis is full, for a full log has to be read to be cleaned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from event_log.base import (
    START,
    Events,
    HistoryChanged,
    Ids,
    LogDamaged,
    LogUnavailable,
    Place,
    Rules,
    SeriesEnd,
)
from event_log.records import FORMAT, unpack
from event_log.redis_changes import parse_passed
from event_log.redis_entries import Entry, behind, check_row, jumped, last_jump, position_of, run_of, split, take
from event_log.redis_faults import other_format, other_keys
from event_log.redis_head import Head
from event_log.redis_kept import NOTHING, chosen, joined
from event_log.redis_keys import Keys
from event_log.redis_lines import Lines
from event_log.redis_link import Link
from event_log.redis_questions import CHUNKS, Note, lost_behind, questions
from event_log.redis_scripts import LOSE
from event_log.redis_series import SeriesReader
from event_log.redis_session import Packed, Reply, call, pack

MOST_RECORDS = 8000
"""Of one reading: some 2 ms of Redis' time, and 10 of the reader's."""
FIRST_RECORDS = 64
SOME_BYTES = 1 << 20
"""A reading that brought less may bring more the next time."""
TRIES = 20


NOTHING_YET = Events.none(START, 0)


class _Asked(NamedTuple):
    """What was asked at a place, and brought nothing: where the same answers come again, there is nothing new."""

    place: Place
    limit: int
    names: Sequence[str]
    packed: Packed
    replies: list[Reply]
    events: Events


class Reading:
    """Reads for any number of readers."""

    def __init__(self, lines: Lines, link: Link, keys: Keys, series: SeriesReader) -> None:
        self._lines = lines
        self._link = link
        self._keys = keys
        self._series = series
        self._count = FIRST_RECORDS  # of records for the next reading; a race over it does no harm
        self.head: Head | None = None
        """As of the last reading."""
        self._last: _Asked | None = None

    def read(self, place: Place, limit: int) -> Events:
        """As EventLog.read."""
        last = self._last
        if last is None or last.place is not place or last.limit != limit:
            return self._read(place, limit, None)
        replies = self._lines.look(last.packed)
        if replies == last.replies:
            return last.events
        return self._read(place, limit, last._replace(replies=replies))

    def _read(self, place: Place, limit: int, asked: _Asked | None) -> Events:
        """The same, where this may have been asked."""
        fresh, begin = place == START, place
        rules: Rules | None = None
        for _ in range(TRIES):
            note = place.detail if isinstance(place.detail, Note) else None
            kept = (fresh and rules is None) or (note is not None and note.kept)
            asked = asked or self._ask(place, note, limit, kept=kept)
            head, replies = self._told(asked)
            if head is None:
                return self._none(place, fresh=fresh)
            last, asked = asked, None
            if replies is None:
                continue  # it was cleaned meanwhile
            if fresh and rules is None:
                note = Note(head.id, head.folded, kept=True, newest=b"", jumped=last_jump(head))
                rules = head.base
            note = self._recognise(head, place, note, replies)
            self._series.follow(head, replies["left"], replies["base"])
            if kept:
                events = self._kept(head, place, note, replies["kept"], replies["changes"])
            elif place.position < head.trimmed:
                place = Place(place.position, note._replace(kept=True))
                continue
            else:
                events = self._dense(head, place, note, replies["stream"], limit)
            if events is not None:
                self._check(head, events)
                if last.place is begin and events.place == begin and not fresh:
                    self._last = last._replace(place=begin, events=events)
                return replace(events, rules=rules) if fresh else events
            place = Place(max(place.position, head.mark), note._replace(kept=False))
        raise LogUnavailable(f"{self._link.url} is cleaned faster than it can be read")

    def position(self) -> int:
        """The highest position given so far."""
        return int(self._link.look(("HGET", self._keys.head, "position"))[0] or 0)

    def bytes_used(self) -> int:
        """What counts towards LOG_MAX_BYTES."""
        return int(self._link.look(("HGET", self._keys.head, "bytes"))[0] or 0)

    def _ask(self, place: Place, note: Note | None, limit: int, *, kept: bool) -> _Asked:
        """Ask for what may stand behind a place."""
        count = max(1, min(self._count, limit))
        commands = questions(self._keys, self._series.registry.step, place, note, count, kept=kept)
        packed = pack(commands.values())
        return _Asked(place, limit, list(commands), packed, self._lines.look(packed), NOTHING_YET)

    def _told(self, asked: _Asked) -> tuple[Head | None, dict[str, Any] | None]:
        """The head, and the answers by name; None for those where the log was cleaned between them."""
        replies: dict[str, Any] = dict.fromkeys(("base", "newest", "kept", "changes", "stream"))
        replies |= zip(asked.names, asked.replies, strict=True)
        head = self._head(replies["head"])
        if head is None or replies["after"] != [head.id.encode(), str(head.step).encode()]:
            return head, None
        return head, replies

    def _head(self, values: Sequence[bytes | None]) -> Head | None:
        if values[0] not in (None, FORMAT):
            raise other_format(str(self._link.url), (values[0] or b"").decode(errors="replace"), FORMAT.decode())
        if values[0] is None and any(value is not None for value in values):
            raise other_keys(str(self._link.url))
        self.head = Head.read(values)
        return self.head

    def _none(self, place: Place, *, fresh: bool) -> Events:
        """What is read where there is no log."""
        if self._link.look(("EXISTS", self._keys.head))[0]:
            raise other_keys(str(self._link.url))
        if not fresh:
            raise HistoryChanged(f"{self._link.url} does not have the log any more")
        return Events.none(START, 0)

    def _recognise(self, head: Head, place: Place, note: Note | None, replies: dict[str, Any]) -> Note:
        """What there is to remember. Raises HistoryChanged where the reader has read, or missed, what is not there."""
        own = note or Note(head.id, place.position, kept=False, newest=b"", jumped=0)
        begin = lost_behind(head, place.position, own, there=bool(replies["newest"]))
        if begin is not None:
            if note is not None:  # else nobody has read that
                self.say_lost(begin, place.position)
            raise HistoryChanged(f"{self._link.url} does not have what was read up to position {place.position}")
        if (own.kept or place.position < head.trimmed) and own.told < head.folded:
            raise HistoryChanged(f"changes since position {own.told} are no longer told")
        return own._replace(jumped=last_jump(head))

    def say_lost(self, begin: int, stands: int) -> None:
        """Let every process know that something was lost behind this position."""
        try:
            self._link.ask(lambda _: [call(LOSE, (self._keys.head,), begin, stands)])
        except LogUnavailable:
            return  # the next who notices will

    def _kept(
        self, head: Head, place: Place, note: Note, chunks: Sequence[bytes], changes: Sequence[bytes]
    ) -> Events | None:
        """What is kept of events before the mark, with the changes between them; None where the reader has all that."""
        if not chunks and not changes:
            return None
        ends = [int(float(score)) for score in chunks[1::2]]
        last = len(ends) < CHUNKS
        end = head.mark if last else ends[-1]
        pieces = [unpack(chunk, at) for chunk, at in zip(chunks[::2], ends, strict=True)]
        columns = behind(joined(pieces), place.position) if pieces else NOTHING
        told = [change for change in map(parse_passed, changes) if change.position <= end]
        there = Place(end, note._replace(kept=not last))
        more = not last or end < head.position
        lives = self._living(columns[1])
        return Events(*chosen(columns, lives), there, head.horizon, changes=told, kept=True, more=more)

    def _living(self, ids: Ids) -> NDArray[np.bool_]:
        """Which of these are of series that have not ended: what has yet to be swept of others is not told."""
        registry = self._series.registry
        names, index = np.unique(ids, return_inverse=True)
        return np.array([registry.lives(series) for series in names.tolist()], np.bool_)[index]

    def _dense(self, head: Head, place: Place, note: Note, entries: list[Entry], limit: int) -> Events:
        """What stands behind a place, in a row."""
        self._pace(entries, max(1, min(self._count, limit)))
        run = run_of(entries, place.position)
        if run is not None:
            last, record = run
            end = jumped(head, last)
            there = Place(end, note._replace(told=end, newest=entries[-1][0]))
            return Events(*unpack(record, last), there, head.horizon, more=end < head.position)
        taken, counts = take(entries, limit)
        if not taken:
            end = jumped(head, place.position)
            return Events.none(Place(end, note._replace(told=end)) if end else START, head.horizon)
        lasts = np.array(list(map(position_of, taken)))
        check_row(head, place.position, lasts, np.array(counts))
        changes, columns = split(taken, lasts)
        for change in changes:
            if isinstance(change, SeriesEnd):
                self._series.registry.end(change.series, change.position)
        end = jumped(head, int(lasts[-1])) if len(taken) == len(entries) else int(lasts[-1])
        more = len(taken) < len(entries) or end < head.position
        there = Place(end, note._replace(told=end, newest=taken[-1][0]))
        return Events(*behind(columns, place.position), there, head.horizon, changes=changes, more=more)

    def _pace(self, entries: list[Entry], asked: int) -> None:
        """Ask for more records next time, or for fewer."""
        size = sum([len(entry[1][1]) for entry in entries])
        if size > 4 * SOME_BYTES:
            self._count = max(2, self._count * SOME_BYTES // size)
        elif len(entries) == asked and size < SOME_BYTES:
            self._count = min(MOST_RECORDS, 4 * self._count)

    def _check(self, head: Head, events: Events) -> None:
        """Raises LogDamaged for events of series that were never registered."""
        if len(events) and int(events.ids.max()) > int(head.stand.partition(" ")[0]):
            self._series.refresh()
            if int(events.ids.max()) > self._series.registry.newest:
                raise LogDamaged("an event belongs to no series that was ever registered")
