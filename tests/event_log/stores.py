"""The table of all stores, for the tests of what each of them promises."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from event_log.files.store import FilesStore
from event_log.log_time import Moment
from event_log.memory_store import MemoryStore
from event_log.port import RecordStore
from event_log.redis.store import RedisStore
from event_log.redis.url import parse_redis_url
from tests.redis_server import shared
from times import SECOND

WALL = 1_750_948_200 * SECOND


@dataclass
class Clocks:
    """A wall clock and a boot clock that only a test moves. Call it for a reading of both."""

    wall: int = WALL
    boot: int = 1000 * SECOND
    passed: Callable[[int], None] = lambda microseconds: None
    """Told whenever time passes."""

    def __call__(self) -> Moment:
        return Moment(self.wall, self.boot)

    def advance(self, microseconds: int) -> None:
        self.wall += microseconds
        self.boot += microseconds
        self.passed(microseconds)


class StoreKind(ABC):
    """A kind of store, for one test."""

    has_own_clock = False
    """True if it has a clock for all hosts, which it trusts, and which a test stands in for."""

    def __init__(self, folder: Path, clocks: Clocks) -> None:
        self.folder = folder
        self.clocks = clocks

    @abstractmethod
    def open(self) -> RecordStore:
        """An empty one."""

    @abstractmethod
    def sibling(self, store: RecordStore) -> RecordStore:
        """The same one, as another process has it."""

    @abstractmethod
    def close(self) -> None:
        """Close all that were opened."""


class MemoryStoreKind(StoreKind):
    """MemoryStore, which a process shares with nobody."""

    def open(self) -> RecordStore:
        return MemoryStore(self.clocks)

    def sibling(self, store: RecordStore) -> RecordStore:
        return store

    def close(self) -> None:
        return


class FilesStoreKind(StoreKind):
    """FilesStore, opened once more in this process: its locks exclude each other as those of two processes do."""

    def __init__(self, folder: Path, clocks: Clocks) -> None:
        super().__init__(folder, clocks)
        self._opened: list[FilesStore] = []

    def open(self) -> RecordStore:
        self._opened.append(FilesStore(self.folder / "log", max_bytes=64 * 1024**2, clock=self.clocks))
        return self._opened[-1]

    def sibling(self, store: RecordStore) -> RecordStore:
        return self.open()

    def close(self) -> None:
        for store in self._opened:
            store.close()


class RedisStoreKind(StoreKind):
    """RedisStore, on a server that all tests of a process share."""

    has_own_clock = True

    def __init__(self, folder: Path, clocks: Clocks) -> None:
        super().__init__(folder, clocks)
        self._opened: list[RedisStore] = []
        self._name = secrets.token_hex(8)
        clocks.passed = self._forget

    def open(self) -> RedisStore:
        url = parse_redis_url(shared().url(f"name={self._name}"))
        self._opened.append(RedisStore(url, max_bytes=2**30, clock=self.clocks))
        return self._opened[-1]

    def sibling(self, store: RecordStore) -> RedisStore:
        return self.open()

    def close(self) -> None:
        for store in self._opened:
            store.close()

    def _forget(self, microseconds: int) -> None:
        """Let the server forget what it would by then."""
        with shared().client() as client:
            for key in client.scan_iter(f"{{{self._name}}}:log:blob*"):
                left = client.pttl(key)
                if left >= 0:
                    client.pexpire(key, max(0, left - microseconds // 1000))


STORES: dict[str, Callable[[Path, Clocks], StoreKind]] = {
    "memory": MemoryStoreKind,
    "files": FilesStoreKind,
    "redis": RedisStoreKind,
}
"""Every kind by name; each is given an empty folder. The tests of the port run on each of them."""
