"""Part of an answer about events that were older than the retention when they came."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from api.reading.columns import EventColumns
from event_log.batch import ON_ARRIVAL
from times import format_duration, format_timestamp

_WITHOUT_ZONE = re.compile("[Tt ][^Zz+-]*$")


class Oldest(NamedTuple):
    """The oldest event of a request: its time, and its timestamp as it was sent."""

    time: int
    stamp: Any


def oldest_of_one(time: int | None, stamp: Any) -> Oldest | None:
    """Return the only event of a request; None if it was stamped on arrival."""
    return None if time is None else Oldest(time, stamp)


def oldest_of(events: EventColumns) -> Oldest | None:
    """Return the first of the oldest events of a batch; None if all were stamped on arrival."""
    if events.times is None or events.stamps is None:
        return None
    index = int(events.times.argmin())
    time = int(events.times[index])
    return None if time == ON_ARRIVAL else Oldest(time, events.stamps[index])


def expired_detail(oldest: Oldest | None, retention: int) -> str:
    """Return a sentence about the oldest event and the retention, and whether a time without a zone was read as UTC."""
    if oldest is None:  # another process has let more expire since, by a clock that is ahead of this one
        return "Events were stamped on arrival with a time that had expired: the server's clock is behind; see /health."
    detail = (
        f"The oldest event is of {format_timestamp(oldest.time)}, and what is older than the retention "
        f"({format_duration(retention)}) is not stored."
    )
    if isinstance(oldest.stamp, str) and _WITHOUT_ZONE.search(oldest.stamp):
        detail += " Its timestamp has no zone and was read as UTC; write Z or an offset such as -04:00."
    return detail
