"""Bring records to the disk, and save what can be saved where the disk fails.

A sync that has failed is final: the kernel tells of it once, and the next sync succeeds over pages that are lost. So
what was not synced is copied to another segment and synced there; where that fails too, nothing more is written.
"""

from __future__ import annotations

import logging
from secrets import randbits

from event_log.errors import LogDamaged, LogError, LogUnavailable
from event_log.files.disk import sync_folder
from event_log.files.head import FAILED
from event_log.files.layout import RECORDS, SegmentHead, Tail
from event_log.files.opening import OpenLog
from event_log.files.records import decode
from event_log.files.recovery import copy_unsynced, moved, save_rest, usable_head

log = logging.getLogger(__name__)
FAILED_TEXT = "the disk has failed to take the log at {}: nothing is written until the service is started anew"


def sync(files: OpenLog) -> None:
    """Sync all records that were appended before. For a real thread. Raises LogUnavailable."""
    with files.syncing.held():
        if files.words[FAILED]:
            raise LogUnavailable(FAILED_TEXT.format(files.path))
        tail, synced = files.head.tail()[1], files.head.synced()
        if (tail.segment, tail.number, tail.history) == (synced.segment, synced.number, synced.history):
            return
        try:
            for start in files.segments.starts():
                if synced.segment <= start <= tail.segment:
                    files.segments.sync(start)
            if synced.segment != tail.segment:
                sync_folder(files.segments.folder)
        except OSError as fault:
            log.error("the log at %s could not be synced: %s", files.path, fault)
            files.words[FAILED] = 1
            tail = _save_unsynced(files, synced)
            files.words[FAILED] = 0
        files.head.publish_synced(tail)


def _save_unsynced(files: OpenLog, synced: Tail) -> Tail:
    with files.appending.held():
        tail = files.head.tail()[1]
        try:
            tail = copy_unsynced(files.segments, synced, tail, files.options.stamp())
        except (OSError, LogError) as fault:
            log.error("%s", FAILED_TEXT.format(files.path))
            raise LogUnavailable(FAILED_TEXT.format(files.path)) from fault
        tail = tail._replace(history=randbits(63))
        files.publish(tail)
        return tail


def heal(files: OpenLog, place: Tail) -> None:
    """Begin another history with what is intact where the records behind a place are damaged.

    For a real thread. Raises LogDamaged where that cannot be written down."""
    with files.syncing.held(), files.appending.held():
        tail = files.head.tail()[1]
        if tail.history != place.history:
            return  # another one was first
        try:
            healed = _healed(files, place, tail)
        except OSError as fault:
            raise LogDamaged(
                f"{files.segments.path(place.segment)} is damaged and cannot be mended: {fault}"
            ) from fault
        if healed is not None:
            files.publish(healed._replace(history=randbits(63)))
            if files.head.synced().number > place.number:
                files.head.publish_synced(place)


def _healed(files: OpenLog, place: Tail, tail: Tail) -> Tail | None:
    """The tail of what is intact, or None where all is."""
    segments, stamp = files.segments, files.options.stamp()
    after, following = None, None
    until, proof, end = tail.number, tail.crc, tail.offset
    if place.segment != tail.segment:
        after, end = segments.after(place.segment), segments.end(place.segment)
        following = usable_head(segments, after, stamp)
        if following is not None:
            until, proof = following.number, following.crc
    data = segments.read_around(place.segment, place.offset)[: max(0, end - place.offset)]
    done = decode(data, place.number, place.crc, place.position, until, proof)
    if done.number == until and after == (following and following.number):
        return None
    rest = data[done.size :]
    if done.number < until and rest.strip(b"\0"):
        save_rest(segments, moved(place, done), rest, stamp)
    else:
        segments.seal(place.segment, place.offset + done.size)
    if following is not None:
        return tail
    segments.create(SegmentHead(tail.number, tail.position, tail.crc), sync=True)
    return tail._replace(segment=tail.number, offset=RECORDS)
