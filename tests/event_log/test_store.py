"""What an open log says of itself."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from event_log.errors import LogUnavailable
from tests.event_log.logs import START, open_lmdb


def test_people_are_told_when_settling_is_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_lmdb(tmp_path, sync="everysec")
    log.append_one("a", START, 1.0)
    assert log.notice() is None
    clock = SimpleNamespace(monotonic_ns=lambda: time.monotonic_ns() + 6 * 10**9)
    monkeypatch.setattr("event_log.store.time", clock)
    assert "what came in the last 6 seconds is not yet safe from a power cut" in (log.notice() or "")
    assert 6.0 <= (log.usage().settled or 0) < 7
    log.sync()
    assert log.notice() is None
    log.close()


def test_a_fault_of_settling_is_over_once_another_process_has_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_lmdb(tmp_path, sync="everysec")
    log.append_one("a", START, 1.0)
    clock = SimpleNamespace(monotonic_ns=lambda: time.monotonic_ns() + 10**9)
    monkeypatch.setattr("event_log.store.time", clock)
    store = log._process.get()
    store.settled.fault = "the disk is full"
    for _ in range(2):
        with pytest.raises(LogUnavailable, match="the disk is full"):
            log.check()
    store.settling.run(None, wait=True)  # as another process would: this one's fault stays
    for _ in range(2):
        log.check()
    log.close()
