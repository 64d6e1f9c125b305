"""The connections of a process to Redis: who asks makes the trip, and no other thread has to be woken for it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from event_log.redis.connection import PATIENCE, Command, Packed, Reply, pack
from event_log.redis.faults import unavailable
from event_log.redis.session import Session
from event_log.redis.url import RedisUrl

MOST = 3
"""Connections; more who ask at once wait."""


T = TypeVar("T")


class Pool:
    """Opens its connections at first use in each process, and again after a fault."""

    def __init__(self, url: RedisUrl) -> None:
        self.url = url
        self._mutex = threading.Lock()
        self._pid = 0
        self._idle = deque[Session]()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend an open connection that nobody else uses. It is closed where the work with it raises anything, also in a
        greenlet that is killed: answers may be left unread. Raises LogUnavailable where none can be opened."""
        if self._pid != os.getpid():
            self._begin()
        with self._turns:
            session = self._take()
            try:
                yield session
            except BaseException:
                session.close()
                raise
            self._idle.append(session)

    def look(self, packed: Packed) -> list[Reply]:
        """Return the answers to commands that only read, or may be done twice. Raises LogUnavailable; also for the
        first answer that is an error."""
        return self.twice(lambda session: session.read(packed))

    def twice(self, work: Callable[[Session], T]) -> T:
        """Do what may be done twice; again where the connection broke, most often since long. Raises LogUnavailable."""
        with suppress(OSError), self.session() as session:
            return work(session)
        try:
            with self.session() as session:
                return work(session)
        except OSError as fault:
            raise unavailable(str(self.url), fault) from fault

    def ask(self, *commands: Command) -> list[Reply]:
        """The same for commands that are yet to be packed."""
        return self.look(pack(*commands))

    def close(self) -> None:
        """Let go of the connections, which the next who asks would open again."""
        if self._pid == os.getpid():
            taken = [self._turns.acquire(timeout=PATIENCE) for _ in range(MOST)]
            self._let_go()
            for _ in filter(None, taken):
                self._turns.release()

    def _take(self) -> Session:
        with suppress(IndexError):
            return self._idle.pop()
        return Session(self.url)

    def _let_go(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _begin(self) -> None:
        """Have locks made in this process. What a fork has left of the parent's is let go unused."""
        with self._mutex:
            if self._pid != os.getpid():
                self._let_go()
                self._turns = threading.Semaphore(MOST)
                self._pid = os.getpid()
