"""Clients that ask at random, and record what they asked and what they were told."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import count
from threading import Event as Flag
from threading import Lock, Thread

from tests.history.http import Http, over_websocket, server_sent
from tests.history.recording import Attempt, Connection, Delete, Event, History, Operation, Question, Read, Write
from times import HOUR, SECOND, format_timestamp, wall_clock

SERIES = ("a", "b/c", "température")
BRIEF = ("brief-1", "brief-2")
LONGEST_RETRY_SECONDS = 60
FINISH_SECONDS = 120.0
LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 0.05, 2.0
"""Between requests that are not answered: while nobody is there, few of unknown outcome are to come about."""


class Count:
    """Definite answers so far; all clients stop when there are enough."""

    def __init__(self, enough: int) -> None:
        self.enough = enough
        self._numbers, self._lock = 0, Lock()
        self._reached: list[tuple[int, Flag]] = []

    def add(self) -> None:
        """Count one."""
        with self._lock:
            self._numbers += 1
            for number, flag in self._reached:
                if self._numbers >= number:
                    flag.set()

    @property
    def is_enough(self) -> bool:
        """Return whether to stop."""
        return self._numbers >= self.enough

    def at(self, number: int) -> Flag:
        """Return a flag that is set once this number is reached."""
        with self._lock:
            self._reached.append((number, flag := Flag()))
            if self._numbers >= number:
                flag.set()
        return flag


class Client(Thread):
    """One client, with a generator of random numbers of its own."""

    def __init__(
        self, name: str, seed: str, choose_port: Callable[[random.Random], int], counted: Count, brief: Sequence[str]
    ) -> None:
        super().__init__(daemon=True, name=name)
        self.operations: list[Operation] = []
        self._rng = random.Random(seed)
        self._http = Http(lambda: choose_port(self._rng))
        self._counted = counted
        self._brief = brief
        self._keys = count(1)
        self._pause_seconds = LEAST_PAUSE_SECONDS

    def run(self) -> None:
        while not self._counted.is_enough:
            ways = (self._post, self._post_with_key, self._delete_series, self._ask)
            self._rng.choices(ways, (30, 20, 2 if self._brief else 0, 48))[0]()
        self.close()

    def close(self) -> None:
        """Leave."""
        self._http.close()

    def post(self, events: list[Event], key: str | None = None) -> Write:
        """Post events; under a key again and again until it is known what became of them, or they grow old."""
        write = Write(self.name, [], events, key)
        self.operations.append(write)
        path, body = self._body(events)
        headers = {"Idempotency-Key": key} if key else {}
        while not write.attempts or (key and write.answer is None and not self._grows_old(write)):
            self._attempt(write, lambda: self._http.request("POST", path, body, headers))
        return write

    def _post(self) -> None:
        self.post(self._events())

    def _post_with_key(self) -> None:
        key = f"{self.name}-{next(self._keys)}"
        write = self.post(self._events(), key)
        if write.answer is not None and self._rng.random() < 0.2:
            path, body = self._body(write.events)
            self._attempt(write, lambda: self._http.request("POST", path, body, {"Idempotency-Key": key}))
        if write.answer is not None and self._rng.random() < 0.1:
            clash = Write(self.name, [], [self._event("a")], key, clash=True)
            self.operations.append(clash)
            path, body = self._body(clash.events)
            self._attempt(clash, lambda: self._http.request("POST", path, body, {"Idempotency-Key": key}))

    def _delete_series(self) -> None:
        delete = Delete(self.name, [], self._rng.choice(self._brief))
        self.operations.append(delete)
        self._attempt(delete, lambda: self._http.request("DELETE", f"/series/{delete.series}"))

    def _ask(self) -> None:
        read = Read(self.name, [], random_question(self._rng, self._brief))
        self.operations.append(read)
        self._attempt(read, lambda: self._http.request("GET", read.question.path))

    def _attempt(self, operation: Operation, ask: Callable[[], Attempt]) -> None:
        operation.attempts.append(attempt := ask())
        if attempt.is_definite:
            self._counted.add()
            self._pause_seconds = LEAST_PAUSE_SECONDS
        else:
            Flag().wait(self._pause_seconds * self._rng.random())
            self._pause_seconds = min(2 * self._pause_seconds, MOST_PAUSE_SECONDS)

    def _grows_old(self, write: Write) -> bool:
        return wall_clock() - write.first.wall_began > LONGEST_RETRY_SECONDS * SECOND

    def _events(self) -> list[Event]:
        """Return one event, or several of one series or of several."""
        if self._brief and self._rng.random() < 0.1:
            series = [self._rng.choice(self._brief)]
        else:
            series = list(self._rng.choices(SERIES, k=self._rng.choice((1, 1, 1, 3))))
        number = 1 if self._rng.random() < 0.5 else self._rng.randrange(1, 12)
        stamped = series[0] not in self._brief and self._rng.random() < 0.3
        series = series[:1] if stamped else series  # only columns, of one series, may leave out their times
        return [self._event(self._rng.choice(series), stamped=stamped) for _ in range(number)]

    def _event(self, series: str, *, stamped: bool = False) -> Event:
        """Return an event of now or a little before or after, often of the same time as others; a few have expired."""
        value = self._rng.choice((-1, 1)) * self._rng.random() * 10.0 ** self._rng.randrange(-9, 13)
        if stamped:
            return Event(series, None, value)
        expired = self._rng.random() < 0.02
        moment = wall_clock() - self._rng.randrange(-SECOND, 3 * SECOND) - (2 * HOUR if expired else 0)
        return Event(series, moment // 1000 * 1000 if self._rng.random() < 0.5 else moment, value, expired)

    def _body(self, events: list[Event]) -> tuple[str, object]:
        """Return where to post them, and in which of the forms that fit."""
        objects = [
            {"series": event.series, "value": event.value}
            | ({} if event.time is None else {"timestamp": format_timestamp(event.time)})
            for event in events
        ]
        if len(events) == 1 and events[0].time is not None:
            return "/event", objects[0]
        if len({event.series for event in events}) == 1:
            times = [format_timestamp(event.time) for event in events if event.time is not None]
            columns = {"series": events[0].series, "values": [event.value for event in events]}
            return "/events", columns | ({"timestamps": times} if times else {})
        return "/events", objects


def random_question(rng: random.Random, brief: Sequence[str]) -> Question:
    """Return any question."""
    kind = rng.choices(("statistics", "history", "events", "series"), (70, 8, 17, 5))[0]
    series: str | None = rng.choice((*SERIES, *SERIES, *brief))
    if kind == "series":
        return Question(kind)
    if kind == "events":
        return Question(kind, series, last=rng.choice((1, 10, 1000)))
    series = None if rng.random() < 0.1 else series
    include = tuple(rng.sample(("variance", "stddev", "first", "last", "median", "p90", "p99"), rng.randrange(4)))
    window = rng.choice((SECOND // 2, SECOND, 3 * SECOND))
    past = wall_clock() - rng.randrange(3 * SECOND)
    if kind == "history":
        return Question(kind, series, window, at=past, step=rng.choice((SECOND // 10, SECOND)), include=include)
    last, at = rng.choice(((None, None), (None, past), (7, None), (7, past)))
    whole = rng.random() < 0.5
    if whole:
        return Question(kind, series, last=rng.choice((1, 50, 10**8)), include=("sum", *include))
    return Question(kind, series, window, last, at, include=("sum", *include))


class Reader(Thread):
    """Follows the stream of a series, and comes back where it broke off, wherever it is answered."""

    def __init__(self, name: str, series: str, choose_port: Callable[[], int], *, resumes: bool = True) -> None:
        super().__init__(daemon=True, name=name)
        self.series = series
        self.connections: list[Connection] = []
        self._choose_port = choose_port
        self._resumes = resumes
        self._follow = over_websocket if name.startswith("socket") else server_sent
        self.last: int | None = None
        """The position at which to stop, once it is known."""

    def run(self) -> None:
        told = 0
        while not self._is_done(told):
            self.connections.append(connection := Connection(self.name, self.series, told if self._resumes else 0))
            for message in self._follow(self._choose_port(), connection):
                connection.messages.append(message)
                if self._is_done(connection.told):
                    return
            if connection.told == told:
                Flag().wait(0.1)
            told = connection.told

    def finish(self) -> list[Connection]:
        """Return all connections once the stream has told what stands at `last`. It must come to that."""
        self.join(FINISH_SECONDS)
        assert not self.is_alive(), f"{self.name} of {self.series} never told {self.last}"
        return self.connections

    def _is_done(self, told: int) -> bool:
        return self.last is not None and told >= self.last


def finish(history: History, clients: Sequence[Client], readers: Sequence[Reader], port: int) -> None:
    """End clients and streams when all is quiet, and read every series from its beginning."""
    for client in clients:
        client.join()
        history.operations += client.operations
    ending = Client("end", "end", lambda _: port, Count(0), ())
    for series in (*SERIES, *sorted(history.brief)):
        followers = [reader for reader in readers if reader.series == series]
        for reader in followers:
            reader.last = _last_write(ending, series)
        last = _last_write(ending, series)  # so that a stream that had told the other already tells one more
        for reader in followers:
            history.connections += reader.finish()
        history.final += whole_stream(series, port, last)
    history.operations += ending.operations
    ending.close()


def _last_write(client: Client, series: str) -> int:
    """Post one event under a key; its position."""
    write = client.post([Event(series, wall_clock(), random.random())], f"end-{len(client.operations)}")
    assert write.answer is not None, f"no answer at the end: {write}"
    assert write.answer.status == 201, write
    return write.answer.position or 0


def whole_stream(series: str, port: int, last: int) -> list[Connection]:
    """Return one connection that tells a series from its beginning up to a position."""
    reader = Reader("all of it", series, lambda: port, resumes=False)
    reader.last = last
    reader.start()
    return reader.finish()[-1:]
