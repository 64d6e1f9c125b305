"""Appending to the stream on Redis: one entry and one trip for all who have gathered.

An entry is told apart by a nonce of its own, so that one whose answer was lost is looked for before it is sent again.
The connection that broke is closed by Redis first: what may still lie in it is never carried out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NoReturn

from event_log.errors import HistoryChanged, LogError, LogFull, LogUnavailable, LogUncertain
from event_log.port import Appended, Cursor, Guard, Record, Stale
from event_log.redis.connection import NOTHING, Command, Packed, Reply, call, pack
from event_log.redis.entries import end_of, nonce_of, read_entries
from event_log.redis.faults import code_of, other_keys, unavailable
from event_log.redis.groups import Gathering, Group
from event_log.redis.keys import Keys, history_of, other_format
from event_log.redis.pool import Pool
from event_log.redis.scripts import APPEND, ARRIVE, FULL, HEAL, OTHER_KEYS, OTHER_MARK, STALE, Script
from event_log.redis.session import Session

UNCERTAIN = 2.0
"""Seconds after which an append whose answer was lost is given up."""
PAUSE = 0.02
SCAN = 1000
"""Entries looked through at a time for one whose answer was lost."""
COPY_MILLISECONDS = 800
"""Milliseconds that a trip waits for replicas."""
HEALING_SHARE = 64
"""Divisor of the room: one part is reserved for records that make room."""
NEVER = 9 * 10**18
"""In place of what a writer knows, or of its oldest event, where that does not matter."""


class Appending:
    """The writing half of the store."""

    def __init__(self, pool: Pool, keys: Keys, max_bytes: int, now: Callable[[], int | str]) -> None:
        self._pool = pool
        self._where = str(pool.url)
        self._keys = keys
        self._max_bytes = max_bytes
        self._now = now
        self._gathering = Gathering(self._settle)
        self._wait = pack(("WAIT", pool.url.wait, COPY_MILLISECONDS)) if pool.url.wait else NOTHING
        self.most_entries = 1000
        """Number of entries that one read brings: some megabytes of them, as they were of late."""
        self.tip = Appended(0, 0)
        """The newest record this process knows of."""
        self.copied = Appended(0, 0)
        """The newest record of which it knows that as many replicas as asked for have it, and all before."""
        self.furthest = Cursor(0)
        """Cursor of the reader that is furthest in this history."""
        self.ahead: tuple[Cursor, list[Reply]] = self.furthest, []
        """Answers that came along with that to an append, for the next read behind a cursor."""

    def append(self, record: Record, guard: Guard) -> Appended:
        """Append as the port says."""
        return self._gathering.append(record, guard)

    def note(self, end: Appended) -> None:
        """Learn of a record."""
        self.tip = max(self.tip, end, key=_order)

    def confirm(self, appended: Appended, history: int) -> None:
        """Return once replicas have a record, which this process may only have read. WAIT counts what went the same
        way, so something is written there first. Raises LogUncertain, HistoryChanged."""
        if not self._pool.url.wait or _order(appended) <= _order(self.copied):
            return
        try:
            still = self._pool.twice(lambda session: self._affirm(session, HEAL, history, self._wait))
        except LogUncertain:
            raise
        except LogUnavailable as fault:
            raise LogUncertain(f"{fault}; it may have been stored") from fault
        if not still:
            raise HistoryChanged(f"{self._where} was started or promoted since this was stored")
        self.copied = max(self.copied, appended, key=_order)

    def arrive(self) -> None:
        """Begin a log where there is none, or another history after Redis was started or promoted, or where it lacks
        what was given. Raises LogDamaged where the keys are those of something else."""
        self._pool.twice(self._arrive)

    def renew(self, history: int) -> None:
        """Begin another history than this one if Redis was started or promoted since. Raises LogUnavailable where
        nothing can be written."""
        self._pool.twice(lambda session: self._affirm(session, APPEND, history, NOTHING))

    def _arrive(self, session: Session) -> None:
        session.look()  # its stamp may be an old one, and would never be the log's again
        history = int.from_bytes(os.urandom(8), "big") >> 1
        keys = (self._keys.head, self._keys.stream, self._keys.manifest, self._keys.former)
        command = call(ARRIVE, keys, session.mark(), history, self.tip.position, self._now())
        if session.ask(command)[0] == OTHER_KEYS:
            self._refuse(session)

    def _refuse(self, session: Session) -> NoReturn:
        """Raise the error for keys that are not those of a log of this format."""
        mark, former = session.trip(pack(("HGET", self._keys.head, "mark"), ("HGET", self._keys.former, "format")))
        if isinstance(mark, bytes):
            history_of(mark, self._where)
        if isinstance(former, bytes):
            raise other_format(self._where, former.decode(errors="replace"))
        raise other_keys(self._where)

    def _settle(self, group: Group) -> None:
        """Append a group, or find out that it was; leave it unanswered where its records are to be tried one by one."""
        try:
            while not self._is_through(group):
                time.sleep(PAUSE)
        except LogError as fault:
            group.fail(fault)

    def _is_through(self, group: Group) -> bool:
        """Try to append a group. Raises what is to be said of it, unless it is to be looked for as its answer was
        lost."""
        try:
            with self._pool.session() as session:
                if group.sent_by is None or not self._is_found(session, group.sent_by, group):
                    self._send(session, group)
            return True
        except (OSError, LogUnavailable) as found:
            fault = found if isinstance(found, LogError) else unavailable(self._where, found)
            if group.sent_by is None or isinstance(fault, LogUncertain):
                raise fault from found
            if time.monotonic() > group.deadline:
                raise LogUncertain(f"{fault}; what was sent may have been stored") from found
            return False

    def _is_found(self, session: Session, sent_by: Session, group: Group) -> bool:
        """Answer a group whose entry is stored; False where it is not, and now never can be."""
        if sent_by.run == session.run:
            session.trip(pack(("CLIENT", "KILL", "ID", sent_by.number)))  # an error where it is gone
        start = b"(%d-%d" % _order(group.behind) if group.behind.number else b"-"
        while entries := session.ask(("XRANGE", self._keys.stream, start, "+", "COUNT", SCAN))[0]:
            for entry in entries:
                if nonce_of(entry) == group.nonce:
                    self._found(session, group, end_of(entry[0]))
                    return True
            start = b"(" + entries[-1][0]
        return False

    def _found(self, session: Session, group: Group, end: Appended) -> None:
        self.note(end)
        if self._wait.answers and not self._affirm(session, HEAL, self._current(session), self._wait):
            raise LogUncertain(f"{self._where} was started or promoted since this was stored; it may have been lost")
        group.answer(end)

    def _send(self, session: Session, group: Group) -> None:
        if group.sent_by is None:
            group.behind, group.deadline = self.tip, time.monotonic() + UNCERTAIN
        group.sent_by = session
        cursor, follow = self.furthest, NOTHING
        if cursor.history and any(job.guard.known is None for job in group.jobs):  # it is decided when it is applied
            follow = read_entries(self._keys, cursor, self.most_entries)
        reply, *more = session.trip(pack(self._command(session, group)) + follow + self._wait)
        if not isinstance(reply, bytes):
            group.sent_by = None
            self._refused(session, group, reply)
            return
        end = end_of(reply)
        self.note(end)
        if not any(isinstance(one, Exception) for one in more[: follow.answers]):
            self.ahead = cursor, more[: follow.answers]
        try:
            self._check_copies(more[follow.answers :], end)
        except LogUncertain as fault:  # the connection is sound
            group.fail(fault)
        else:
            group.answer(end)

    def _refused(self, session: Session, group: Group, reply: Reply) -> None:
        """Fail a group of which nothing was stored, or send it once more. One of several that are refused together is
        to blame: these are left unanswered."""
        if isinstance(reply, Exception):
            fault = unavailable(self._where, reply)
            if code_of(reply) in ("READONLY", "NOAUTH"):
                raise fault  # and have another connection
            group.fail(fault)
        elif reply == OTHER_MARK:
            if self._current(session) == group.history:
                self._send(session, group)
            else:
                group.fail(HistoryChanged(f"{self._where} was started or promoted since the log was read"))
        elif len(group.jobs) == 1:
            stale = Stale("a series may have ended, or events may have expired")
            group.fail({FULL: full(self._where), STALE: stale}[reply])

    def _current(self, session: Session) -> int:
        """Return the history of the log: another one than before if Redis was started or promoted since."""
        self._arrive(session)
        return history_of(session.ask(("HGET", self._keys.head, "mark"))[0], self._where)

    def _affirm(self, session: Session, script: Script, history: int, wait: Packed) -> bool:
        """Write something that is no record; False where the log has another history."""
        keys = self._keys.head, self._keys.stream
        command = call(script, keys, session.mark(history), 0, 0, 0, 0, 0, "")
        reply, *copies = session.trip(pack(command) + wait)
        if isinstance(reply, Exception):
            raise unavailable(self._where, reply)
        if reply == OTHER_MARK:  # or its stamp was that of another master
            return self._current(session) == history and self._affirm(session, script, history, wait)
        self._check_copies(copies)
        return True

    def _check_copies(self, copies: list[Reply], end: Appended | None = None) -> None:
        """Raises LogUncertain where fewer replicas than asked for have what was written."""
        if not copies:
            return
        if isinstance(copies[0], Exception):
            raise LogUncertain(f"{unavailable(self._where, copies[0])}; it may have been stored")
        if copies[0] < self._pool.url.wait:
            missing = f"{copies[0]} replicas up to date, not {self._pool.url.wait}"
            raise LogUncertain(f"{self._where} has {missing}; it may have been stored")
        if end is not None:
            self.copied = max(self.copied, end, key=_order)

    def _command(self, session: Session, group: Group) -> Command:
        """Return the command that appends a group."""
        guards, record = [job.guard for job in group.jobs], group.jobs[0].record
        known = min([guard.known for guard in guards if guard.known is not None], default=NEVER)
        oldest = min([guard.oldest for guard in guards if guard.oldest is not None], default=NEVER)
        data = group.nonce + b"".join([job.packed for job in group.jobs])
        timing: Command = ()
        if record.fences or any(job.record.timed for job in group.jobs):
            moment, span = record.raises or ("", 0)
            timing = int(record.fences), moment, span, self._now()
        script, keys = HEAL if group.jobs[0].heals else APPEND, (self._keys.head, self._keys.stream)
        limits = known, oldest, self._limit(record)
        return call(script, keys, session.mark(group.history), *limits, group.takes, len(guards), data, *timing)

    def _limit(self, record: Record) -> int:
        """Return the bytes that the log may have with a record. Half of what is reserved is for the horizon alone."""
        reserve = self._max_bytes // HEALING_SHARE
        return self._max_bytes - (0 if record.raises is not None else reserve // 2 if record.fences else reserve)


def full(where: str) -> LogFull:
    """Return the error where LOG_MAX_BYTES is reached."""
    return LogFull(f"the log at {where} is full; raise TIDEMARK_LOG_MAX_BYTES, or wait until events expire")


def _order(appended: Appended) -> tuple[int, int]:
    """Over all histories: positions never fall."""
    return appended.position, appended.number
