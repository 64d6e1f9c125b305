"""Reading of many timestamps at once: the result of `parse_timestamp` for each, in a tenth of its time.

Timestamps that stand together in a request are alike: the same length, the same zone, few distinct
minutes. So `parse_timestamp` reads each distinct minute once, calendar and zone included, and what
is left, seconds and their fraction, are columns of digits that numpy adds up. Whatever does not look
like that goes through `parse_timestamp` one by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from event_log.batch import Times
from times import SECOND, parse_timestamp
from view.portions import giving_way

_ALIKE = re.compile(
    r".{10}[Tt ](?:[01]\d|2[0-3]):[0-5]\d:"  # the minute
    r"[0-5]\d(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?P<zone>[Zz]|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_MINUTE = 17
"""Characters up to the seconds."""
_FRACTION = _MINUTE + 3
"""Index of the first decimal of a second."""
_WORTH_IT = 8
"""Minimum number of timestamps of one length: reading fewer one by one is as fast."""


def parse_timestamps(texts: Sequence[str]) -> Times:
    """`parse_timestamp` of each. Raises ValueError if any is not a timestamp."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    distinct = np.unique(lengths).tolist()
    if len(distinct) == 1:
        return _parse_group(texts)
    times = np.empty(len(texts), np.int64)
    for length in distinct:
        indexes = np.flatnonzero(lengths == length)
        times[indexes] = _parse_group([texts[i] for i in indexes.tolist()])
    return times


def _parse_group(texts: Sequence[str]) -> Times:
    """Timestamps of one length."""
    times = _parse_alike(texts) if len(texts) >= _WORTH_IT else None
    if times is None:
        return np.array([parse_timestamp(text) for text in giving_way(texts)], np.int64)
    return times


def _parse_alike(texts: Sequence[str]) -> Times | None:
    """None when they are not alike; then `parse_timestamp` reads each."""
    joined = "".join(texts)
    form = _ALIKE.fullmatch(texts[0])
    if form is None or not joined.isascii():
        return None
    zone = form["zone"] or ""
    minutes = [text[:_MINUTE] for text in texts]
    table = _minutes(set(minutes), zone)
    rows = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), -1)
    rest = _seconds_and_fraction(rows, len(form["fraction"] or ""), zone)
    if table is None or rest is None:
        return None
    return np.fromiter(map(table.__getitem__, minutes), np.int64, len(texts)) + rest


def _minutes(distinct: set[str], zone: str) -> dict[str, int] | None:
    table = {}
    for minute in distinct:
        text = f"{minute}00{zone}"
        if not _ALIKE.fullmatch(text):
            return None
        table[minute] = parse_timestamp(text)
    return table


def _seconds_and_fraction(rows: NDArray[np.uint8], decimals: int, zone: str) -> Times | None:
    """Return the seconds with their fraction, in microseconds; None unless every row has the form of the first."""
    digits = rows - np.uint8(ord("0"))
    seconds = digits[:, _MINUTE : _MINUTE + 2]
    fraction = digits[:, _FRACTION : _FRACTION + decimals]
    same = rows[:, rows.shape[1] - len(zone) :] == np.frombuffer(zone.encode(), np.uint8)
    points = rows[:, _FRACTION - 1 : _FRACTION] if decimals else rows[:, :0]
    is_point = (points == ord(".")) | (points == ord(","))
    if not (
        same.all() and is_point.all() and (seconds <= 9).all() and (fraction <= 9).all() and (seconds[:, 0] <= 5).all()
    ):
        return None
    scales = np.array([10 * SECOND, SECOND, *(10**power for power in range(5, 5 - min(decimals, 6), -1))])
    kept = np.hstack((seconds, fraction[:, :6])).astype(np.int64)
    micros: Times = kept @ scales
    return micros
