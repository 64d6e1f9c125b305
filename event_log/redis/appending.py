"""Appending to the stream on Redis: each record is told apart by a nonce of its own, so that one whose answer was lost
is looked for before it is sent again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from struct import Struct
from typing import Any

from event_log.codec import JUMP
from event_log.errors import HistoryChanged, LogDamaged, LogError, LogFull, LogUnavailable, LogUncertain
from event_log.port import Appended, Guard, Record, Stale
from event_log.redis.keys import Keys
from event_log.redis.link import Link, Lost, Uncopied
from event_log.redis.scripts import (
    APPEND,
    ARRIVE,
    ARRIVED,
    FENCE,
    FENCED,
    FULL,
    HEAL,
    OTHER_HISTORY,
    STALE_FENCE,
    STALE_HORIZON,
)
from event_log.redis.session import Command, Session, call

HEADER = Struct("<Bd8s")
"""Kind, positions taken, nonce; behind it the log's time in decimal digits."""
UNCERTAIN = 2.0
"""Seconds after which an append whose answer was lost is given up."""
PAUSE = 0.02
SCAN = 1000
"""Entries looked through at a time for a record whose answer was lost."""
HEALING_SHARE = 64
"""One part of so many is reserved for records that make room."""


class Appending:
    """The writing half of the store."""

    def __init__(self, link: Link, keys: Keys, max_bytes: int, now: Callable[[], int | str]) -> None:
        self._link = link
        self._keys = keys
        self._max_bytes = max_bytes
        self._now = now
        self.tip = Appended(0, 0)
        """The newest record this process knows of."""
        self.copied = 0
        """Number up to which as many replicas as asked for have all records; 0 since Redis was started or promoted."""

    def append(self, record: Record, guard: Guard) -> Appended:
        """As the port says."""
        nonce = os.urandom(8)
        build = self._build(record, guard, nonce)
        reply = self._send(build, nonce)
        for _ in range(3):
            if reply[0] not in (ARRIVED, FENCED):
                break
            if reply[0] == ARRIVED:
                self.arrive()
            reply = self._send(build, nonce)
        if len(reply) == 2:
            appended = Appended(int(reply[1]), int(reply[0]))
            self.tip = max(self.tip, appended)
            self.copied = max(self.copied, appended.number)
            return appended
        raise self._refusal(int(reply[0]))

    def arrive(self) -> None:
        """Begin a log, or a history after Redis was started or promoted. Raises LogDamaged where the keys are those of
        something else."""
        history = int.from_bytes(os.urandom(8), "big") >> 1
        keys = self._keys[:3]
        self.copied = 0
        command = call(ARRIVE, keys, str(history), self.tip.position, bytes([JUMP]), self._now())
        if self._link.ask(lambda _: [command], copied=True)[0] == -8:
            raise LogDamaged(
                f"{self._link.url} holds keys of another program under this name; choose another with ?name= in the URL"
            )

    def reaffirm(self, appended: Appended, history: int) -> None:
        """Return once replicas have a record. WAIT counts what went the same way, so something is written
        there first. Raises LogUncertain, HistoryChanged."""
        keys = self._keys
        try:
            found = self._link.ask(
                lambda _: [("HSET", keys.head, "affirmed", "1"), ("HGET", keys.head, "history")], copied=True
            )[1]
        except (Uncopied, Lost) as fault:
            raise LogUncertain(f"{fault}; it may have been stored") from fault
        if int(found or -1) != history:
            raise HistoryChanged("Redis was started or promoted since this was stored")
        self.copied = max(self.copied, appended.number)

    def _build(self, record: Record, guard: Guard, nonce: bytes) -> Callable[[Session], list[Command]]:
        heals = record.fences or record.raises is not None
        limit = self._max_bytes - (0 if heals else self._max_bytes // HEALING_SHARE)
        moment, span = ("", 0) if record.raises is None else record.raises
        rest = (
            str(guard.history),
            "" if guard.known is None else guard.known,
            "" if guard.oldest is None else guard.oldest,
            limit,
            HEADER.pack(record.kind, record.takes, nonce),
            record.takes,
            record.payload,
            int(record.timed),
            int(record.fences),
            moment,
            span,
            self._now(),
        )
        keys = self._keys[:2]
        script = HEAL if heals else APPEND
        return lambda session: [call(script, keys, session.stamp, session.name, *rest)]

    def _send(self, build: Callable[[Session], list[Command]], nonce: bytes) -> list[Any]:
        """The script's answer, which is sought for if it gets lost."""
        behind, deadline = self.tip, time.monotonic() + UNCERTAIN
        try:
            return list(self._link.ask(build, copied=True)[0])
        except Lost as lost:
            return self._again(build, nonce, behind, lost, deadline)
        except Uncopied as fault:
            raise LogUncertain(f"{fault}; it may have been stored") from fault

    def _again(
        self, build: Callable[[Session], list[Command]], nonce: bytes, behind: Appended, lost: Lost, deadline: float
    ) -> list[Any]:
        """Give the broken connection up, look for the record, and repeat the append where it was not done."""
        fault: LogError = lost
        while time.monotonic() < deadline:
            try:
                found = self._find(lost.connection, nonce, behind)
                if found is not None:
                    self._link.ask(lambda _: [("HSET", self._keys.head, "affirmed", "1")], copied=True)
                    return [found.position, found.number]
                return list(self._link.ask(build, copied=True)[0])
            except Lost as again:
                fault = lost = again
            except Uncopied as missing:
                raise LogUncertain(f"{missing}; it may have been stored") from missing
            except LogUnavailable as unavailable:
                fault = unavailable
            time.sleep(PAUSE)
        raise LogUncertain(f"{fault}; what was sent may have been stored") from fault

    def _find(self, connection: str, nonce: bytes, behind: Appended) -> Appended | None:
        """Where a record stands, which cannot be appended any more unless it has been."""
        keys = self._keys
        self._link.ask(lambda _: [call(FENCE, (keys.head,), connection)])
        start = f"({behind.position}-{behind.number}" if behind.number else "-"
        while True:
            entries = self._link.look(("XRANGE", keys.stream, start, "+", "COUNT", SCAN))[0]
            for key, fields in entries:
                if HEADER.unpack_from(fields[1])[2] == nonce:
                    position, _, number = key.partition(b"-")
                    return Appended(int(number), int(position))
            if len(entries) < SCAN:
                return None
            start = "(" + entries[-1][0].decode()

    def _refusal(self, code: int) -> LogError:
        """The error for what a script refused."""
        where = str(self._link.url)
        if code == OTHER_HISTORY:
            return HistoryChanged("Redis was started or promoted since the log was read")
        if code == STALE_FENCE:
            return Stale("a series may have ended")
        if code == STALE_HORIZON:
            return Stale("events may have expired")
        if code == FULL:
            return LogFull(f"the log at {where} is full; raise TIDEMARK_LOG_MAX_BYTES, or wait until events expire")
        if code == FENCED:
            return LogUnavailable(f"{where}: this connection was given up")
        return LogUnavailable(f"{where} was started or promoted just now")
