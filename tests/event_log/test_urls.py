"""LOG_URL: what may stand there, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_log.lmdb_log import LmdbLog
from event_log.memory import MemoryLog
from event_log.urls import checked_url, open_log, serves_many_processes
from settings import Settings


@pytest.mark.parametrize(
    ("url", "kind", "many"), [("memory:", MemoryLog, False), ("lmdb:log", LmdbLog, True), ("lmdb:a:b", LmdbLog, True)]
)
def test_a_url_names_a_log(url: str, kind: type, many: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert checked_url(url) == url
    assert serves_many_processes(url) is many
    log = open_log(Settings(log_url=url))
    assert isinstance(log, kind)
    log.close()


@pytest.mark.parametrize("url", ["", "memory", "memory:x", "lmdb", "lmdb:", "/var/lib/tidemark", "http://somewhere"])
def test_what_names_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write memory: or lmdb: and a path"):
        checked_url(url)
