"""Ways to Redis for those who read, of whom there are few at a time: who asks makes the trip, and no other thread has
to be woken for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

from redis.exceptions import RedisError

from event_log.base import LogUnavailable
from event_log.redis_faults import unavailable
from event_log.redis_session import PATIENCE, ROLE, Packed, Reply, Session, not_master, pack
from event_log.redis_url import RedisUrl

MOST = 3
"""More who ask at once wait."""
_ROLE = pack([ROLE])


class _Line:
    """A connection, once it was needed."""

    __slots__ = ("session", "turn")

    def __init__(self) -> None:
        self.turn = Lock()
        self.session: Session | None = None


class Lines:
    """Open their connections at first use in each process, and again after a fault."""

    def __init__(self, url: RedisUrl) -> None:
        self.url = url
        self.far = False
        """As of the last connection that was opened."""
        self._mutex = Lock()
        self._pid = 0
        self._lines: tuple[_Line, ...] = ()

    def look(self, packed: Packed) -> list[Reply]:
        """The answers to commands that only read; asked again where the connection broke, most often since long.
        Raises LogUnavailable; also for the first answer that is an error."""
        with self._one() as line:
            try:
                replies = self._trip(line, packed)
            except (RedisError, OSError):
                replies = self._trip_again(line, packed)
            fault = not_master(str(self.url), replies.pop(0)) or self._refused(replies)
            if fault is not None:
                self._let_go(line)
                raise fault
            return replies

    def close(self) -> None:
        """Let go of the connections, which the next who asks would open again."""
        if self._pid == os.getpid():
            for line in self._lines:
                if line.turn.acquire(timeout=PATIENCE):
                    self._let_go(line)
                    line.turn.release()

    @contextmanager
    def _one(self) -> Iterator[_Line]:
        """One that nobody else uses."""
        if self._pid != os.getpid():
            self._begin()
        lines = self._lines
        line = next((one for one in lines if one.turn.acquire(blocking=False)), None)
        if line is None:
            line = lines[-1]
            line.turn.acquire()
        try:
            yield line
        finally:
            line.turn.release()

    def _begin(self) -> None:
        """Have lines in this process, with locks made in it. What a fork has left of the parent's is let go unused."""
        with self._mutex:
            if self._pid != os.getpid():
                self._lines = tuple(_Line() for _ in range(MOST))
                self._pid = os.getpid()

    def _trip(self, line: _Line, packed: Packed) -> list[Reply]:
        try:
            if line.session is None:
                line.session = Session(self.url)
                self.far = line.session.far
            return list(line.session.send(Packed(_ROLE.data + packed.data, 1 + packed.answers)))
        except BaseException:  # also in a greenlet that is killed: answers are left unread
            self._let_go(line)
            raise

    def _trip_again(self, line: _Line, packed: Packed) -> list[Reply]:
        try:
            return self._trip(line, packed)
        except (RedisError, OSError) as fault:
            raise unavailable(str(self.url), fault) from fault

    def _refused(self, replies: Sequence[Reply]) -> LogUnavailable | None:
        error = next((reply for reply in replies if isinstance(reply, Exception)), None)
        return None if error is None else unavailable(str(self.url), error)

    def _let_go(self, line: _Line) -> None:
        session, line.session = line.session, None
        if session is not None:
            session.close()
