"""Functions that the tests of the files store share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from event_log.codec import SINGLE, Singles, pack_single
from event_log.errors import HistoryChanged
from event_log.files.store import FilesStore
from event_log.port import Appended, Behind, Cursor, Entry, Guard, Record, RecordStore
from tests.event_log.stores import WALL, Clocks

LEAST = 512 * 1024
"""The smallest log: its segments have 64 KiB."""


def open_files(folder: Path, clocks: Clocks | None = None, boot: str = "boot", sync: str = "everysec") -> FilesStore:
    return FilesStore(folder, max_bytes=LEAST, sync=sync, clock=clocks or Clocks(), boot=lambda: boot)


def add(store: RecordStore, record: Record) -> Appended:
    """Append what needs no knowledge of the log."""
    return store.append(record, Guard(store.manifest().cursor.history))


def single(value: float, series: int = 1) -> Record:
    return Record(SINGLE, pack_single(series, WALL, value), 1)


def read_all(store: RecordStore) -> dict[int, Entry]:
    """All records behind the manifest by number, from the beginning again where the store says so."""
    while True:
        try:
            return read_from(store, store.manifest().cursor)
        except (HistoryChanged, Behind):
            continue


def read_from(store: RecordStore, cursor: Cursor) -> dict[int, Entry]:
    """All records behind a cursor by number."""
    found, more = dict[int, Entry](), True
    while more:
        chunk = store.read(cursor, 1000)
        entries = [one for some in chunk.entries for one in each(some)]
        assert cursor.number + len(entries) == chunk.cursor.number
        found.update(enumerate(entries, cursor.number + 1))
        cursor, more = chunk.cursor, chunk.more
    return found


def each(some: Entry | Singles) -> Iterator[Entry]:
    """The same records one by one."""
    if isinstance(some, Entry):
        yield some._replace(payload=bytes(some.payload))
        return
    fields = (some.rows[name].tolist() for name in ("id", "time", "value"))
    for position, *row in zip(some.positions.tolist(), *fields, strict=True):
        yield Entry(position, 0, SINGLE, 1, pack_single(*row))
