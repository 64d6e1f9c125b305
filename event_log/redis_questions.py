"""What a reader of the log on Redis asks for, and what its place remembers."""

from __future__ import annotations

from typing import NamedTuple

from event_log.base import START, Place
from event_log.redis_head import FIELDS, Head
from event_log.redis_keys import Keys
from event_log.redis_session import Command

CHUNKS = 64
"""Of kept events, in one reading."""


class Note(NamedTuple):
    """What a place remembers beside its position."""

    log: str
    """The id of the log it is a place in."""
    told: int
    """The changes up to there are known to the reader."""
    kept: bool
    """Whether it is among the kept events before the mark."""
    newest: bytes
    """The id of the last entry read; if the history is still the same, it is there, or has been trimmed."""
    jumped: int
    """Where the last jump ended that the reader knows of."""


def questions(keys: Keys, step: int, place: Place, note: Note | None, count: int, *, kept: bool) -> dict[str, Command]:
    """Commands by name: what stands behind a place, `count` entries of it at most, or what is `kept` there; notes
    since a step of cleaning; and what tells whether all that is of one moment, and of the history that is known."""
    commands: dict[str, Command] = {
        "head": ("HMGET", keys.head, *FIELDS),
        "left": ("XRANGE", keys.left, f"{step + 1}-0", "+"),
    }
    if kept:
        commands["kept"] = (
            "ZRANGEBYSCORE",
            keys.kept,
            f"({place.position}",
            "+inf",
            "LIMIT",
            0,
            CHUNKS,
            "WITHSCORES",
        )
        commands["changes"] = ("ZRANGEBYSCORE", keys.changes, f"({place.position}", "+inf")
        if place == START:
            commands["base"] = ("HGETALL", keys.base)
    else:
        commands["stream"] = ("XRANGE", keys.stream, f"{place.position + 1}", "+", "COUNT", count)
    if note is not None and note.newest:
        commands["newest"] = ("XRANGE", keys.stream, note.newest, note.newest)
    commands["after"] = ("HMGET", keys.head, "id", "step")
    return commands


def lost_behind(head: Head, position: int, note: Note, *, there: bool) -> int | None:
    """Behind which position something has been lost that a reader has read who stands at `position`; None where nothing
    has. `there`: its newest entry is."""
    if note.log != head.id:
        return 0
    for start, end in head.jumps:
        if end > note.jumped and start < position <= end:
            return start
    if position > head.position:
        return head.position
    newest = int(note.newest.partition(b"-")[0] or 0)
    return head.trimmed if newest > head.trimmed and not there else None
