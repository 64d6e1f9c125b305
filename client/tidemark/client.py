"""Tidemark: the client of one server, for sending and for asking."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from tidemark.answers import Event, Gap, Statistics
from tidemark.batches import SECOND
from tidemark.buffer import Sent
from tidemark.errors import Counts, NotAllowed, Refused
from tidemark.sender import Sender
from tidemark.streams import events as stream_of_events
from tidemark.streams import follow
from tidemark.transport import Query, Reply, Transport, in_path

Moment = datetime | str | float | int
"""A time: with a zone, as ISO-8601, or in seconds since the epoch, as `time.time()` gives it."""


class Tidemark:
    """Sends events to the server at `url` and asks it; safe for threads, and after a fork.

    `key` is the token of an access key. The buffer holds `capacity` events that are not yet known to be stored; when it
    is full, `send` waits for `wait_when_full` seconds (None: without end; 0: not at all) and then raises BufferFull.
    `on_error` is called in the background, with Refused for events that the server will never take, or NotAllowed while
    the key may not write; without it `flush` and `close` raise them.
    """

    def __init__(
        self,
        url: str = "http://localhost:5000",
        *,
        key: str | None = None,
        capacity: int = 100_000,
        wait_when_full: float | None = None,
        on_error: Callable[[Refused | NotAllowed], object] | None = None,
    ) -> None:
        def connect() -> Transport:
            return Transport(url, key)

        self._sender = Sender(connect, capacity, on_error)
        self._wait_when_full = wait_when_full

    def send(self, series: str, value: float, timestamp: Moment | None = None) -> None:
        """Put an event into the buffer, stamped with this machine's time unless a time is given. Raises BufferFull,
        Closed, and ValueError or TypeError for what is no finite number, name or time."""
        if type(value) is not float:
            value = _number(value)
        if not -_BEYOND < value < _BEYOND:
            raise ValueError(f"a value must be a finite number, not {value!r}")
        if not isinstance(series, str):
            raise TypeError(f"the name of a series must be a string, not {series!r}")
        when = time.time_ns() // 1000 if timestamp is None else _time(timestamp)
        self._sender.put(Sent(series, value, when), self._wait_when_full)

    def flush(self, timeout: float | None = None) -> Counts:
        """Return once everything sent before is known to be stored, or to have expired. Raises Refused for events that
        the server refused, NotAllowed while it denies the key, NotSent when the time ran out."""
        return self._sender.flush(timeout)

    def close(self, timeout: float | None = 10.0) -> None:
        """Flush, and take no more events; may be called again. Raises as `flush` does."""
        self._sender.close(timeout)

    @property
    def counts(self) -> Counts:
        """Return the numbers of the events sent so far, by what has become of them."""
        return self._sender.counts()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._sender.close_saying()  # what is raised already says more than what close would raise

    def statistics(
        self,
        series: str | None = None,
        *,
        window: str | float | None = None,
        last: int | None = None,
        at: str | None = None,
        include: Sequence[str] = (),
    ) -> Statistics:
        """Return the statistics of a series, or of all series together."""
        reply = self._get(_below("/statistics", series), window=window, last=last, at=at, include=include)
        return Statistics(reply.document, int(reply.headers.get("Log-Position", 0)))

    def history(
        self,
        series: str | None = None,
        *,
        window: str | float | None = None,
        step: str | float | None = None,
        at: str | None = None,
        include: Sequence[str] = (),
    ) -> list[Statistics]:
        """Return the events of a window laid out in steps, each with `start` and `end`, oldest first."""
        reply = self._get(_below("/history", series), window=window, step=step, at=at, include=include)
        position = int(reply.headers.get("Log-Position", 0))
        return [Statistics(point, position) for point in reply.document["points"]]

    def top(self, statistic: str = "count", *, window: str | float | None = None, limit: int = 10) -> list[Any]:
        """Return the series with the highest value of a statistic, each as `{"series", "statistics", ...}`."""
        include = [] if statistic in ("count", "min", "max", "mean") else [statistic]
        reply = self._get("/series", window=window, include=include, sort=f"-{statistic}", limit=limit)
        found: list[Any] = reply.document["series"]
        return found

    def alerts(self, *, state: str | None = None) -> list[Any]:
        """Return the alerts, each as `{"name", "series", "state", ...}`."""
        found: list[Any] = self._get("/alerts", state=state).document["alerts"]
        return found

    def events(self, series: str) -> Generator[Event | Gap, None, None]:
        """Yield each event of a series as it is accepted, without end; a Gap where some are no longer there."""
        return stream_of_events(self._sender.transport(), series)

    def watch(
        self, series: str | None = None, *, window: str | float | None = None, interval: str | float | None = None
    ) -> Generator[Statistics, None, None]:
        """Yield the statistics of a series, or of all, each interval, without end."""
        # A name, not a pattern of names.
        itself = None if series is None else _WILD.sub(r"[\g<0>]", series)
        query = _query(series=itself, window=window, interval=interval)
        for message in follow(self._sender.transport(), "/stream", query):
            if message.kind == "statistics":
                yield Statistics(message.data, int(message.id or 0))

    def _get(self, path: str, **parameters: object) -> Reply:
        return self._sender.transport().get(path, _query(**parameters))


_WILD = re.compile(r"[*?\[]")
_BEYOND = float("inf")
_TYPES = (int, float)


def _number(value: object) -> float:
    """Return a number of Python, or one that can say which it is, as a double."""
    if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__"):
        raise TypeError(f"a value must be a number, not {value!r}")
    try:
        return float(value)
    except OverflowError as fault:
        raise ValueError("a value must be a finite double") from fault


def _time(moment: object) -> int | str:
    """Return a time as microseconds since the epoch, or as the text that it is."""
    if isinstance(moment, str):
        return moment
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError("a datetime needs a zone, such as datetime.now(UTC)")
        return moment.isoformat()
    if isinstance(moment, bool) or not isinstance(moment, _TYPES) or not abs(moment) <= _LATEST:
        raise ValueError(f"a timestamp must be a datetime, ISO-8601 text or seconds since the epoch, not {moment!r}")
    return round(moment * SECOND)


_LATEST = 62_000_000_000
"""Seconds, to about the year 3934; a larger number is more likely milliseconds, and is refused."""


def _below(path: str, series: str | None) -> str:
    return path if series is None else path + in_path(series)


def _query(**parameters: object) -> Query:
    pairs = []
    for name, value in parameters.items():
        if isinstance(value, (list, tuple)):
            value = ",".join(value) or None
        if value is not None:
            pairs.append((name, str(value)))
    return pairs
