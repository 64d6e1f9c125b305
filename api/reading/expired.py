"""What the client is told of events that were older than the retention when they came."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from api.reading.columns import EventColumns
from times import format_duration, format_timestamp

_WITHOUT_ZONE = re.compile("[Tt ][^Zz+-]*$")


class Oldest(NamedTuple):
    """The oldest event of a request: its time, and its timestamp as it was sent."""

    time: int
    stamp: Any


def oldest_of_one(time: int | None, stamp: Any) -> Oldest:
    """Return the only event of a request, which had expired and so has a time."""
    assert time is not None
    return Oldest(time, stamp)


def oldest_of(events: EventColumns) -> Oldest:
    """Return the first of the oldest events of a batch in which some had expired."""
    assert events.times is not None
    assert events.stamps is not None
    index = int(events.times.argmin())
    return Oldest(int(events.times[index]), events.stamps[index])


def expired_detail(oldest: Oldest, retention: int) -> str:
    """Return how old the oldest event is, what the retention is, and that a time without a zone was read as UTC."""
    detail = (
        f"The oldest event is of {format_timestamp(oldest.time)}, and what is older than the retention "
        f"({format_duration(retention)}) is not stored."
    )
    if isinstance(oldest.stamp, str) and _WITHOUT_ZONE.search(oldest.stamp):
        detail += " Its timestamp has no zone and was read as UTC; write Z or an offset such as -04:00."
    return detail
