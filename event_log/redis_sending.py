"""Sending writes to Redis: each is told apart by a nonce of its own, so that one whose answer was lost is looked for
before it is sent again."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from event_log.base import LogError, LogUnavailable, LogUncertain
from event_log.redis_crew import Build
from event_log.redis_keys import Keys
from event_log.redis_link import Link, Lost, Uncopied
from event_log.redis_scripts import FENCE
from event_log.redis_session import call

UNCERTAIN = 2.0
"""Seconds after which a write whose answer was lost is given up."""
PAUSE = 0.02
LEAP = 1 << 31
"""Who steps so far has come across a jump, most likely."""
SCAN = 1000
"""Entries looked through at a time for a write whose answer was lost."""


class Sender:
    """Sends scripts that store under a nonce, each once."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self.tip = 0
        """The highest position this process knows of. Only ever a position that was given, so a race over it does
        no harm."""
        self.leaps: deque[tuple[int, int]] = deque(maxlen=8)
        """The last such steps, as (from, to): where a jump began before one, it has passed over what was given."""

    def stands_at(self, position: int) -> int:
        """Note a position, and return it."""
        if position > self.tip:
            if position - self.tip >= LEAP:
                self.leaps.append((self.tip, position))
            self.tip = position
        return position

    def send(self, build: Build, nonce: str) -> list[Any]:
        """The script's answer, which is sought for if it gets lost."""
        behind, deadline = self.tip, time.monotonic() + UNCERTAIN
        try:
            reply = self._link.ask(build, copied=True)[0]
        except Lost as lost:
            return self._again(build, nonce, behind, lost, deadline)
        except Uncopied as fault:
            raise LogUncertain(f"{fault}; it may have been stored") from fault
        return reply if isinstance(reply, list) else [reply]

    def _again(self, build: Build, nonce: str, behind: int, lost: Lost, deadline: float) -> list[Any]:
        """Give the broken connection up, look for the write, and repeat it where it was not done."""
        fault: LogError = lost
        while time.monotonic() < deadline:
            try:
                position = self._find(lost.connection, nonce, behind)
                if position is not None:
                    self._link.ask(lambda _: [("HGET", self._keys.head, "id")], copied=True)
                    return [position]
                reply = self._link.ask(build, copied=True)[0]
                return reply if isinstance(reply, list) else [reply]
            except Lost as again:
                fault = lost = again
            except Uncopied as missing:
                raise LogUncertain(f"{missing}; it may have been stored") from missing
            except LogUncertain:
                raise
            except LogUnavailable as unavailable:
                fault = unavailable
            time.sleep(PAUSE)
        raise LogUncertain(f"{fault}; what was sent may have been stored") from fault

    def _find(self, connection: str, nonce: str, behind: int) -> int | None:
        """The position of a write, which cannot be done any more unless it has been. Raises LogUncertain where it may
        have been cleaned away since."""
        keys = self._keys
        self._link.ask(lambda _: [call(FENCE, (keys.head,), connection)])
        start = f"{behind + 1}"
        found: int | None = None
        while True:
            entries, trimmed = self._link.look(
                ("XRANGE", keys.stream, start, "+", "COUNT", SCAN), ("HGET", keys.head, "trimmed")
            )
            for key, _ in entries:
                position, _, own = key.decode().partition("-")
                if own == nonce:
                    found = int(position)  # the last one with it: changes may stand before the events
            if len(entries) == SCAN:
                start = "(" + entries[-1][0].decode()
                continue
            if found is None and int(trimmed or 0) > behind:
                raise LogUncertain(f"{self._link.url} was cleaned meanwhile; what was sent may have been stored")
            return found
