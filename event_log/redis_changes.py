"""Changes in the log on Redis: words and numbers, for the scripts that write them know their positions and horizon."""

from __future__ import annotations

from event_log.base import Change, KeepChange, LogDamaged, Rules, RulesChange, SeriesEnd


def parse_change(position: int, text: bytes) -> Change:
    """A change as the scripts write it. Raises LogDamaged."""
    kind, *words = text.split()
    try:
        numbers = [int(word) for word in words]
        if kind == b"keep":
            series, keep, horizon = numbers
            return KeepChange(position, horizon, series, keep)
        if kind == b"rules":
            retention, keep_last, horizon = numbers
            return RulesChange(position, horizon, Rules(retention, keep_last))
        if kind == b"end":
            (series,) = numbers
            return SeriesEnd(position, series)
    except ValueError as fault:
        raise LogDamaged(f"the change at position {position} cannot be read") from fault
    raise LogDamaged(f"the change at position {position} cannot be read")


def parse_passed(text: bytes) -> Change:
    """A change that the mark has passed. Raises LogDamaged."""
    position, _, change = text.partition(b" ")
    return parse_change(int(position), change)
