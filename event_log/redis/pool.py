"""The connections of a process to Redis: who asks makes the trip, and no other thread has to be woken for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from redis.exceptions import RedisError

from event_log.redis.connection import PATIENCE, Command, Packed, Reply, pack
from event_log.redis.faults import unavailable
from event_log.redis.session import ROLE, Session, not_master
from event_log.redis.url import RedisUrl

MOST = 3
"""Connections; more who ask at once wait."""


T = TypeVar("T")


class _Line:
    """A connection, once it was needed."""

    __slots__ = ("session", "turn")

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.session: Session | None = None

    def let_go(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()


class Pool:
    """Opens its connections at first use in each process, and again after a fault."""

    def __init__(self, url: RedisUrl) -> None:
        self.url = url
        self.is_far = False
        """As of the last connection that was opened."""
        self._mutex = threading.Lock()
        self._pid = 0
        self._lines: tuple[_Line, ...] = ()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend an open connection that nobody else uses. It is closed where the work with it raises anything, also in a
        greenlet that is killed: answers may be left unread. Raises LogUnavailable where none can be opened."""
        line = self._free()
        try:
            if line.session is None:
                line.session = Session(self.url)
                self.is_far = line.session.is_far
            yield line.session
        except BaseException:
            line.let_go()
            raise
        finally:
            line.turn.release()

    def look(self, packed: Packed) -> list[Reply]:
        """Return the answers to commands that only read, or may be done twice. Raises LogUnavailable; also for the
        first answer that is an error."""
        return self.twice(lambda session: self._look(session, packed))

    def twice(self, work: Callable[[Session], T]) -> T:
        """Do what may be done twice; again where the connection broke, most often since long. Raises LogUnavailable."""
        with suppress(RedisError, OSError), self.session() as session:
            return work(session)
        try:
            with self.session() as session:
                return work(session)
        except (RedisError, OSError) as fault:
            raise unavailable(str(self.url), fault) from fault

    def ask(self, *commands: Command) -> list[Reply]:
        """The same for commands that are yet to be packed."""
        return self.look(pack(*commands))

    def close(self) -> None:
        """Let go of the connections, which the next who asks would open again."""
        if self._pid == os.getpid():
            for line in self._lines:
                if line.turn.acquire(timeout=PATIENCE):
                    line.let_go()
                    line.turn.release()

    def _look(self, session: Session, packed: Packed) -> list[Reply]:
        role, *replies = session.trip(ROLE + packed)
        if (fault := not_master(str(self.url), role)) is not None:
            raise fault
        for reply in replies:
            if isinstance(reply, Exception):
                raise unavailable(str(self.url), reply)
        return replies

    def _free(self) -> _Line:
        """One that nobody else uses, taken."""
        if self._pid != os.getpid():
            self._begin()
        lines = self._lines
        line = next((one for one in lines if one.turn.acquire(blocking=False)), None)
        if line is None:
            line = lines[-1]
            line.turn.acquire()
        return line

    def _begin(self) -> None:
        """Have lines in this process, with locks made in it. What a fork has left of the parent's is let go unused."""
        with self._mutex:
            if self._pid != os.getpid():
                for line in self._lines:
                    line.let_go()
                self._lines = tuple(_Line() for _ in range(MOST))
                self._pid = os.getpid()
