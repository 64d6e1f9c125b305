"""Seconds that the tests of the log wait for a Redis that answers late because others keep the machine busy."""

from __future__ import annotations

import pytest

from event_log.redis import appending, connection, session

PATIENT_SECONDS = 60.0


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no answer given up, and no copy of a replica, that only comes late."""
    for module in (connection, session):
        monkeypatch.setattr(module, "PATIENCE", PATIENT_SECONDS)
    monkeypatch.setattr(appending, "UNCERTAIN", PATIENT_SECONDS)
    monkeypatch.setattr(appending, "COPY_MILLISECONDS", 1000 * round(PATIENT_SECONDS / 2))


@pytest.fixture
def impatient(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have answers that do not come given up after a second, as in production, over connections that are opened now."""
    monkeypatch.setattr(connection, "PATIENCE", 1.0)


@pytest.fixture
def lonely(patience: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stores that are opened now wait shortly for replicas, which do not come."""
    monkeypatch.setattr(appending, "COPY_MILLISECONDS", 50)
