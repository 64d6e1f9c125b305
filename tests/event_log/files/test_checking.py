"""The check of the files finds what is wrong with them, and nothing where all is well."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from event_log.codec import END, WRITE
from event_log.files.layout import RECORDS
from event_log.files.store import FilesStore
from event_log.port import Record
from tests.event_log.files.checking import faults
from tests.event_log.files.logs import add, open_files, read_all, single


@pytest.fixture
def store(tmp_path: Path) -> FilesStore:
    store = open_files(tmp_path / "log")
    for value in range(3000):
        add(store, single(float(value)))
    add(store, Record(END, b"end", 1, fences=True))
    add(store, Record(WRITE, b"horizon", timed=True, raises=(10**12, 5)))
    name = store.put_blob(b"blob")
    assert store.swap(store.manifest()._replace(generation=1, blobs=(name,)))
    return store


def checked(store: FilesStore) -> list[str]:
    assert store.files is not None
    return faults(store.files)


def test_a_sound_log_has_no_faults(store: FilesStore) -> None:
    assert checked(store) == []
    store.close()


@pytest.mark.parametrize(
    ("file", "start", "fault"),
    [
        ("segments/00000000000000000000.log", RECORDS + 5000, "does not go on"),
        ("segments/00000000000000000000.log", 0, "does not match its checksum"),
        ("blobs/manifest", 0, "does not match its checksum"),
    ],
)
def test_damage_is_found(store: FilesStore, tmp_path: Path, file: str, start: int, fault: str) -> None:
    with (tmp_path / "log" / file).open("r+b") as opened:
        opened.seek(start)
        opened.write(b"\xff" * 1000)
    assert any(fault in each for each in checked(store))
    store.close()


def test_a_head_that_is_ahead_of_the_records_is_found(store: FilesStore) -> None:
    files = store.files
    assert files is not None
    tail = files.head.tail()[1]
    files.head.publish_tail(tail._replace(number=tail.number + 1))
    assert "the head says number 3003, the records 3002" in checked(store)
    files.head.publish_tail(tail)
    store.close()


def test_zeros_take_the_room_where_the_system_cannot(tmp_path: Path) -> None:
    with patch.dict(vars(os)):
        del os.posix_fallocate
        store = open_files(tmp_path / "log")
        add(store, single(1.0))
        assert (tmp_path / "log" / "segments" / f"{0:020}.log").stat().st_blocks >= 64 * 1024 // 512
        assert len(read_all(store)) == 1
        store.close()
