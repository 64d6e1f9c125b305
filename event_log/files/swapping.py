"""Blobs and manifests of an open log: what compaction puts in place of the oldest records."""

from __future__ import annotations

from event_log.files.blobs import STAY_SECONDS, Stored, pack
from event_log.files.disk import sync_folder, write_aside
from event_log.files.head import GENERATION, OWNED_UNTIL, OWNER
from event_log.files.opening import OpenLog
from event_log.files.room import check_room, take_ballast, with_room
from event_log.files.syncing import sync
from event_log.port import Cursor, Manifest
from times import SECOND


def manifest(files: OpenLog) -> Manifest:
    """The newest one."""
    stored = files.manifest()
    cursor = Cursor(files.head.tail()[1].history, stored.number, stored.position)
    return Manifest(stored.generation, cursor, stored.data.encode("latin-1"), tuple(stored.blobs))


def put_blob(files: OpenLog, data: bytes) -> str:
    """Write a blob. Raises LogFull, LogUnavailable."""
    check_room(files, len(data))
    return with_room(files, lambda: files.blobs.put(data, files.time()), ballast=True)


def swap(files: OpenLog, new: Manifest) -> bool:
    """Put a manifest in force, if nobody else has put another one in force meanwhile.

    The records behind it are synced before, and the last one is never removed: the tail stands in its segment."""
    sync(files)
    old, tail = files.manifest(), files.head.tail()[1]
    if not all((files.blobs.folder / name).exists() for name in new.blobs):
        return False
    if old.generation + 1 != new.generation or tail.history != new.cursor.history:
        return False
    now = files.time()
    dropped = [entry for entry in old.dropped if entry[0] > now - 2 * STAY_SECONDS * SECOND]
    dropped.append((now, new.cursor.number, [name for name in old.blobs if name not in new.blobs]))
    stored = Stored(
        new.generation,
        new.cursor.number,
        new.cursor.position,
        tail.horizon,
        list(new.blobs),
        dropped,
        new.data.decode("latin-1"),
    )
    path = with_room(files, lambda: write_aside(files.blobs.folder, pack(stored)), ballast=True)
    with files.appending.held():
        generation = files.blobs.manifest().generation
        files.words[GENERATION] = generation  # its maker may have died before it had said so
        if generation == old.generation and files.head.tail()[1].history == tail.history:
            path.rename(files.blobs.path)
            files.words[GENERATION] = new.generation
    if path.exists():
        path.unlink()
        return False
    sync_folder(files.blobs.folder)
    take_ballast(files)
    return True


def may_compact(files: OpenLog, owner: int, seconds: float) -> bool:
    """Take or prolong the right to compact, which ends by itself: a process that is halted keeps nobody from it."""
    now = files.options.clock().boot
    with files.appending.held():
        if files.words[OWNER] not in (0, owner) and now < files.words[OWNED_UNTIL]:
            return False
        files.words[OWNER], files.words[OWNED_UNTIL] = owner, now + int(seconds * SECOND)
        return True
