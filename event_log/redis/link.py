"""The way to Redis for all threads or greenlets of a process: one round trip at a time, or a few where it is far away,
and all who have gathered meanwhile go with the next.

The trips are made by threads of their own, so nobody who asks leads others, and nobody who leaves or dies takes them
along. Who asks holds a ticket, a lock that the answer releases: under gevent's patches that is a greenlet's switch.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from redis.exceptions import RedisError

from event_log.errors import LogUnavailable
from event_log.redis.crew import ABREAST, Build, Crew, Ticket
from event_log.redis.faults import code_of, unavailable
from event_log.redis.scripts import ALL, ARRIVED, Script
from event_log.redis.session import PATIENCE, ROLE, Command, Reply, Session, not_master
from event_log.redis.url import RedisUrl

COPY_MILLISECONDS = 800
"""How long a trip waits for replicas."""


class Lost(LogUnavailable):
    """The connection broke when this was under way: it may have been done, or be done yet if it is not fenced off."""

    def __init__(self, message: str, connection: str) -> None:
        super().__init__(message)
        self.connection = connection


class Uncopied(LogUnavailable):
    """It was done, but fewer replicas than asked for have it."""


class Link:
    """Opens its connections at first use in each process, and again after a fault."""

    def __init__(self, url: RedisUrl, *, for_reads: bool = False, scripts: Sequence[Script] = ALL) -> None:
        self.url = url
        self._scripts = scripts
        self._for_reads = for_reads
        self._mutex = threading.Lock()
        self._crew: Crew | None = None

    def ask(self, build: Build, *, copied: bool = False) -> list[Reply]:
        """The answers to these commands, which none of another ask comes between. `copied`: once replicas have them.
        Raises Lost, Uncopied or LogUnavailable; also for the first answer that is an error."""
        ticket = Ticket(build, copied and self.url.wait > 0)
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
        """Let go of the connections, which the next ask would open again."""
        with self._mutex:
            crew, self._crew = self._crew, None
            if crew is None or crew.pid != os.getpid():
                return
            crew.closed = True
            while crew.rouse():
                pass
        for thread in crew.threads:
            if thread.is_alive():
                thread.join(PATIENCE)

    def _submit(self, ticket: Ticket) -> None:
        with self._mutex:
            crew = self._crew
            if crew is None or crew.closed or crew.pid != os.getpid():
                crew = self._crew = Crew()  # what a fork has left of the parent's is let go unused
            crew.waiting.append(ticket)
            if not crew.is_time() or crew.rouse() or len(crew.threads) >= crew.most:
                return
            thread = threading.Thread(target=self._run, args=(crew,), name="redis", daemon=True)
            crew.threads.append(thread)
        try:
            thread.start()  # without the mutex, for it waits until it runs
        except RuntimeError as fault:  # this process may not have one more
            self._go_without(crew, thread, str(fault))

    def _go_without(self, crew: Crew, thread: threading.Thread, why: str) -> None:
        """Leave those who wait to the other threads; where there are none nobody would ever come for them."""
        with self._mutex:
            crew.threads.remove(thread)
            stranded = [] if crew.threads else list(crew.waiting)
            if stranded:
                crew.waiting.clear()
        self._fail(stranded, LogUnavailable(f"{self.url}: {why}"))

    def _run(self, crew: Crew) -> None:
        session: Session | None = None
        together: list[Ticket] = []
        asked = 0
        bell = threading.Lock()
        bell.acquire()
        try:
            while True:
                with self._mutex:
                    crew.asked -= asked
                    together = crew.take()
                    asked = len(together)
                    if not together and crew.closed:
                        return
                    if not together:
                        crew.idle.append(bell)
                if together:
                    session = self._serve(session, together, crew)
                else:
                    bell.acquire()
                    time.sleep(0)  # whoever is about to ask goes with this trip
        finally:  # also of a greenlet that is killed
            with self._mutex:
                crew.closed = True
                together.extend(crew.waiting)
                crew.waiting.clear()
                while crew.rouse():
                    pass
            if session is not None:
                session.close()
            self._fail(together, LogUnavailable(f"{self.url} was let go"))

    def _serve(self, session: Session | None, together: list[Ticket], crew: Crew) -> Session | None:
        """One trip for all of these; the session to go on with. Leaves in `together` what is not answered."""
        try:
            session = session or self._open(crew)
        except LogUnavailable as fault:
            self._fail(together, fault)
            return None
        try:
            usable = self._trip(session, together, crew.waiting)
        except (RedisError, OSError) as fault:
            session.close()
            lost = unavailable(str(self.url), fault)
            self._fail(together, Lost(str(lost), session.name))
            return None
        except BaseException:  # of ours, or in a greenlet that is killed: what was sent may be done
            session.close()
            self._fail(together, Lost(f"{self.url} was let go", session.name))
            raise
        if not usable:
            session.close()
            return None
        return session

    def _open(self, crew: Crew) -> Session:
        session = Session(self.url, self._scripts)
        # WAIT is for what went the same way: where copies are asked for, there is but one.
        crew.most = ABREAST if session.far and not self.url.wait else 1
        return session

    def _trip(self, session: Session, together: list[Ticket], waiting: deque[Ticket]) -> bool:
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
        if self._for_reads and (fault := not_master(str(self.url), next(replies))) is not None:
            self._fail(together, fault)
            return False
        usable = True
        answered: list[Ticket] = []
        try:
            while together:
                ticket = together[0]
                ticket.replies = [next(replies) for _ in ticket.commands]
                codes = {code_of(reply) for reply in ticket.replies if isinstance(reply, Exception)}
                usable = usable and not codes & {"NOSCRIPT", "READONLY", "NOAUTH"}
                usable = usable and not any(map(_tells_arrival, ticket.replies))
                del together[0]
                if "NOSCRIPT" in codes and not ticket.tried:
                    ticket.tried = True
                    waiting.appendleft(ticket)
                elif ticket.copied:
                    answered.append(ticket)
                else:
                    ticket.done()
        except BaseException:  # of whether these have been copied there will be no word
            together.extend(answered)
            raise
        if wait:
            self._copied(answered, replies)
        return usable

    def _copied(self, tickets: list[Ticket], replies: Iterator[Reply]) -> None:
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

    def _fail(self, tickets: list[Ticket], fault: LogUnavailable) -> None:
        while tickets:
            ticket = tickets.pop(0)
            ticket.fault = fault
            ticket.done()


def _tells_arrival(reply: Reply) -> bool:
    """Whether a script was refused as Redis was started or promoted. That may have been before this connection was
    opened, or since, unnoticed: then its stamp is an old one, and will never be the log's again."""
    return reply == ARRIVED or (isinstance(reply, list) and reply[:1] == [ARRIVED])
