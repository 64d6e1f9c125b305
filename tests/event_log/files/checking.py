"""Check that the files of a log hold what they must: for tests, and for a person who wants to know."""

from __future__ import annotations

from event_log.errors import LogError
from event_log.files.layout import RECORDS, Tail
from event_log.files.opening import OpenLog
from event_log.files.records import END, decode
from event_log.files.recovery import moved


def faults(files: OpenLog) -> list[str]:
    """Return the faults of the records, the head page and the blobs; none where all is well. Changes nothing.

    For a log that nobody writes to meanwhile. Complexity: O(bytes)."""
    found = list[str]()
    place = _last_place(files, found)
    if place is not None:
        tail, synced = files.head.tail()[1], files.head.synced()
        for name in ("segment", "offset", "number", "position", "crc"):
            if getattr(place, name) != getattr(tail, name):
                found.append(f"the head says {name} {getattr(tail, name)}, the records {getattr(place, name)}")
        if place.horizon > tail.horizon or place.fence > tail.fence:
            found.append("the records publish more than the head")
        if synced.number > tail.number:
            found.append(f"record {synced.number} is said to be synced, of {tail.number}")
    try:
        manifest = files.blobs.manifest()
        for name in manifest.blobs:
            files.blobs.get(name)
    except LogError as fault:
        found.append(str(fault))
    return found


def _last_place(files: OpenLog, found: list[str]) -> Tail | None:
    """Return the place to which all records lead, from the first segment on."""
    segments, tail, place = files.segments, files.head.tail()[1], None
    starts = segments.starts()
    for start, after in zip(starts, [*starts[1:], None], strict=True):
        try:
            head = segments.head(start)
            data = segments.read_around(start, RECORDS)
        except LogError as fault:
            found.append(str(fault))
            return None
        if place is not None and (head.number, head.position, head.crc) != (place.number, place.position, place.crc):
            found.append(f"{segments.path(start)} does not go on where the segment before it ends")
        place = tail._replace(segment=start, offset=RECORDS, number=head.number, position=head.position, crc=head.crc)
        until = END if after is None else after
        end = tail.offset if after is None else segments.end(start)
        done = decode(data[: end - RECORDS], head.number, head.crc, head.position, until)
        place = moved(place._replace(horizon=done.horizon, fence=done.fence), done)
    return place
