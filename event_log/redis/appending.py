"""Appending to the stream on Redis: one entry and one trip for all who have gathered.

An entry is told apart by a nonce of its own, so that one whose answer was lost is looked for before it is sent again.
The connection that broke is closed by Redis first: what may still lie in it is never carried out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from event_log.errors import HistoryChanged, LogDamaged, LogError, LogFull, LogUnavailable, LogUncertain
from event_log.port import Appended, Guard, Record, Stale
from event_log.redis.connection import NOTHING, Packed, Reply, call, pack
from event_log.redis.entries import end_of, nonce_of
from event_log.redis.faults import code_of, other_format, other_keys, unavailable
from event_log.redis.groups import Gathering, Group
from event_log.redis.keys import FORMAT, NAME, Keys, Mark
from event_log.redis.pool import MOST, Pool
from event_log.redis.scripts import APPEND, ARRIVE, FULL, HEAL, OTHER_KEYS, OTHER_MARK, STALE, Script
from event_log.redis.session import Client, Session

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

Follow = Callable[[], tuple[Packed, Callable[[list[Reply]], None]]]
_NO_FOLLOWING = NOTHING, list[Reply].clear


class Appending:
    """The writing half of the store."""

    def __init__(self, pool: Pool, keys: Keys, max_bytes: int, now: Callable[[], int | str]) -> None:
        self._pool = pool
        self._where = str(pool.url)
        self._keys = keys
        self._max_bytes = max_bytes
        self._now = now
        self._gathering = Gathering(self._settle)
        self._heads = {script: _head(script, keys) for script in (APPEND, HEAL)}
        self._wait = pack(("WAIT", pool.url.wait, COPY_MILLISECONDS)) if pool.url.wait else NOTHING
        self.tip = Appended(0, 0)
        """The newest record this process knows of."""
        self.copied = Appended(0, 0)
        """The newest record of which it knows that as many replicas as asked for have it, and all before."""
        self.follow: Follow = lambda: _NO_FOLLOWING
        """Makes the reading that goes with records which are decided when they are applied, and takes the answers."""

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
            self._pool.twice(lambda session: self._affirm(session, HEAL, history, self._wait))
        except LogUncertain:
            raise
        except LogUnavailable as fault:
            raise LogUncertain(f"{fault}; it may have been stored") from fault
        self.copied = max(self.copied, appended, key=_order)

    def arrive(self) -> None:
        """Begin a log where there is none, or another history after Redis was started or promoted, or where it lacks
        what was given. Raises LogDamaged where the keys are those of something else."""
        self._pool.twice(self._arrive)

    def renew(self, history: int) -> None:
        """Begin another history than this one if Redis was started or promoted since. Raises LogUnavailable where
        nothing can be written."""
        with suppress(HistoryChanged):
            self._pool.twice(lambda session: self._affirm(session, APPEND, history, NOTHING))

    def _arrive(self, session: Session) -> None:
        session.look()  # its stamp may be an old one, and would never be the log's again
        history = int.from_bytes(os.urandom(8), "big") >> 1
        keys = (self._keys.head, self._keys.stream, self._keys.manifest, self._keys.former)
        command = call(ARRIVE, keys, f"{FORMAT} {session.stamp}", history, self.tip.position, self._now())
        if session.ask(command)[0] == OTHER_KEYS:
            raise self._other(session)

    def _other(self, session: Session) -> LogDamaged:
        """Return the error for keys that are not those of a log of this format."""
        mark, former = session.trip(pack(("HGET", self._keys.head, "mark"), ("HGET", self._keys.former, "format")))
        if isinstance(mark, bytes):
            return Mark.foreign(mark, self._where)
        if isinstance(former, bytes):
            return other_format(self._where, former.decode(errors="replace"), f"{NAME} {FORMAT}")
        return other_keys(self._where)

    def _settle(self, group: Group) -> list[Group]:
        """Append a group, or find out that it was. Answers all of it, or returns the parts in which it is to be
        tried."""
        try:
            while True:
                try:
                    return self._try(group)
                except (RedisError, OSError, LogUnavailable) as fault:
                    if isinstance(fault, LogUncertain | LogFull):
                        raise
                    self._give_up(group, fault)
                time.sleep(PAUSE)
        except LogError as fault:
            group.fail(fault)
        return []

    def _give_up(self, group: Group, found: Exception) -> None:
        """Raise what is to be said of a group, unless it is to be tried once more as its answer was lost."""
        fault = found if isinstance(found, LogError) else unavailable(self._where, found)
        if group.sent_by is None:
            raise fault from found
        if time.monotonic() > group.deadline:
            raise LogUncertain(f"{fault}; what was sent may have been stored") from found

    def _try(self, group: Group) -> list[Group]:
        with self._pool.session() as session:
            self._gathering.most = MOST if session.is_far else 1
            if group.sent_by is not None and (end := self._find(session, group.sent_by, group)) is not None:
                self._found(session, group, end)
                return []
            return self._send(session, group)

    def _found(self, session: Session, group: Group, end: Appended) -> None:
        self.note(end)
        if self._wait.answers:
            try:
                self._affirm(session, HEAL, self._current(session), self._wait)
            except HistoryChanged as change:
                raise LogUncertain(f"{change}; it may have been lost") from change
        group.answer(end)

    def _find(self, session: Session, sent_by: Client, group: Group) -> Appended | None:
        """Return where the entry of a group ends; None if it is not stored, and now never can be."""
        if sent_by.run == session.client.run:
            session.trip(pack(("CLIENT", "KILL", "ID", sent_by.id)))  # an error where it is gone
        start = b"(%d-%d" % _order(group.behind) if group.behind.number else b"-"
        while True:
            entries = session.ask(("XRANGE", self._keys.stream, start, "+", "COUNT", SCAN))[0]
            for entry in entries:
                if nonce_of(entry) == group.nonce:
                    return end_of(entry[0])
            if len(entries) < SCAN:
                return None
            start = b"(" + entries[-1][0]

    def _send(self, session: Session, group: Group) -> list[Group]:
        if group.sent_by is None:
            group.behind, group.deadline = self.tip, time.monotonic() + UNCERTAIN
        group.sent_by = session.client
        follow, take = self.follow() if any(job.guard.known is None for job in group.jobs) else _NO_FOLLOWING
        reply, *more = session.trip(self._packed(session, group) + follow + self._wait)
        if isinstance(reply, bytes):
            end = end_of(reply)
            self.note(end)
            if follow.answers:
                take(more[: follow.answers])
            try:
                self._check_copies(more[follow.answers :], end)
            except LogUncertain as fault:
                group.fail(fault)
            else:
                group.answer(end)
            return []
        group.sent_by = None
        return self._refused(session, group, reply)

    def _refused(self, session: Session, group: Group, reply: Reply) -> list[Group]:
        """Fail a group of which nothing was stored, or return the groups that are to be sent instead."""
        if isinstance(reply, Exception):
            code = code_of(reply)
            if code == "NOSCRIPT":
                session.load()
                return [group]
            fault = unavailable(self._where, reply)
            if code in ("READONLY", "NOAUTH"):
                raise fault  # and have another connection
            group.fail(fault)
        elif reply == OTHER_MARK:
            if self._current(session) == group.history:
                return [group]
            group.fail(HistoryChanged(f"{self._where} was started or promoted since the log was read"))
        elif len(group.jobs) > 1:
            return [Group([job]) for job in group.jobs]  # one of them is refused
        elif reply == STALE:
            group.fail(Stale("a series may have ended, or events may have expired"))
        else:
            assert reply == FULL
            group.fail(full(self._where))
        return []

    def _current(self, session: Session) -> int:
        """Return the history of the log: another one than before if Redis was started or promoted since."""
        self._arrive(session)
        return Mark.read(session.ask(("HGET", self._keys.head, "mark"))[0], self._where).history

    def _affirm(self, session: Session, script: Script, history: int, wait: Packed) -> None:
        """Write something that is no record. Raises HistoryChanged."""
        arguments = self._mark(session, history), b"0", b"0", b"0", b"0", b"0", b""
        reply, *copies = session.trip(self._call(script, arguments) + wait)
        if isinstance(reply, Exception):
            raise reply if code_of(reply) == "NOSCRIPT" else unavailable(self._where, reply)
        if reply == OTHER_MARK:
            if self._current(session) != history:
                raise HistoryChanged(f"{self._where} was started or promoted since this was stored")
            raise RedisConnectionError("its stamp was that of another master")
        self._check_copies(copies)

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

    def _packed(self, session: Session, group: Group) -> Packed:
        """The command that appends a group."""
        guards, record = [job.guard for job in group.jobs], group.jobs[0].record
        known = min([guard.known for guard in guards if guard.known is not None], default=NEVER)
        oldest = min([guard.oldest for guard in guards if guard.oldest is not None], default=NEVER)
        numbers = known, oldest, self._limit(record), group.takes, len(guards)
        data = group.nonce + b"".join([job.packed for job in group.jobs])
        arguments = [self._mark(session, group.history), *[b"%d" % number for number in numbers], data]
        if record.fences or any(job.record.timed for job in group.jobs):
            moment, span = ("", 0) if record.raises is None else record.raises
            arguments += [str(word).encode() for word in (int(record.fences), moment, span, self._now())]
        return self._call(HEAL if group.jobs[0].is_alone else APPEND, arguments)

    def _call(self, script: Script, arguments: Sequence[bytes]) -> Packed:
        """The same as `call`, in half the time."""
        parts = b"".join([b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments])
        return Packed(b"*%d\r\n%b%b" % (5 + len(arguments), self._heads[script], parts), 1)

    def _mark(self, session: Session, history: int) -> bytes:
        return f"{FORMAT} {session.stamp} {history}".encode()

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


def _head(script: Script, keys: Keys) -> bytes:
    """Return the bytes with which each call of a script begins."""
    words = b"EVALSHA", script.sha, b"2", keys.head, keys.stream
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])
