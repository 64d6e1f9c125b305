"""The way to Redis for all threads or greenlets of a process: one round trip at a time, and all who have gathered
meanwhile go with the next.

The trips are made by a thread of their own, so nobody who asks leads others, and nobody who leaves or dies takes them
along. Who asks holds a ticket, a lock that the answer releases: under gevent's patches that is a greenlet's switch.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from threading import Lock, Thread

from redis.exceptions import ReadOnlyError, RedisError

from event_log.base import LogError, LogUnavailable
from event_log.redis_faults import code_of, unavailable
from event_log.redis_session import PATIENCE, Command, Reply, Session
from event_log.redis_url import RedisUrl

MOST_TOGETHER = 128
"""Tickets of one trip."""
COPY_MILLISECONDS = 800
"""How long a trip waits for replicas."""

ROLE: Command = ("HELLO",)
"""Asked with each trip for reads: tells whether this still is the master, and is never refused."""

Build = Callable[[Session], Sequence[Command]]
"""Makes the commands for the connection they go through."""


class Lost(LogUnavailable):
    """The connection broke when this was under way: it may have been done, or be done yet if it is not fenced off."""

    def __init__(self, message: str, connection: str) -> None:
        super().__init__(message)
        self.connection = connection


class Uncopied(LogUnavailable):
    """It was done, but fewer replicas than asked for have it."""


class _Ticket:
    """What one asks, and the answer to it."""

    __slots__ = ("_done", "build", "commands", "copied", "fault", "replies", "tried")

    def __init__(self, build: Build, copied: bool) -> None:
        self.build = build
        self.copied = copied
        self.commands: Sequence[Command] = ()
        self.replies: list[Reply] = []
        self.fault: LogError | None = None
        self.tried = False
        self._done = Lock()
        self._done.acquire()

    def wait(self) -> None:
        self._done.acquire()

    def done(self) -> None:
        self._done.release()


class Link:
    """Opens its connection at first use in each process, and again after a fault."""

    def __init__(self, url: RedisUrl, *, for_reads: bool = False) -> None:
        self.url = url
        self._for_reads = for_reads
        self._mutex = Lock()
        # All below: under _mutex, but for the session, which belongs to the thread.
        self._pid = 0
        self._waiting: deque[_Ticket] = deque()
        self._idle = False
        self._wake = Lock()
        self._closed = False
        self._session: Session | None = None
        self._thread: Thread | None = None

    def ask(self, build: Build, *, copied: bool = False) -> list[Reply]:
        """The answers to these commands, which none of another ask comes between. `copied`: once replicas have them.
        Raises Lost, Uncopied or LogUnavailable; also for the first answer that is an error."""
        ticket = _Ticket(build, copied and self.url.wait > 0)
        self._submit(ticket)
        ticket.wait()
        if ticket.fault is not None:
            raise ticket.fault
        for reply in ticket.replies:
            if isinstance(reply, Exception):
                raise unavailable(str(self.url), reply) from reply
        return ticket.replies

    def look(self, *commands: Command) -> list[Reply]:
        """The same for commands that only read: asked again where the connection broke, most often since long."""
        try:
            return self.ask(lambda _: commands)
        except Lost:
            return self.ask(lambda _: commands)

    def close(self) -> None:
        """Let go of the connection, which the next ask would open again."""
        with self._mutex:
            thread, self._thread = self._thread, None
            if thread is None or self._pid != os.getpid():
                return
            self._pid = 0
            self._closed = True
            self._rouse()
        thread.join(PATIENCE)

    def _submit(self, ticket: _Ticket) -> None:
        if self._pid != os.getpid():
            self._begin()
        with self._mutex:
            self._waiting.append(ticket)
            self._rouse()

    def _rouse(self) -> None:
        if self._idle:
            self._idle = False
            self._wake.release()

    def _begin(self) -> None:
        """Have a thread in this process. What a fork has left of the parent's is let go unused."""
        with self._mutex:
            if self._pid == os.getpid():
                return
            self._waiting, self._idle, self._closed, self._session = deque(), False, False, None
            self._wake = Lock()
            self._wake.acquire()
            self._thread = Thread(target=self._run, args=(self._waiting, self._wake), name="redis", daemon=True)
            self._pid = os.getpid()
            self._thread.start()

    def _run(self, waiting: deque[_Ticket], wake: Lock) -> None:
        session: Session | None = None
        together: list[_Ticket] = []
        try:
            while True:
                with self._mutex:
                    together = [waiting.popleft() for _ in range(min(len(waiting), MOST_TOGETHER))]
                    if not together and (self._closed or self._waiting is not waiting):
                        return
                    self._idle = not together
                if together:
                    session = self._serve(session, together, waiting)
                else:
                    wake.acquire()
                    time.sleep(0)  # whoever is about to ask goes with this trip: fewer, fuller ones spare Redis work
        finally:  # also of a greenlet that is killed
            with self._mutex:
                if self._waiting is waiting:
                    self._pid = 0
                together.extend(waiting)
            if session is not None:
                session.close()
            self._fail(together, LogUnavailable(f"{self.url} was let go"))

    def _serve(self, session: Session | None, together: list[_Ticket], waiting: deque[_Ticket]) -> Session | None:
        """One trip for all of these; the session to go on with. Leaves in `together` what is not answered."""
        try:
            session = session or Session(self.url)
        except LogUnavailable as fault:
            self._fail(together, fault)
            return None
        try:
            usable = self._trip(session, together, waiting)
        except (RedisError, OSError) as fault:
            session.close()
            lost = unavailable(str(self.url), fault)
            self._fail(together, Lost(str(lost), session.name))
            return None
        if not usable:
            session.close()
            return None
        return session

    def _trip(self, session: Session, together: list[_Ticket], waiting: deque[_Ticket]) -> bool:
        """Whether the session may go on being used."""
        for ticket in together:
            ticket.commands = ticket.build(session)
        commands = [command for ticket in together for command in ticket.commands]
        wait = any(ticket.copied for ticket in together)
        if wait:
            commands.append(("WAIT", self.url.wait, COPY_MILLISECONDS))
        if self._for_reads:
            commands.insert(0, ROLE)
        replies = iter(session.trip(commands))
        if self._for_reads and (fault := self._not_master(next(replies))) is not None:
            self._fail(together, fault)
            return False
        usable = True
        answered: list[_Ticket] = []
        while together:
            ticket = together[0]
            ticket.replies = [next(replies) for _ in ticket.commands]
            codes = {code_of(reply) for reply in ticket.replies if isinstance(reply, Exception)}
            usable = usable and not codes & {"NOSCRIPT", "READONLY", "NOAUTH"}
            del together[0]
            if "NOSCRIPT" in codes and not ticket.tried:
                ticket.tried = True
                waiting.appendleft(ticket)
            elif ticket.copied:
                answered.append(ticket)
            else:
                ticket.done()
        if wait:
            self._copied(answered, replies)
        return usable

    def _not_master(self, role: Reply) -> LogUnavailable | None:
        """What is wrong with a Redis that has become a replica: it refuses writes, but would answer from behind."""
        if isinstance(role, Exception):
            return unavailable(str(self.url), role)
        master = role[role.index(b"role") + 1] == b"master"
        return None if master else unavailable(str(self.url), ReadOnlyError("READONLY"))

    def _copied(self, tickets: list[_Ticket], replies: Iterator[Reply]) -> None:
        """The answer to WAIT, for those that asked for it. They have been done, whatever becomes of it."""
        fault: LogUnavailable | None = None
        try:
            copies = next(replies)
            if isinstance(copies, Exception):
                fault = unavailable(str(self.url), copies)
            elif copies < self.url.wait:
                fault = Uncopied(f"{self.url} has {copies} replicas up to date, not {self.url.wait}")
        except (RedisError, OSError) as lost:
            fault = unavailable(str(self.url), lost)
            raise
        finally:
            for ticket in tickets:
                ticket.fault = None if fault is None else Uncopied(str(fault))
                ticket.done()

    def _fail(self, tickets: list[_Ticket], fault: LogUnavailable) -> None:
        while tickets:
            ticket = tickets.pop(0)
            ticket.fault = fault
            ticket.done()
