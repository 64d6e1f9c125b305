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
    Change,
    Events,
    HistoryChanged,
    Ids,
    LogDamaged,
    LogUnavailable,
    Place,
    Rules,
    SeriesEnd,
    Times,
)
from event_log.records import FORMAT, SINGLE_SIZE, Columns, count_events, unpack, unpack_all
from event_log.redis_changes import parse_change, parse_passed
from event_log.redis_faults import other_format, other_keys
from event_log.redis_head import FIELDS, Head
from event_log.redis_kept import NOTHING, chosen, joined
from event_log.redis_keys import Keys
from event_log.redis_link import Link
from event_log.redis_scripts import LOSE, MOST_JUMPS
from event_log.redis_series import SeriesReader
from event_log.redis_session import Command, call

MOST_RECORDS = 3000
"""Of one reading: some 4 ms of Redis' time."""
FIRST_RECORDS = 64
SOME_BYTES = 1 << 20
"""A reading that brought less may bring more the next time."""
CHUNKS = 64
"""Of kept events."""
TRIES = 20
Entry = tuple[bytes, Sequence[bytes]]
"""Id, and the name and value of its field."""


class Note(NamedTuple):
    """What a place remembers beside its position."""

    log: str
    """The id of the log it is a place in."""
    told: int
    """The changes up to there are known to the reader."""
    kept: bool
    """Whether it is among the kept events before the mark."""
    newest: bytes
    """The id of the last entry read; if the history is still the same, it is there, or has been trimmed."""
    jumped: int
    """Where the last jump ended that the reader knows of."""


