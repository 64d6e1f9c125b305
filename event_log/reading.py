"""From the records of a snapshot to columns, trusting nothing: each record must match its checksum, and none behind the
mark may be missing but where a change stands or positions have jumped."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from event_log.base import Change, Events, LogDamaged, Place, Times
from event_log.entries import unpack_position
from event_log.few import unpack_few
from event_log.records import Columns, Data, count_events, unpack_all

Item = tuple[Data, Data]
"""Key and record."""
Jumps = Sequence[tuple[int, int]]


def take(items: Iterable[Item], limit: int) -> tuple[list[Item], list[int], bool]:
    """Records until they hold `limit` events, how many each holds, and whether there are more."""
    taken: list[Item] = []
    counts: list[int] = []
    for item in items:
        if limit <= 0:
            return taken, counts, True
        count = count_events(item[1])
        taken.append(item)
        counts.append(count)
        limit -= count
    return taken, counts, False


def as_events(
    items: list[Item],
    counts: list[int],
    more: bool,
    *,
    after: int,
    changes: Sequence[Change],
    jumps: Jumps,
    end: int,
    horizon: int,
) -> Events:
    """The columns of these records, less what stands at or before `after`, with the changes between them; the log
    stands at `end`. Raises LogDamaged."""
    if not items:
        _explain(after, end, changes, jumps)
        return _without_events(after, changes, end, horizon)
    columns = unpack_few(items, after)
    if columns is None:
        columns = _unpack_many(items, counts, after, changes, jumps)
    last = unpack_position(items[-1][0])
    if not more:
        _explain(last, end, changes, jumps)
        last = end
    rows = slice(int(columns[0].searchsorted(after, side="right")) if columns[0][0] <= after else 0, None)
    told = [change for change in changes if change.position <= last]
    positions, ids, times, values = columns
    return Events(positions[rows], ids[rows], times[rows], values[rows], Place(last), horizon, told, more=more)


def _unpack_many(items: list[Item], counts: list[int], after: int, changes: Sequence[Change], jumps: Jumps) -> Columns:
    """The columns of any number of records, which stand where they may."""
    try:
        lasts = np.frombuffer(b"".join([key for key, _ in items]), ">u8").astype(np.int64)
        columns = unpack_all([data for _, data in items], lasts)
    except (struct.error, ValueError) as fault:
        raise LogDamaged(f"records behind position {after} cannot be read: {fault}") from fault
    _check_order(lasts, lasts - np.array(counts), after, changes, jumps)
    return columns


def _without_events(after: int, changes: Sequence[Change], end: int, horizon: int) -> Events:
    none = Events.none(Place(max(after, end)), horizon)
    if not changes:
        return none
    return Events(none.positions, none.ids, none.times, none.values, none.place, horizon, list(changes))


def _check_order(lasts: Times, starts: Times, after: int, changes: Sequence[Change], jumps: Jumps) -> None:
    """Each record starts where the one before it ends, unless something else stands between."""
    before = np.concatenate((np.minimum(starts[:1], after), lasts[:-1]))
    before[0] = max(int(before[0]), min(after, int(starts[0])))
    if np.any(starts < before):
        raise LogDamaged(f"records are out of order between positions {after} and {int(lasts[-1])}")
    for number in np.flatnonzero(starts > before).tolist():
        _explain(int(before[number]), int(starts[number]), changes, jumps)


def _explain(position: int, end: int, changes: Sequence[Change], jumps: Jumps) -> None:
    """Changes and jumps must fill what lies behind a position, up to another one. Raises LogDamaged."""
    if position >= end:
        return
    standing = {change.position for change in changes}
    while position < end:
        jumped = [to for start, to in jumps if start <= position < to]
        if position + 1 in standing:
            position += 1
        elif jumped:
            position = max(jumped)
        else:
            raise LogDamaged(f"records are missing behind position {position}")
