"""Retrying: the same request again and again, until its answer decides what became of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count

from tidemark.errors import Unanswered
from tidemark.transport import Reply

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 30.0
"""Seconds between two attempts: doubled each time, up to this."""
_TEMPORARY = {408, 500, 502, 503, 504}
TOO_MANY = 429
"""With `Retry-After` events come too fast; without, there are too many series, and no repetition helps."""


def retry(attempt: Callable[[], Reply], pause: Callable[[float], bool], longest: float | None = None) -> Reply | None:
    """Return the first answer that is not temporary. Between two attempts `pause` waits so many seconds, at least as
    long as the server asks for; where it answers False, give up and return None."""
    for number in count():
        asked = 0.0
        try:
            reply = attempt()
        except Unanswered:
            pass  # the attempt may have arrived all the same: the next one has the same key
        else:
            if not is_temporary(reply):
                return reply
            asked = reply.retry_after or 0.0
        if not pause(min(max(asked, _growing(number, longest or LONGEST_PAUSE)), LONGEST_PAUSE)):
            return None
    raise AssertionError("unreachable: the numbers have no end")


def is_temporary(reply: Reply) -> bool:
    """Return True where the same bytes are to be sent again under the same key."""
    return reply.status in _TEMPORARY or (reply.status == TOO_MANY and reply.retry_after is not None)


def _growing(number: int, longest: float) -> float:
    """Return the seconds after an attempt, which differ between clients that lost the same server."""
    return float(min(FIRST_PAUSE * 2 ** min(number, 20), longest) * random.uniform(0.75, 1.0))
