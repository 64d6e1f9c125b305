"""Reading records: from a cursor on, over segments, up to the tail that the head page publishes."""

from __future__ import annotations

from event_log import codec
from event_log.aside import aside
from event_log.codec import Singles
from event_log.errors import HistoryChanged, LogDamaged
from event_log.files.blobs import STAY_SECONDS
from event_log.files.layout import NO_HORIZON, RECORDS, SegmentHead, Tail
from event_log.files.opening import OpenLog
from event_log.files.records import END, ON_TRUST, decode
from event_log.files.recovery import moved
from event_log.files.syncing import heal
from event_log.port import Behind, Chunk, Cursor, Entry
from times import SECOND

CHUNK_BYTES = 1024**2
LEAST_BYTES = 4096
EVENT_BYTES = 64
"""Bytes that are read for each position asked for."""
_PLACES = 16
"""Maximum cursors whose place in a file is remembered; others are looked for."""

Entries = list[Entry | Singles]


class Reader:
    """For one open log."""

    def __init__(self, files: OpenLog) -> None:
        self._files = files
        self._places: dict[tuple[int, int], Tail] = {}

    def read(self, cursor: Cursor, limit: int) -> Chunk:
        """Read as `RecordStore.read` promises it. Where records are damaged it begins another history without them."""
        sequence, tail = self._files.head.tail()
        if cursor.history != tail.history:
            raise HistoryChanged("the log has begun anew")
        self._files.segments.meet(tail.history)
        if cursor.number >= tail.number:
            return Chunk((), cursor._replace(where=sequence), more=False)
        place = self._places.pop((tail.history, cursor.number), None)
        if place is None:
            place = self._locate(cursor, tail)
        entries = _lost(cursor.number, cursor.position, place)
        while not entries:
            place = self._step(place, tail, limit, entries)
        while len(self._places) >= _PLACES:
            self._places.pop(next(iter(self._places)), None)
        self._places[place.history, place.number] = place
        is_level = place.number == tail.number
        cursor = Cursor(tail.history, place.number, place.position, sequence if is_level else 0)
        return Chunk(entries, cursor, more=not is_level)

    def _locate(self, cursor: Cursor, tail: Tail) -> Tail:
        """The place of a cursor. Complexity: O(bytes of a segment)."""
        files = self._files
        left = files.manifest().number_before(files.time() - STAY_SECONDS * SECOND)
        start = max((start for start in files.segments.starts() if start <= cursor.number), default=None)
        if start is None or cursor.number < left:
            raise Behind("these records have been compacted")
        place = Tail(start, 0, start, 0, 0, NO_HORIZON, 0, tail.history)
        try:
            place = _at(files.segments.head(start), place)
        except LogDamaged as fault:
            raise self._healed(place, fault) from fault
        while place.number < cursor.number:
            place = self._step(place, tail, END, [], cursor.number)
        return place

    def _step(self, place: Tail, tail: Tail, limit: int, entries: Entries, most: int = END) -> Tail:
        """Read on in a segment, or go over to the next one. Returns where that led to."""
        try:
            return self._read_on(place, tail, limit, entries, most)
        except LogDamaged as fault:
            raise self._healed(place, fault) from fault

    def _read_on(self, place: Tail, tail: Tail, limit: int, entries: Entries, most: int) -> Tail:
        segments = self._files.segments
        until, proof, end = tail.number, tail.crc, tail.offset
        if place.segment != tail.segment:
            following, end = segments.following(place.segment), segments.end(place.segment)
            if place.number == following.number or place.offset == end:
                entries += _lost(place.number, place.position, _at(following, place))
                return _at(following, place)
            until, proof = following.number, following.crc
        rest = end - place.offset
        size = min(rest, CHUNK_BYTES, max(LEAST_BYTES, limit * EVENT_BYTES))
        while True:
            data = segments.read(place.segment, place.offset, size)
            done = decode(data, place.number, place.crc, place.position, until, proof, limit)
            if done.number > most:
                done = decode(data, place.number, place.crc, place.position, most, ON_TRUST)
            if done.size:
                entries += done.entries
                return moved(place, done)
            if size >= rest:
                raise LogDamaged(
                    f"record {place.number + 1} in {segments.path(place.segment)} does not match its checksum"
                )
            size = rest

    def _healed(self, place: Tail, fault: LogDamaged) -> Exception:
        """Leave out what is damaged, for all processes; what a reader is told."""
        aside(lambda: heal(self._files, place))
        if self._files.head.tail()[1].history == place.history:
            return fault
        return HistoryChanged(f"{fault}; what is intact goes on without it")


def _at(head: SegmentHead, place: Tail) -> Tail:
    return place._replace(segment=head.number, offset=RECORDS, number=head.number, position=head.position, crc=head.crc)


def _lost(number: int, position: int, place: Tail) -> Entries:
    """Return entries in the place of records that are lost before a place: numbers and positions that are skipped."""
    count = place.number - number
    if count <= 0:
        return []
    skipped = Entry(place.position, 0, codec.JUMP, max(0, place.position - position), b"")
    return [skipped, *[skipped._replace(takes=0)] * (count - 1)]
