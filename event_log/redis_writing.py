"""Writing to the log on Redis: each write is one script, whose answer says what it takes to try again."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from math import inf
from random import random

from event_log.base import (
    Batch,
    DoneBefore,
    LogFull,
    LogUnavailable,
    Memo,
    OverBudget,
    Rules,
    Series,
    Terms,
    TooManyKeepers,
    TooManySeries,
)
from event_log.own_lock import OwnLock
from event_log.records import FORMAT, pack_batch, pack_one
from event_log.redis_crew import Build
from event_log.redis_faults import other_format, other_keys
from event_log.redis_keys import Keys
from event_log.redis_link import Link
from event_log.redis_registry import Known
from event_log.redis_scripts import (
    APPEND,
    ARRIVE,
    ARRIVED,
    BUDGET,
    CLAIM,
    DONE,
    END_SERIES,
    FENCED,
    FULL,
    KEEPERS,
    MOVED,
    NO_LOG,
    OTHER_FORMAT,
    OTHER_KEYS,
    REFRESH,
    SERIES,
    WRITE,
    Script,
)
from event_log.redis_sending import Sender
from event_log.redis_series import SeriesReader
from event_log.redis_session import call
from event_log.redis_terms import NEITHER, arguments, memo_of, new_nonce

JUMP = 1 << 32
"""How far positions jump when Redis was started or promoted: far more than can have been given and lost."""
TRIES = 60
logger = logging.getLogger("tidemark.log")


class Writing:
    """All that changes the log but its cleaning."""

    def __init__(self, link: Link, keys: Keys, series: SeriesReader, max_bytes: int, max_series: int) -> None:
        self._link = link
        self._keys = keys
        self._sender = Sender(link, keys)
        self._series = series
        self._max_bytes = max_bytes
        self._max_series = max_series
        self._registering = OwnLock()
        self._claimed: tuple[Rules, str] | None = None

    def stands_at(self, position: int) -> None:
        """The log has been read up to there."""
        self._sender.stands_at(position)

    @property
    def leaps(self) -> deque[tuple[int, int]]:
        """As in Sender."""
        return self._sender.leaps

    def append_one(self, name: str, time_: int, value: float) -> int | None:
        """As EventLog.append_one; None for a series that has yet to be registered."""
        for _ in range(TRIES):
            number, stand = self._series.registry.number(name)
            if number < 0:
                return None
            answer = self._append(pack_one(number, time_, value), 1, stand)
            if answer >= 0:
                return answer
        raise self._restless()

    def append(self, batch: Batch) -> int | None:
        """As EventLog.append without terms; None where a series has yet to be registered."""
        for _ in range(TRIES):
            known = self._series.registry.known(batch.names)
            if min(known.ids) < 0:
                return None
            answer = self._append(pack_batch(batch, known.ids), len(batch), known.stand)
            if answer >= 0:
                return answer
        raise self._restless()

    def write(self, batch: Batch, terms: Terms) -> int:
        """As EventLog.append with terms, or with series to register: of those one at a time, for each needs to know
        the one before."""
        if min(self._series.registry.known(batch.names).ids, default=0) >= 0:
            return self._write_all(batch, terms)
        with self._registering:
            return self._write_all(batch, terms)

    def _write_all(self, batch: Batch, terms: Terms) -> int:
        for attempt in range(TRIES):
            self._pause(attempt)
            known = self._series.registry.known(batch.names)
            fresh = self._series.registry.fresh(batch, known, terms.keep)
            nonce = new_nonce()
            code, *rest = self._sender.send(self._write(batch, terms, known, fresh, nonce), nonce)
            if code >= 0:
                if fresh:
                    self._learned(fresh, known, nonce)
                return self._sender.stands_at(code)
            if code == DONE:
                memo, own = memo_of(rest[0])
                if own == nonce:
                    return self._sender.stands_at(memo.position)
                raise DoneBefore(memo)
            self._answer_for(code, known.stand, terms, len(batch), rest)
        raise self._restless()

    def recall(self, key: bytes, now: int) -> Memo | None:
        """As EventLog.recall."""
        (ends,) = self._link.look(("HKEYS", self._keys.once))
        tables = [self._keys.once + b":" + end for end in ends if int(end) > now]
        memos = self._link.look(*[("HGET", table, key) for table in tables]) if tables else []
        return next((memo_of(memo)[0] for memo in memos if memo is not None), None)

    def claim(self, rules: Rules, start: str) -> None:
        """As EventLog.claim."""
        self._claimed = rules, start
        for _ in range(TRIES):
            nonce = new_nonce()
            behind = self._sender.tip + JUMP if self._sender.tip else 0
            words = f"{rules.retention} {rules.keep_last}"
            build = self._script(CLAIM, self._keys, NEITHER, nonce, start, words, FORMAT, behind)
            code, *rest = self._sender.send(build, nonce)
            if code >= 0:
                return
            if code == OTHER_KEYS:
                raise other_keys(str(self._link.url))
            if code == OTHER_FORMAT:
                raise other_format(str(self._link.url), rest[0].decode(errors="replace"), FORMAT.decode())
            self._answer_for(code, NEITHER)
        raise self._restless()

    def end(self, series: int, position: int | None) -> int | None:
        """End a series if the log stands at a position, or wherever it stands; its end, or None where it has ended
        before. MOVED where the log stands elsewhere."""
        keys = self._keys
        for _ in range(TRIES):
            if series > self._series.registry.newest:
                self._series.refresh()
            token = self._series.registry.token(series)
            if not token:
                return None
            nonce, stand = new_nonce(), self._series.registry.stand
            own = (keys.head, keys.stream, keys.tokens, keys.keeps, keys.ended)
            at = NEITHER if position is None else position
            answer = self._sender.send(self._script(END_SERIES, own, NEITHER, nonce, series, token, at), nonce)[0]
            if answer > 0:
                self._series.registry.end(series, answer)
                return self._sender.stands_at(answer)
            if answer in (0, MOVED):
                return answer or None
            self._answer_for(answer, stand)
        raise self._restless()

    def arrive(self) -> None:
        """Be the first to write after Redis was started or promoted, if nobody was."""
        keys, tip = self._keys, self._sender.tip
        answer = self._link.ask(lambda _: [call(ARRIVE, (keys.head,), tip, JUMP)], copied=True)[0]
        if answer == 1:
            logger.warning("%s was started or promoted: positions jump, so that none comes again", self._link.url)

    def _append(self, record: bytes, count: int, stand: str) -> int:
        """The position, or below zero when it has to be tried again."""
        nonce = new_nonce()
        keys, limit = self._keys, self._max_bytes
        own = (keys.head, keys.stream, keys.tokens)
        answer: int = self._sender.send(self._script(APPEND, own, stand, nonce, count, record, limit), nonce)[0]
        if answer >= 0:
            return self._sender.stands_at(answer)
        self._answer_for(answer, stand)
        return answer

    def _write(self, batch: Batch, terms: Terms, known: Known, fresh: Mapping[int, Series], nonce: str) -> Build:
        keys, most = self._keys, (self._max_bytes, self._max_series)
        own = (keys.head, keys.stream, keys.tokens, keys.series, keys.keeps, keys.base, keys.once, keys.budgets)
        return self._script(WRITE, own, known.stand, nonce, *arguments(batch, terms, known, fresh, *most))

    def _script(self, script: Script, keys: Sequence[bytes], stand: str, nonce: str, *rest: bytes | str | int) -> Build:
        first = () if stand is NEITHER else (stand,)
        return lambda session: [call(script, keys, session.stamp, session.name, *first, nonce, *rest)]

    def _answer_for(
        self, code: int, stand: str, terms: Terms | None = None, count: int = 0, rest: Sequence[bytes] = ()
    ) -> None:
        """Do what lets a write be tried again; raises where there is nothing."""
        if code == REFRESH:
            self._series.refresh(stand)
        elif code == ARRIVED:
            self.arrive()
        elif code == NO_LOG:
            self._begin()
        elif code == FULL:
            raise self.full()
        elif code == SERIES:
            raise TooManySeries(f"the limit of {self._max_series:,} series (MAX_SERIES) is reached")
        elif code == KEEPERS and terms is not None:
            raise TooManyKeepers(f"the limit of {terms.most_keepers} series with a keep of their own is reached")
        elif code == BUDGET and terms is not None and terms.budget is not None:
            budget, held = terms.budget, float(rest[0])
            price = budget.price(count)
            possible = budget.rate > 0 and price <= budget.burst
            raise OverBudget((price - held) / budget.rate if possible else inf)
        elif code == FENCED:
            raise LogUnavailable(f"{self._link.url}: the connection had been given up")

    def full(self) -> LogFull:
        """The error where LOG_MAX_BYTES is reached."""
        return LogFull(
            f"the log in {self._link.url} is full; raise TIDEMARK_LOG_MAX_BYTES, or wait until events expire"
        )

    def _begin(self) -> None:
        """A log where there is none, or none any more."""
        rules, start = self._claimed or (Rules(0, 0), "none")
        self.claim(rules, start)

    def _learned(self, fresh: Mapping[int, Series], known: Known, nonce: str) -> None:
        ends = known.stand.split(" ")[2]
        self._series.registry.learned(fresh, f"{max(fresh)} {nonce} {ends}", known.stand)

    def _pause(self, attempt: int) -> None:
        """Let others go first, where several processes register series without end."""
        if attempt >= 3:
            time.sleep(random() * attempt / 1000)

    def _restless(self) -> LogUnavailable:
        return LogUnavailable(f"{self._link.url} changes faster than can be followed")