class Reading:
    """Reads for any number of readers."""

    def __init__(self, link: Link, keys: Keys, series: SeriesReader) -> None:
        self._link = link
        self._keys = keys
        self._series = series
        self._count = FIRST_RECORDS  # of records for the next reading; a race over it does no harm
        self.head: Head | None = None
        """As of the last reading."""

    def read(self, place: Place, limit: int) -> Events:
        """As EventLog.read."""
        fresh = place == START
        rules: Rules | None = None
        for _ in range(TRIES):
            note = place.detail if isinstance(place.detail, Note) else None
            kept = (fresh and rules is None) or (note is not None and note.kept)
            head, replies = self._ask(place, note, limit, kept=kept)
            if head is None:
                return self._none(place, fresh=fresh)
            if replies is None:
                continue  # it was cleaned meanwhile
            if fresh and rules is None:
                note = Note(head.id, head.folded, kept=True, newest=b"", jumped=_last_jump(head))
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
                return replace(events, rules=rules) if fresh else events
            place = Place(max(place.position, head.mark), note._replace(kept=False))
        raise LogUnavailable(f"{self._link.url} is cleaned faster than it can be read")

    def position(self) -> int:
        """The highest position given so far."""
        return int(self._link.look(("HGET", self._keys.head, "position"))[0] or 0)

    def bytes_used(self) -> int:
        """What counts towards LOG_MAX_BYTES."""
        return int(self._link.look(("HGET", self._keys.head, "bytes"))[0] or 0)

    def _ask(
        self, place: Place, note: Note | None, limit: int, *, kept: bool
    ) -> tuple[Head | None, dict[str, Any] | None]:
        """The head, and the answers by name; None for those where the log was cleaned between them."""
        keys, step = self._keys, self._series.registry.step
        commands: dict[str, Command] = {
            "head": ("HMGET", keys.head, *FIELDS),
            "left": ("XRANGE", keys.left, f"{step + 1}-0", "+"),
        }
        if kept:
            commands["kept"] = (
                "ZRANGEBYSCORE",
                keys.kept,
                f"({place.position}",
                "+inf",
                "LIMIT",
                0,
                CHUNKS,
                "WITHSCORES",
            )
            commands["changes"] = ("ZRANGEBYSCORE", keys.changes, f"({place.position}", "+inf")
            if place == START:
                commands["base"] = ("HGETALL", keys.base)
        else:
            count = max(1, min(self._count, limit))
            commands["stream"] = ("XRANGE", keys.stream, f"{place.position + 1}", "+", "COUNT", count)
        if note is not None and note.newest:
            commands["newest"] = ("XRANGE", keys.stream, note.newest, note.newest)
        commands["after"] = ("HMGET", keys.head, "id", "step")
        replies: dict[str, Any] = dict.fromkeys(("base", "newest", "kept", "changes", "stream"))
        replies |= zip(commands, self._link.look(*commands.values()), strict=True)
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
        begin = _lost_behind(head, place.position, own, there=bool(replies["newest"]))
        if begin is not None:
            if note is not None:  # else nobody has read that
                self._say_lost(begin, place.position)
            raise HistoryChanged(f"{self._link.url} does not have what was read up to position {place.position}")
        if (own.kept or place.position < head.trimmed) and own.told < head.folded:
            raise HistoryChanged(f"changes since position {own.told} are no longer told")
        return own._replace(jumped=_last_jump(head))

    def _say_lost(self, begin: int, stands: int) -> None:
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
        columns = _behind(joined(pieces), place.position) if pieces else NOTHING
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
        run = _run_of(entries, place.position)
        if run is not None:
            last, record = run
            end = _jumped(head, last)
            there = Place(end, note._replace(told=end, newest=entries[-1][0]))
            return Events(*unpack(record, last), there, head.horizon, more=end < head.position)
        taken, counts = _take(entries, limit)
        if not taken:
            end = _jumped(head, place.position)
            return Events.none(Place(end, note._replace(told=end)) if end else START, head.horizon)
        lasts = np.array([int(entry[0].partition(b"-")[0]) for entry in taken])
        self._in_a_row(head, place.position, lasts, np.array(counts))
        changes, columns = self._split(taken, lasts)
        end = _jumped(head, int(lasts[-1])) if len(taken) == len(entries) else int(lasts[-1])
        more = len(taken) < len(entries) or end < head.position
        there = Place(end, note._replace(told=end, newest=taken[-1][0]))
        return Events(*_behind(columns, place.position), there, head.horizon, changes=changes, more=more)

    def _pace(self, entries: list[Entry], asked: int) -> None:
        """Ask for more records next time, or for fewer."""
        size = sum([len(entry[1][1]) for entry in entries])
        if size > 4 * SOME_BYTES:
            self._count = max(2, self._count * SOME_BYTES // size)
        elif len(entries) == asked and size < SOME_BYTES:
            self._count = min(MOST_RECORDS, 4 * self._count)

    def _in_a_row(self, head: Head, after: int, lasts: Times, counts: Times) -> None:
        """Raises LogDamaged where something is missing between these."""
        before = lasts - counts
        follows = np.concatenate(([min(after, int(before[0]))], lasts[:-1]))
        for index in np.flatnonzero(before != follows).tolist():
            if not _leads(head, int(follows[index]), int(before[index])):
                raise LogDamaged(f"records are missing between positions {follows[index]} and {before[index]}")
        if before[0] > after and not _leads(head, after, int(before[0])):
            raise LogDamaged(f"records are missing between positions {after} and {int(before[0])}")

    def _split(self, taken: Sequence[Entry], lasts: Times) -> tuple[list[Change], Columns]:
        """The changes, and the columns of the events."""
        chosen = [i for i, entry in enumerate(taken) if entry[1][0] == b"c"]
        if not chosen:
            return [], unpack_all([entry[1][1] for entry in taken], lasts)
        changes = [parse_change(int(lasts[i]), taken[i][1][1]) for i in chosen]
        for change in changes:
            if isinstance(change, SeriesEnd):
                self._series.registry.end(change.series, change.position)
        others = np.delete(np.arange(len(taken)), chosen)
        columns = unpack_all([taken[i][1][1] for i in others.tolist()], lasts[others]) if len(others) else NOTHING
        return changes, columns

    def _check(self, head: Head, events: Events) -> None:
        """Raises LogDamaged for events of series that were never registered."""
        if len(events) and int(events.ids.max()) > int(head.stand.partition(" ")[0]):
            self._series.refresh()
            if int(events.ids.max()) > self._series.registry.newest:
                raise LogDamaged("an event belongs to no series that was ever registered")


def _lost_behind(head: Head, position: int, note: Note, *, there: bool) -> int | None:
    """Behind which position something has been lost that a reader has read who stands at `position`; None where nothing
    has. `there`: its newest entry is."""
    if note.log != head.id:
        return 0
    for start, end in head.jumps:
        if end > note.jumped and start < position <= end:
            return start
    if position > head.position:
        return head.position
    newest = int(note.newest.partition(b"-")[0] or 0)
    return head.trimmed if newest > head.trimmed and not there else None


def _run_of(entries: Sequence[Entry], after: int) -> tuple[int, bytes] | None:
    """Where all of these are single events in a row: where the last one stands, and the run of them, which is checked
    and unpacked at once. They are in order, so the ends tell."""
    if not entries or {len(entry[1][1]) for entry in entries} != {SINGLE_SIZE}:
        return None
    first, last = (int(entry[0].partition(b"-")[0]) for entry in (entries[0], entries[-1]))
    if first != after + 1 or last - first + 1 != len(entries) or {entry[1][0] for entry in entries} != {b"e"}:
        return None
    return last, b"".join([entry[1][1] for entry in entries])


def _take(entries: Sequence[Entry], limit: int) -> tuple[Sequence[Entry], list[int]]:
    """Entries until they hold `limit` events, and how many positions each takes."""
    counts = []
    for entry in entries:
        counts.append(count_events(entry[1][1]) if entry[1][0] == b"e" else 1)
        limit -= counts[-1]
        if limit <= 0:
            break
    return entries[: len(counts)], counts


def _behind(columns: Columns, position: int) -> Columns:
    """The rows behind a position."""
    if not len(columns[0]) or columns[0][0] > position:
        return columns
    start = int(np.searchsorted(columns[0], position, side="right"))
    positions, ids, times, values = columns
    return positions[start:], ids[start:], times[start:], values[start:]


def _jumped(head: Head, position: int, to: int | None = None) -> int:
    """Where the jumps lead that begin at a position, or at another one that a jump led to; at most `to`."""
    for start, end in head.jumps:
        if start == position and (to is None or end <= to):
            position = end
    return position


def _leads(head: Head, position: int, to: int) -> bool:
    """Whether jumps lead from one position to another: those remembered, behind older ones where there were more."""
    if len(head.jumps) >= MOST_JUMPS and position < head.jumps[0][0]:
        position = min(to, head.jumps[0][0])
    return _jumped(head, position, to) == to


def _last_jump(head: Head) -> int:
    return head.jumps[-1][1] if head.jumps else 0
