"""Each test of the contract on each kind of log."""

from __future__ import annotations

import pytest

from event_log.base import EventLog
from tests.event_log.logs import Kind


@pytest.fixture
def log(kind: Kind) -> EventLog:
    """An empty log."""
    return kind.open()
