"""Entries of the stream of the log on Redis: what they hold, and whether they stand in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from event_log.base import Change, LogDamaged, Times
from event_log.records import SINGLE_SIZE, Columns, count_events, unpack_all
from event_log.redis_changes import parse_change
from event_log.redis_head import Head
from event_log.redis_kept import NOTHING
from event_log.redis_scripts import MOST_JUMPS

Entry = tuple[bytes, Sequence[bytes]]
"""Id, and the name and value of its field."""


def position_of(entry: Entry) -> int:
    """Where its last event stands, or its change."""
    return int(entry[0].partition(b"-")[0])


def run_of(entries: Sequence[Entry], after: int) -> tuple[int, bytes] | None:
    """Where all of these are single events in a row: where the last one stands, and the run of them, which is checked
    and unpacked at once. They are in order, so the ends tell."""
    if not entries or {len(entry[1][1]) for entry in entries} != {SINGLE_SIZE}:
        return None
    first, last = position_of(entries[0]), position_of(entries[-1])
    if first != after + 1 or last - first + 1 != len(entries) or {entry[1][0] for entry in entries} != {b"e"}:
        return None
    return last, b"".join([entry[1][1] for entry in entries])


def take(entries: Sequence[Entry], limit: int) -> tuple[Sequence[Entry], list[int]]:
    """Entries until they hold `limit` events, and how many positions each takes."""
    counts = []
    for entry in entries:
        counts.append(count_events(entry[1][1]) if entry[1][0] == b"e" else 1)
        limit -= counts[-1]
        if limit <= 0:
            break
    return entries[: len(counts)], counts


def check_row(head: Head, after: int, lasts: Times, counts: Times) -> None:
    """Raises LogDamaged where something is missing between these, which end there and take so many positions each."""
    before = lasts - counts
    follows = np.concatenate(([min(after, int(before[0]))], lasts[:-1]))
    for index in np.flatnonzero(before != follows).tolist():
        if not _leads(head, int(follows[index]), int(before[index])):
            raise LogDamaged(f"records are missing between positions {follows[index]} and {before[index]}")
    if before[0] > after and not _leads(head, after, int(before[0])):
        raise LogDamaged(f"records are missing between positions {after} and {int(before[0])}")


def split(taken: Sequence[Entry], lasts: Times) -> tuple[list[Change], Columns]:
    """The changes, and the columns of the events. Raises LogDamaged."""
    chosen = [i for i, entry in enumerate(taken) if entry[1][0] == b"c"]
    if not chosen:
        return [], unpack_all([entry[1][1] for entry in taken], lasts)
    changes = [parse_change(int(lasts[i]), taken[i][1][1]) for i in chosen]
    others = np.delete(np.arange(len(taken)), chosen)
    columns = unpack_all([taken[i][1][1] for i in others.tolist()], lasts[others]) if len(others) else NOTHING
    return changes, columns


def behind(columns: Columns, position: int) -> Columns:
    """The rows behind a position."""
    if not len(columns[0]) or columns[0][0] > position:
        return columns
    start = int(np.searchsorted(columns[0], position, side="right"))
    positions, ids, times, values = columns
    return positions[start:], ids[start:], times[start:], values[start:]


def jumped(head: Head, position: int, to: int | None = None) -> int:
    """Where the jumps lead that begin at a position, or at another one that a jump led to; at most `to`."""
    for start, end in head.jumps:
        if start == position and (to is None or end <= to):
            position = end
    return position


def _leads(head: Head, position: int, to: int) -> bool:
    """Whether jumps lead from one position to another: those remembered, behind older ones where there were more."""
    if len(head.jumps) >= MOST_JUMPS and position < head.jumps[0][0]:
        position = min(to, head.jumps[0][0])
    return jumped(head, position, to) == to


def last_jump(head: Head) -> int:
    return head.jumps[-1][1] if head.jumps else 0
