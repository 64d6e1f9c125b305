"""Each test of the contract on each kind of log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from event_log.base import EventLog
from tests.event_log.logs import LOGS, Kind


@pytest.fixture(params=LOGS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    """A kind of log."""
    kind = LOGS[request.param](tmp_path)
    yield kind
    kind.close()


@pytest.fixture
def log(kind: Kind) -> EventLog:
    """An empty log."""
    return kind.open()
