"""Delivery: one batch after the other, each repeated under its key until it is known what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from tidemark import retrying
from tidemark.batches import Batch, refused
from tidemark.buffer import Sent
from tidemark.errors import NotAllowed, RefusedEvent, Unanswered
from tidemark.retrying import TOO_MANY, is_temporary, retry
from tidemark.transport import Reply

_STORED = (200, 201)
_DENIED = (401, 403)


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
        while True:
            reply = retry(partial(self._attempt, batch), self._pause)
            if reply is None or reply.status not in _DENIED:
                return reply
            self._listener.troubled(_words(reply), NotAllowed(reply.status, reply.detail))
            if not self._pause(retrying.LONGEST_PAUSE):
                return None

    def _attempt(self, batch: Batch) -> Reply:
        try:
            reply = self._post("/events", batch.body, batch.key)
            if reply.status in _STORED and not _has_counts(reply):
                raise Unanswered("what answers is not Tidemark")  # a proxy's page of its own
        except Unanswered as fault:
            self._listener.troubled(str(fault), None)
            raise
        if is_temporary(reply):
            self._listener.troubled(_words(reply), None)
        return reply

    def _settle(self, batch: Batch, reply: Reply) -> list[Batch]:
        """Tell what became of a batch; return what is to be posted in its place."""
        if reply.status in _STORED:
            counts = reply.document
            self._listener.accepted(counts["stored"], counts["expired"])
            return []
        if reply.status == 413 and len(batch.events) > 1:
            return batch.halves()
        if reply.status == TOO_MANY and not batch.has_one_series:
            return batch.by_series()
        named = _named(reply, len(batch.events)) if reply.status == 400 else {}
        if named:
            self._listener.refused([refused(batch.events[index], reason) for index, reason in named.items()])
            return batch.without(named)
        self._listener.refused([refused(event, reply.detail) for event in batch.events])
        return []


def _words(reply: Reply) -> str:
    return f"{reply.status}: {reply.detail}"


def _has_counts(reply: Reply) -> bool:
    counts = reply.document
    return isinstance(counts, dict) and {type(counts.get(name)) for name in ("stored", "expired")} == {int}


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
