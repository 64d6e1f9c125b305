"""What the tests of the logs share: opening them, a second view of the same log, reading all there is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from event_log.base import Batch, EventLog
from event_log.lmdb_log import LmdbLog
from times import SECOND

MIB = 1024**2
START = 1_750_948_200 * SECOND
Row = tuple[str, int, float]
"""Series, time and value of one event."""


def open_lmdb(path: Path, **options: Any) -> LmdbLog:
    """A log of 32 MiB unless `options` say otherwise."""
    return LmdbLog(path, **{"max_bytes": 32 * MIB, "sync": "never", **options})


def sibling(log: LmdbLog, kind: type[LmdbLog] = LmdbLog) -> LmdbLog:
    """The log as another process has it: a registry of its own over the environment, which LMDB lets a
    process open only once."""
    other = kind(Path("unused"), max_bytes=0)
    other._process = log._process
    other._registry._max_series = log._registry._max_series
    other._registry._max_symbols = log._registry._max_symbols
    return other


def batch(rows: Sequence[Row]) -> Batch:
    """These events as one request."""
    names = list(dict.fromkeys(name for name, _, _ in rows))
    which = np.array([names.index(name) for name, _, _ in rows], np.uint32)
    times = np.array([time for _, time, _ in rows], np.int64)
    values = np.array([value for _, _, value in rows], np.float64)
    return Batch(names, which if len(names) > 1 else None, times, values)


def rows_behind(log: EventLog, after: int = 0, limit: int = 1_000_000) -> list[tuple[int, Row]]:
    """All events behind a position, each with its own, read in portions of about `limit`."""
    found: list[tuple[int, Row]] = []
    while True:
        events = log.read(after, limit)
        names = [log.series[number].name for number in events.ids.tolist()]
        rows = zip(names, events.times.tolist(), events.values.tolist(), strict=True)
        found.extend(zip(events.positions.tolist(), rows, strict=True))
        if events.position == after or not len(events):
            return found
        after = events.position
