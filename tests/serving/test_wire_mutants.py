"""Mutation tests of the comparison of our loop with gunicorn's: it finds each of these wrong loops."""

from __future__ import annotations

from functools import partial

import pytest
from flask import Flask

from api.fast_path import Way
from app import create_app
from event_log.memory_store import MemoryStore
from serving.connection import Connection
from settings import Settings
from tests.api.generated import MAX_BATCH, MAX_BODY
from tests.conftest import FakeClock
from tests.serving.in_process import serving
from tests.serving.wire import ENOUGH, first_difference, of_worker

SETTINGS = Settings(
    log_url="memory:", max_body=MAX_BODY, max_batch=MAX_BATCH, max_series=14, max_symbols=3
)  # as of the servers
FEW = 40
"""Number of connections by which the right loop is shown to differ in nothing from itself."""


class TheLengthThatThereIs(Connection):
    """Takes for a body what has come of it."""

    def _receive_body(self, whole: int) -> bool:
        super()._receive_body(whole)
        return True


class ABodyNotPutBack(Connection):
    """Hands on a request that the fast path has declined, without its body."""

    def _by_fast_path(self, way: Way, end: int) -> bool | None:
        follows = super()._by_fast_path(way, end)
        if follows is None:
            self._data = self._data[:end]
        return follows


class NothingIsLeft(Connection):
    """Forgets what came behind a request."""

    def _by_fast_path(self, way: Way, end: int) -> bool | None:
        follows = super()._by_fast_path(way, end)
        if follows is not None:
            self._data = b""
        return follows


class NeverLast(Connection):
    """Goes on behind an answer that was to be the last."""

    def _by_fast_path(self, way: Way, end: int) -> bool | None:
        return super()._by_fast_path(way._replace(closes=False), end)


def difference(monkeypatch: pytest.MonkeyPatch, loop: type[Connection], connections: int) -> str:
    """Return what first differs between the right loop and this one."""
    with serving(fresh()) as right, serving(fresh()) as other:

        def by_other(pieces: list[bytes]) -> bytes | None:
            with monkeypatch.context() as patch:
                patch.setattr("serving.worker.Connection", loop)
                return of_worker(other, pieces)

        return first_difference(by_other, partial(of_worker, right), connections)


def fresh() -> Flask:
    clock = FakeClock()
    return create_app(SETTINGS, clock=clock, store=MemoryStore(clock.moment))


def test_the_right_loop_is_not_found_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert difference(monkeypatch, Connection, FEW) == ""


@pytest.mark.parametrize("loop", [TheLengthThatThereIs, ABodyNotPutBack, NothingIsLeft, NeverLast])
def test_a_wrong_loop_is_found(monkeypatch: pytest.MonkeyPatch, loop: type[Connection]) -> None:
    assert difference(monkeypatch, loop, ENOUGH)
