"""Mutation tests of the comparison of our loop with gunicorn's: it finds each of these wrong loops."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import serving.worker
from api.fast_path import Way
from serving.connection import Connection
from serving.worker import Worker
from tests.servers import Server
from tests.serving.wire import ENOUGH, SETTINGS, first_difference

pytestmark = pytest.mark.no_cover


class Wrong(Worker):
    """A worker whose connections are those of `loop`."""

    loop = Connection

    def init_process(self) -> None:
        """In the worker's process, so in nobody else's."""
        vars(serving.worker)["Connection"] = self.loop
        super().init_process()


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


class LengthWorker(Wrong):
    loop = TheLengthThatThereIs


class BodyWorker(Wrong):
    loop = ABodyNotPutBack


class RestWorker(Wrong):
    loop = NothingIsLeft


class LastWorker(Wrong):
    loop = NeverLast


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """gunicorn's own worker, and Flask alone."""
    with Server(["-w", "1", "-k", "gevent"], SETTINGS, "tests.still:flask_alone") as server:
        yield server


@pytest.mark.parametrize("wrong", [LengthWorker, BodyWorker, RestWorker, LastWorker])
def test_a_wrong_loop_is_found(plain: Server, wrong: type[Worker]) -> None:
    args = ["-w", "1", "-k", f"{wrong.__module__}.{wrong.__name__}"]
    with Server(args, SETTINGS, "tests.still:app") as server:
        assert first_difference(server, plain, ENOUGH)
