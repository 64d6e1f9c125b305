"""LOG_URL: what may stand there, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_log.files.store import FilesStore
from event_log.memory_store import MemoryStore
from event_log.urls import checked_url, open_store, serves_many_processes


@pytest.mark.parametrize(
    ("url", "kind", "many"),
    [("memory:", MemoryStore, False), ("file:log", FilesStore, True), ("file:a:b", FilesStore, True)],
)
def test_a_url_names_a_store(url: str, kind: type, many: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert checked_url(url) == url
    assert serves_many_processes(url) is many
    store = open_store(url, max_bytes=2**30, sync="everysec")
    assert isinstance(store, kind)
    store.close()
    assert list(tmp_path.iterdir()) == []  # nothing is opened before its first use


@pytest.mark.parametrize("url", ["", "memory", "memory:x", "file", "file:", "/var/lib/tidemark", "http://somewhere"])
def test_what_names_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write memory: or file: and a path"):
        checked_url(url)


def test_a_log_on_lmdb_is_refused_with_the_way_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"write file: and the path of another folder.*leave the old folder as it is"):
        checked_url(f"lmdb:{tmp_path}")
    assert list(tmp_path.iterdir()) == []
