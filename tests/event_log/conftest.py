"""One log for each test, closed at its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from event_log.lmdb_log import LmdbLog
from tests.event_log.logs import open_lmdb


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LmdbLog]:
    """An empty log on LMDB."""
    log = open_lmdb(tmp_path / "log")
    yield log
    log.close()
