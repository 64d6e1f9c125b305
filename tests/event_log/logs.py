"""What the tests of the logs share: the table of all kinds of log, and requests in short."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from event_log import redis_session
from event_log.base import EventLog, KeptSince, Terms
from event_log.batch import Batch
from event_log.lmdb_log import LmdbLog
from event_log.memory import MemoryLog
from event_log.memory_changes import RECENT_CHANGES
from event_log.redis.url import parse_redis_url
from event_log.redis_log import RedisLog
from event_log.writes import PLAIN
from tests.redis_server import shared
from times import SECOND

MIB = 1024**2
START = 1_750_948_200 * SECOND
Row = tuple[str, int, float]
"""Series, time and value of one event."""


class Kind(ABC):
    """A kind of log, for one test."""

    @abstractmethod
    def open(self, *, max_series: int = 10_000) -> EventLog:
        """An empty log."""

    @abstractmethod
    def sibling(self, log: EventLog) -> EventLog:
        """A log made by `open` as another process has it."""

    @abstractmethod
    def close(self) -> None:
        """Close all that were opened."""


class MemoryKind(Kind):
    """MemoryLog, of which a process has but one."""

    def __init__(self, folder: Path, recent_changes: int = RECENT_CHANGES) -> None:
        del folder
        self._recent_changes = recent_changes

    def open(self, *, max_series: int = 10_000) -> EventLog:
        return MemoryLog(max_series, recent_changes=self._recent_changes)

    def sibling(self, log: EventLog) -> EventLog:
        return log

    def close(self) -> None:
        return


class RedisKind(Kind):
    """RedisLog, on a server that all tests of a process share."""

    def __init__(self, folder: Path) -> None:
        del folder
        self._opened: list[RedisLog] = []

    def open(self, *, max_series: int = 10_000) -> RedisLog:
        return self.at(shared().url(f"name={secrets.token_hex(8)}"), max_series)

    def sibling(self, log: EventLog) -> RedisLog:
        assert isinstance(log, RedisLog)
        return self.at(shared().url(f"name={log.url.name}"), log.max_series)

    def at(self, url: str, max_series: int = 10_000) -> RedisLog:
        """A log with connections of its own."""
        self._opened.append(RedisLog(parse_redis_url(url), max_bytes=32 * MIB, max_series=max_series))
        return self._opened[-1]

    def close(self) -> None:
        for log in self._opened:
            log.close()


class FarRedisKind(RedisKind):
    """The same where Redis is so far away that several trips at a time are worth while."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._patch = patch.object(redis_session, "FAR", 0.0)
        self._patch.start()

    def close(self) -> None:
        super().close()
        self._patch.stop()


class SettlingLog(LmdbLog):
    """Carries out at once what others leave to the next `sync`: cleaning, and settling."""

    def clean(self, horizon: int, kept_since: KeptSince, position: int) -> bool:
        self._settle_all()
        more = super().clean(horizon, kept_since, position)
        self._settle_all()
        return more


class RestlessLog(SettlingLog):
    """Settles each write."""

    def append(self, batch: Batch, terms: Terms = PLAIN) -> int:
        try:
            return super().append(batch, terms)
        finally:
            self._settle_all()


class LmdbKind(Kind):
    """LmdbLog; another process has a registry of its own over the files, which a process opens only once."""

    def __init__(self, folder: Path, log: type[LmdbLog] = SettlingLog) -> None:
        self._folder = folder
        self._log = log
        self._logs: list[LmdbLog] = []

    def open(self, *, max_series: int = 10_000) -> EventLog:
        folder = self._folder / str(len(self._logs))
        log = self._log(folder, max_bytes=32 * MIB, sync="never", max_series=max_series)
        self._logs.append(log)
        return log

    def sibling(self, log: EventLog) -> EventLog:
        assert isinstance(log, LmdbLog)
        return sibling(log)

    def close(self) -> None:
        for log in self._logs:
            log.close()


def open_lmdb(path: Path, **options: Any) -> LmdbLog:
    """A log of 32 MiB unless `options` say otherwise."""
    return LmdbLog(path, **{"max_bytes": 32 * MIB, "sync": "never", **options})


def sibling(log: LmdbLog) -> LmdbLog:
    """The log as another process has it."""
    other = type(log)(Path("unused"), max_bytes=0)
    other._process = log._process
    other._registry._max_series = log._registry._max_series
    return other


LOGS: dict[str, Callable[[Path], Kind]] = {
    "memory": MemoryKind,
    "forgetful memory": partial(MemoryKind, recent_changes=1),
    "lmdb": LmdbKind,
    "restless lmdb": partial(LmdbKind, log=RestlessLog),
    "redis": RedisKind,
    "far redis": FarRedisKind,
}
"""All kinds of log by name; each is given an empty folder. Every test of the contract runs on each of them."""


def batch(rows: Sequence[Row]) -> Batch:
    """These events as one request."""
    names = list(dict.fromkeys(name for name, _, _ in rows))
    indexes = np.array([names.index(name) for name, _, _ in rows], np.uint32)
    times = np.array([time for _, time, _ in rows], np.int64)
    values = np.array([value for _, _, value in rows], np.float64)
    return Batch(names, indexes if len(names) > 1 else None, times, values)


def ids(log: EventLog) -> dict[str, int]:
    """The living series by name."""
    return {series.name: number for number, series in log.series.items() if not series.ended}
