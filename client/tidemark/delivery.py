"""Delivery: one batch after the other, each repeated under its key until it is known what became of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from tidemark.batches import Batch, refused
from tidemark.buffer import Sent
from tidemark.errors import NotAllowed, RefusedEvent
from tidemark.transport import Reply, Unanswered

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 30.0
"""Seconds between two attempts: doubled each time, up to this; a key that may not write waits this long at once."""
_AGAIN = {408, 500, 502, 503, 504}
_TOO_MANY = 429


class Post(Protocol):
    """Sends a body under a key; raises Unanswered."""

    def __call__(self, path: str, body: bytes, key: str, /) -> Reply: ...


class Listener(Protocol):
    """Is told what becomes of events."""

    def accepted(self, stored: int, expired: int) -> None:
        """Count these events as taken."""

    def refused(self, events: Sequence[RefusedEvent]) -> None:
        """These events were not taken, for good."""

    def troubled(self, reason: str, denied: NotAllowed | None) -> None:
        """An attempt has failed, and will be repeated."""


class Delivery:
    """Delivers batches in order, in one thread. `pause` waits a number of seconds, and returns False to give up;
    `deliver` then returns False, having told of nothing that is not known."""

    def __init__(self, post: Post, listener: Listener, pause: Callable[[float], bool]) -> None:
        self._post = post
        self._listener = listener
        self._pause = pause

    def deliver(self, events: Sequence[Sent]) -> bool:
        """Post these events until it is known what became of each of them."""
        stack = [Batch(events)]
        while stack:
            batch = stack.pop()
            reply = self._answer(batch)
            if reply is None:
                return False
            stack.extend(reversed(self._settle(batch, reply)))
        return True

    def _answer(self, batch: Batch) -> Reply | None:
        """Return the answer that decides, however many attempts that takes; None when given up."""
        attempt = 0
        while True:
            asked: float | None = None
            try:
                reply = self._post("/events", batch.body, batch.key)
            except Unanswered as fault:
                self._listener.troubled(str(fault), None)
            else:
                if _decides(reply):
                    return reply
                is_denied = reply.status in (401, 403)
                denied = NotAllowed(reply.status, reply.detail) if is_denied else None
                self._listener.troubled(f"{reply.status}: {reply.detail}", denied)
                asked = LONGEST_PAUSE if is_denied else reply.retry_after
            if not self._pause(_seconds(attempt) if asked is None else min(asked, LONGEST_PAUSE)):
                return None
            attempt += 1

    def _settle(self, batch: Batch, reply: Reply) -> list[Batch]:
        """Tell what became of a batch; return what is to be posted in its place."""
        if reply.status in (200, 201):
            counts = reply.document
            self._listener.accepted(counts["stored"], counts["expired"])
            return []
        if reply.status == 413 and len(batch.events) > 1:
            return batch.halves()
        if reply.status == _TOO_MANY and not batch.has_one_series:
            return batch.by_series()
        named = _named(reply, len(batch.events)) if reply.status == 400 else {}
        if named:
            self._listener.refused([refused(batch.events[index], reason) for index, reason in named.items()])
            return batch.without(named)
        self._listener.refused([refused(event, reply.detail) for event in batch.events])
        return []


def _seconds(attempt: int) -> float:
    """Return the pause after an attempt: it grows, and differs between clients that lost the same server."""
    return float(min(FIRST_PAUSE * 2 ** min(attempt, 20), LONGEST_PAUSE) * random.uniform(0.75, 1.0))


def _decides(reply: Reply) -> bool:
    """Return False where the same bytes are to be sent again under the same key."""
    if reply.status in (200, 201):
        counts = reply.document  # a proxy's page of its own is no answer of the server
        return isinstance(counts, dict) and {type(counts.get(name)) for name in ("stored", "expired")} == {int}
    if reply.status == _TOO_MANY:
        return reply.retry_after is None
    return reply.status not in _AGAIN and reply.status not in (401, 403)


def _named(reply: Reply, size: int) -> dict[int, str]:
    """Return the reasons of a 400 by the index of the event; empty where it names none."""
    document = reply.document
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, dict):
        return {}
    return {
        int(index): _reasons(found)
        for index, found in errors.items()
        if index.isascii() and index.isdigit() and int(index) < size
    }


def _reasons(found: object) -> str:
    if isinstance(found, dict):
        return " ".join(f"{field}: {_reasons(inner)}" for field, inner in found.items())
    return " ".join(map(str, found)) if isinstance(found, list) else str(found)
