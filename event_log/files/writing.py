"""Appending: compare what the writer knows, write the record behind the tail, publish the new tail; under the lock."""

from __future__ import annotations

import errno
import os
from zlib import crc32

from event_log.errors import HistoryChanged, LogFull, LogUnavailable
from event_log.files.disk import refusal
from event_log.files.head import FAILED, SEQUENCE, TAIL_SLOTS
from event_log.files.layout import (
    BODY,
    CRC,
    FENCES,
    FLAGS,
    LOW,
    MOST_BYTES,
    RAISES,
    RECORD,
    RECORDS,
    TAIL,
    TIMED,
    WORD,
)
from event_log.files.opening import OpenLog
from event_log.files.room import WAYS_OUT, next_segment
from event_log.files.syncing import FAILED_TEXT
from event_log.port import Appended, Guard, Record, Stale


def append(files: OpenLog, record: Record, guard: Guard) -> Appended:
    """As `RecordStore.append` promises it. In one function, as each call would take a tenth of the time."""
    kind, payload, takes, timed, fences, raises = record
    own, known, oldest = guard
    words, lock = files.words, files.appending
    lock.acquire()
    try:
        sequence = words[SEQUENCE]
        if sequence != files.sequence:
            files.load()
        segment, offset, number, position, crc, horizon, fence, history = files.tail
        if own != history:
            raise HistoryChanged("the log has begun anew")
        if known is not None and known < fence:
            raise Stale("a series may have ended")
        if oldest is not None and oldest <= horizon:
            raise Stale("events may have expired")
        if words[FAILED]:
            raise LogUnavailable(FAILED_TEXT.format(files.path))
        number += 1
        position += takes
        flagged = position
        if timed or fences or raises is not None:
            payload, flagged, horizon = _marked(files, record, position, horizon)
            fence = number if fences else fence
        size = RECORD.size + len(payload)
        if offset + size > files.limits[0] and _make_room(files, offset + size, size, record):
            sequence = files.sequence
            segment, offset = files.tail[:2]
        body = BODY.pack(len(payload) << 8 | kind, number & LOW, flagged) + payload
        crc = crc32(body, crc)
        try:
            if os.pwrite(files.file, CRC.pack(crc) + body, offset) != size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as fault:
            raise refusal(files.path, fault) from fault
        offset += size
        sequence += 1
        TAIL.pack_into(
            files.page, TAIL_SLOTS[sequence & 1], segment, offset, number, position, crc, horizon, fence, history
        )
        words[SEQUENCE] = sequence
        files.sequence = sequence
        files.tail = segment, offset, number, position, crc, horizon, fence, history
    finally:
        lock.release()
    return Appended(number, position)


def _marked(files: OpenLog, record: Record, position: int, horizon: int) -> tuple[bytes, int, int]:
    """Payload and position of a record that publishes something, and the horizon from then on."""
    flags, before = FENCES if record.fences else 0, b""
    time = files.note_time() if record.timed or record.raises is not None else 0
    if record.raises is not None:
        moment, span = record.raises
        horizon = max(horizon, min(moment, time) - span)
        flags, before = flags | RAISES, WORD.pack(horizon)
    if record.timed:
        flags, before = flags | TIMED, before + WORD.pack(time)
    return before + record.payload, flags << FLAGS | position, horizon


def _make_room(files: OpenLog, end: int, size: int, record: Record) -> bool:
    """Go on in the next segment; says whether it did, or False where what heals takes of its reserve. Raises LogFull,
    LogUnavailable."""
    if RECORDS + size > files.limits[0] or size > MOST_BYTES:
        raise LogFull(f"this request is larger than the log at {files.path} takes; {WAYS_OUT}")
    try:
        next_segment(files)
    except LogFull:
        if end > files.limits[2 if record.raises is not None else 1 if record.fences else 0]:
            raise
        return False
    return True
