"""What the log on Redis keeps about itself: the fields of one hash, as a reader finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from event_log.base import Rules

_NUMBERS = ("position", "horizon", "step", "mark", "trimmed", "changed", "folded", "sweep", "sweeping", "swept")
FIELDS = ("format", "id", "bytes", "stand", "rules", "base", "jumps", "lost", *_NUMBERS)


class Head(NamedTuple):
    """One reading of it."""

    format: str
    id: str
    """Random, of the log as long as it is this one."""
    position: int
    bytes_used: int
    """What is counted towards LOG_MAX_BYTES."""
    stand: str
    """The newest series, the token of its registration, that of the last end: who knows the same knows all series."""
    horizon: int
    step: int
    """How many steps of cleaning there have been."""
    mark: int
    trimmed: int
    """The stream has all behind it: the mark as it was a step before, for readers who lag a little."""
    changed: int
    """The position of the last change."""
    folded: int
    """The last change that nobody is told any more: it is part of what a reader from START begins with."""
    sweep: int
    """How far the kept events have been looked through in this round."""
    sweeping: int
    swept: int
    """Of this round and of the last full one: the last change that had been made when it began."""
    rules: Rules
    base: Rules
    """What a reader from START begins with."""
    jumps: tuple[tuple[int, int], ...]
    lost: int
    """Where the last jump began of which it is known that something was lost with it; -1 without one."""

    @classmethod
    def read(cls, values: Sequence[bytes | None]) -> Self | None:
        """From the answer to HMGET; None where there is no log."""
        if values[0] is None:
            return None
        found = dict(zip(FIELDS, [(value or b"").decode() for value in values], strict=True))
        return cls(
            format=found["format"],
            id=found["id"],
            stand=found["stand"],
            rules=_rules(found["rules"]),
            base=_rules(found["base"]),
            jumps=tuple(_jump(jump) for jump in found["jumps"].split()),
            lost=int(found["lost"] or -1),
            bytes_used=int(found["bytes"]),
            **{name: int(found[name]) for name in _NUMBERS},
        )


def _rules(text: str) -> Rules:
    retention, keep_last = text.split()
    return Rules(int(retention), int(keep_last))


def _jump(text: str) -> tuple[int, int]:
    start, end = text.split(":")
    return int(start), int(end)
