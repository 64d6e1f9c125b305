"""Look through what a power cut, a failed sync or a damaged disk has left.

Records are read from the last place that is known to be synced. Behind the first one that does not match, all is lost,
unless two records behind it are linked by their crcs: then that is damage, and what is intact goes on. Nothing is
removed: what is no longer part of the log goes to the quarantine.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from secrets import randbits

from event_log import codec
from event_log.errors import LogDamaged
from event_log.files.blobs import Stored
from event_log.files.layout import RECORDS, SegmentHead, Synced, Tail, pack_record
from event_log.files.records import END, Decoded, decode, resynchronise
from event_log.files.segments import Segments
from event_log.port import JUMP, MOST_POSITION

log = logging.getLogger(__name__)


def moved(tail: Tail, done: Decoded) -> Tail:
    """Return the place behind what was decoded there."""
    segment, offset, _, _, _, horizon, fence, history = tail
    published = max(horizon, done.horizon), max(fence, done.fence)
    return Tail(segment, offset + done.size, done.number, done.position, done.crc, *published, history)


def usable_head(segments: Segments, start: int | None, stamp: str) -> SegmentHead | None:
    """The head of this segment, or of the first one behind that has one; those that have none are quarantined.

    Raises OSError."""
    while start is not None:
        try:
            return segments.head(start)
        except LogDamaged as fault:
            log.error("%s; it is quarantined", fault)
            segments.quarantine(start, stamp, keep=False)
            start = segments.after(start)
    return None


def save_rest(segments: Segments, tail: Tail, data: bytes, stamp: str) -> SegmentHead | None:
    """End a segment at `tail`, where `data` begins, which is damaged. What is intact of it goes to another segment.

    Raises OSError."""
    anchor = resynchronise(data, tail.number)
    segments.quarantine(tail.segment, stamp, keep=True)
    head, rest = None, b"" if anchor is None else data[anchor.offset :]
    if anchor is not None and rest.strip(b"\0"):
        head = SegmentHead(anchor.number, anchor.position, anchor.crc, RECORDS + len(rest))
        segments.create(head, rest, sync=True)
    segments.seal(tail.segment, tail.offset)
    lost = "and all behind it in this file" if head is None else f"to {head.number}"
    log.error("%s is damaged: its records %d %s are lost", segments.path(tail.segment), tail.number + 1, lost)
    return head


def copy_unsynced(segments: Segments, synced: Tail, tail: Tail, stamp: str) -> Tail:
    """Copy the records behind `synced` to a segment of their own, on the disk. Returns the place of the tail there.

    Raises OSError, LogDamaged."""
    parts, place = [], synced
    while True:
        following = segments.following(place.segment) if place.segment < tail.segment else None
        until = tail.number if following is None else following.number
        end = tail.offset if following is None else segments.end(place.segment)
        data = segments.read(place.segment, place.offset, max(0, end - place.offset))
        done = decode(data, place.number, place.crc, place.position, until, tail.crc)
        parts.append(data[: done.size])
        place = moved(place, done)
        if place.number != until or (following is not None and following.position != place.position):
            raise LogDamaged(f"record {done.number + 1} cannot be copied to another place")
        if following is None:
            break
        place = place._replace(segment=following.number, offset=RECORDS)
    rest = b"".join(parts)
    segments.create(SegmentHead(synced.number, synced.position, synced.crc), rest, sync=True)
    for start in segments.starts():
        if start > synced.number:
            segments.quarantine(start, stamp, keep=False)
    if synced.segment < synced.number:
        segments.seal(synced.segment, synced.offset)
    return tail._replace(segment=synced.number, offset=RECORDS + len(rest))


class Recovery:
    """For a process that has the folder for itself."""

    def __init__(self, segments: Segments, manifest: Stored, clock: int, stamp: str) -> None:
        self._segments = segments
        self._manifest = manifest
        self._clock = clock
        self._stamp = stamp
        self._is_whole = True
        self.cut_after: int | None = None
        """The position behind which something may have been lost."""

    def run(self, known: Synced | None, *, rewrite: bool) -> Tail:
        """Return the tail of what there is, all on the disk.

        `rewrite`: what can be read behind it may not be on the disk. Raises OSError."""
        begin = self._begin(None if known is None else known.tail)
        tail = self._scan(begin)
        for start in self._segments.starts():
            if not rewrite and begin.segment <= start:
                self._segments.sync(start)
        if rewrite and tail.offset:
            tail = copy_unsynced(self._segments, begin, tail, self._stamp)
        was_end = known is not None and known.clean and known.tail.number == tail.number
        if not tail.offset and not tail.number:
            self._segments.create(SegmentHead(0, 0, tail.crc), sync=True)
            tail = tail._replace(segment=0, offset=RECORDS)
        elif not was_end or not self._is_whole or not tail.offset or rewrite:
            tail = self._jump(tail)
        return tail._replace(fence=tail.number, history=randbits(63))

    def _jump(self, tail: Tail) -> Tail:
        """Begin a segment with a record that skips positions, as some may have been given and lost."""
        position = min(max(tail.position + JUMP, self._clock), MOST_POSITION - 1)
        self.cut_after = tail.position
        log.warning("the log was not left in good order: its positions go on at %d after %d", position, tail.position)
        data, crc = pack_record(codec.JUMP, tail.number + 1, position, b"", tail.crc)
        self._segments.create(SegmentHead(tail.number, tail.position, tail.crc), data, sync=True)
        offset = RECORDS + len(data)
        return tail._replace(segment=tail.number, offset=offset, number=tail.number + 1, position=position, crc=crc)

    def _begin(self, known: Tail | None) -> Tail:
        """The place from which on records are to be looked through; offset 0 where there are none."""
        manifest, segments = self._manifest, self._segments
        if known is None:
            known = Tail(-1, 0, manifest.number, manifest.position, randbits(32), manifest.horizon, 0, 0)
        starts = segments.starts()
        if known.segment in starts:
            with suppress(LogDamaged):
                if known.offset <= segments.end(known.segment):
                    return known
        number = max(known.number, manifest.number)
        start = max((start for start in starts if start <= number), default=min(starts, default=None))
        head = usable_head(segments, start, self._stamp)
        self._is_whole = False
        return known._replace(offset=0) if head is None else self._at(head, known)

    def _scan(self, tail: Tail) -> Tail:
        while tail.offset:
            following = usable_head(self._segments, self._segments.after(tail.segment), self._stamp)
            tail, rest = self._scan_segment(tail, following)
            if following is not None and following.number < tail.number:
                # A writer died when it had made this segment, and others went on in the one before.
                self._segments.quarantine(following.number, self._stamp, keep=False)
            elif rest is not None:
                tail = self._at(rest, tail)
            elif following is not None:
                if following.number > tail.number:
                    self._segments.seal(tail.segment, tail.offset)
                tail = self._at(following, tail)
            else:
                break
        return tail

    def _at(self, head: SegmentHead, tail: Tail) -> Tail:
        """The beginning of a segment, with what was published before."""
        self._is_whole &= head.number == tail.number
        number, position, crc, _ = head
        return tail._replace(segment=number, offset=RECORDS, number=number, position=position, crc=crc)

    def _scan_segment(self, tail: Tail, following: SegmentHead | None) -> tuple[Tail, SegmentHead | None]:
        """The place behind the last record that is proved, and the segment where what is intact behind damage went."""
        data = self._segments.read_around(tail.segment, tail.offset)
        until, proof = END, -1
        if following is not None:
            behind = self._segments.read_around(following.number, RECORDS)
            if decode(behind, following.number, following.crc, following.position, following.number + 1).entries:
                until, proof = following.number, following.crc
        done = decode(data, tail.number, tail.crc, tail.position, until, proof)
        tail, rest = moved(tail, done), data[done.size :]
        if done.number >= until or not rest.strip(b"\0"):
            return tail, None
        if following is None and resynchronise(rest, tail.number) is None:
            return tail, None  # nobody can tell what stood behind: that was the cut
        self._is_whole = False
        return tail, save_rest(self._segments, tail, rest, self._stamp)
