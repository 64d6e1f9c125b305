"""Safe retries: a request with an `Idempotency-Key` is done at most once, however often it is sent.

The record of it is stored in the same step as its events, so that no crash comes between the two and every worker finds
it. A request that is refused leaves none: put right, it may come again under its key.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b

from flask import Response, after_this_request, request

from api.context import service
from api.guard import current_key
from api.problems import Problem, invalid
from event_log.idempotency import Done
from event_log.outcomes import Repeated, Stored
from event_log.writes import PLAIN, Conditions, Once

KEY = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""The header that marks an answer given before."""
PATTERN = "[!-~]{1,255}"
"""Visible ASCII."""
_IN_ENVIRON = "HTTP_IDEMPOTENCY_KEY"
_NAMED = re.compile(PATTERN)


def at_most_once(kind: str, body: bytes, write: Callable[[Conditions], Stored]) -> Stored:
    """Run `write` for this request under its conditions, or return its earlier outcome. `body` is as
    it was sent, unpacked, and `kind` the media type it was read as.

    An idempotency record is looked for before anything is weighed: neither time nor a budget can refuse what was
    accepted. Where this process does not know of it yet, the log refuses the second write.
    """
    key = request.environ.get(_IN_ENVIRON)
    if key is None:
        return write(PLAIN)
    digest, sent = _digest_of_key(key), _digest_of_request(kind, body)
    done = service().recall(digest)
    if done is not None:
        return _again(done, sent)
    try:
        return write(Conditions(once=Once(digest, sent)))
    except Repeated as repeated:
        return _again(repeated.done, sent)


def _digest_of_key(key: str) -> bytes:
    """The key as the log knows it: each access key has its own, whatever its token is."""
    if _NAMED.fullmatch(key) is None:
        raise invalid({KEY: [f"Must be 1 to 255 visible ASCII characters, not {key[:100]!r}."]})
    owner = current_key()
    return _digest("" if owner is None else owner.name, key)


def _digest_of_request(kind: str, body: bytes) -> bytes:
    """Return a digest that equal requests share. The operation is called as its view is, wherever that is mounted."""
    view = (request.endpoint or "").rpartition(".")[2]
    return _digest(view, kind, body)


def _digest(*parts: str | bytes) -> bytes:
    """Return a digest of these parts. None but the last may have a NUL in it."""
    joined = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return blake2b(joined, digest_size=16).digest()


def _again(done: Done, sent: bytes) -> Stored:
    """Return the outcome of the request that decided; 422 where that was another one."""
    if done.body != sent:
        raise Problem(
            422, f"This {KEY} came before with another request (operation, media type or body); give this one its own."
        )
    after_this_request(_mark)
    return Stored(done.stored, done.expired, done.position)


def _mark(response: Response) -> Response:
    response.headers[REPLAYED] = "true"
    return response
