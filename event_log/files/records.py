"""Decode records: one by one, or runs of single events as columns; and find what is intact behind damage.

A record counts once a crc at or behind it matches, as each crc covers all records up to its own. So one call proves a
run by the crc of its last record, and a bit that flips inside a crc alone costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from event_log.codec import SINGLE, SINGLE_ROW, SINGLE_SIZE, Singles
from event_log.files.layout import BODY, CRC, FENCES, FLAGS, LOW, NO_HORIZON, RAISES, RECORD, TIMED, WORD
from event_log.port import Entry

RUN = 32
"""Minimum single events in a row that are decoded as columns."""
MOST_ROWS = 8192
"""Maximum rows of such columns: 320 KiB, which fit the processor's caches."""
_SINGLE = SINGLE_SIZE << 8 | SINGLE
_ROW = np.dtype([("crc", "<u4"), ("head", "<u4"), ("low", "<u4"), ("position", "<i8"), *SINGLE_ROW.descr])
_POSITION = (1 << FLAGS) - 1
_SEARCHED = 256 * 1024
"""Bytes that are searched at once."""
END = 2**63
ON_TRUST = -2
"""In place of a proof: the caller knows that the last record is intact."""


@dataclass(slots=True)
class Decoded:
    """Records found in some bytes, as far as they are proved."""

    number: int
    crc: int
    position: int
    entries: list[Entry | Singles] = field(default_factory=list)
    size: int = 0
    """Bytes up to the end of the last record that is proved."""
    horizon: int = NO_HORIZON
    fence: int = 0

    def publish(self, flags: int, number: int, horizon: int) -> None:
        """Note what a proved record publishes."""
        if flags & RAISES:
            self.horizon = max(self.horizon, horizon)
        if flags & FENCES:
            self.fence = number


def decode(
    data: bytes, number: int, crc: int, position: int, until: int = END, proof: int = -1, most: int = END
) -> Decoded:
    """Decode what stands behind a record with this number, crc and position, `until` the record with that number.

    `proof` is the crc of that one, where it is known from elsewhere. Where `most` positions are reached, it stops at
    the first record that is proved."""
    done = Decoded(number, crc, position)
    published: list[tuple[int, int, int, int]] = []
    offset = proved = singly_until = 0
    most, view = position + most, memoryview(data)
    while offset + RECORD.size <= len(data) and number < until and (position < most or offset > done.size):
        stored, head, low, behind = RECORD.unpack_from(data, offset)
        end = offset + RECORD.size + (head >> 8)
        if low != number + 1 & LOW or end > len(data):
            break
        rows = None
        if head == _SINGLE and offset >= singly_until:
            rows = _run(data, offset, min(until - number, max(1, most - position)))
        if rows is not None and not _is_intact(rows, crc, position):
            singly_until, rows = offset + rows.nbytes, None
        if rows is not None:
            crc = stored = int(rows["crc"][-1])
            done.entries.append(Singles(rows["position"].astype(np.int64), rows))
            number, position, offset = number + len(rows), position + len(rows), offset + rows.nbytes
        else:
            crc = crc32(view[offset + CRC.size : end], crc)
            number, flags, behind = number + 1, behind >> FLAGS, behind & _POSITION
            horizon, time, start = _before_payload(data, offset + RECORD.size, flags)
            done.entries.append(Entry(behind, time, head & 0xFF, behind - position, data[start:end]))
            if flags:
                published.append((end, flags, number, horizon))
            position, offset = behind, end
        if crc == stored or (number == until and proof in (crc, ON_TRUST)):
            done.number, done.crc, done.position, done.size = number, crc, position, offset
            proved = len(done.entries)
    del done.entries[proved:]
    for end, *words in published:
        if end <= done.size:
            done.publish(*words)
    return done


def _before_payload(data: bytes, start: int, flags: int) -> tuple[int, int, int]:
    """The horizon and the time before a payload, and where that begins."""
    horizon = time = 0
    if flags & RAISES and start + WORD.size <= len(data):
        horizon, start = WORD.unpack_from(data, start)[0], start + WORD.size
    if flags & TIMED and start + WORD.size <= len(data):
        time, start = WORD.unpack_from(data, start)[0], start + WORD.size
    return horizon, time, start


def _run(data: bytes, offset: int, most: int) -> NDArray[np.void] | None:
    """The records of single events in a row from here on, if they are enough to be columns."""
    count = min((len(data) - offset) // _ROW.itemsize, MOST_ROWS, most)
    last = offset + (RUN - 1) * _ROW.itemsize
    if count < RUN or BODY.unpack_from(data, last + CRC.size)[0] != _SINGLE:
        return None
    rows = np.frombuffer(data, _ROW, count, offset)
    same = rows["head"] == _SINGLE
    if not same.all():
        rows = rows[: int(same.argmin())]
    return rows if len(rows) >= RUN else None


def _is_intact(rows: NDArray[np.void], crc: int, position: int) -> bool:
    """Return whether these take one position each and match the crc of the last one. Complexity: O(bytes)."""
    table = rows.view(np.uint8).reshape(len(rows), -1)
    stored = int(rows["crc"][-1])
    return int(rows["position"][-1]) == position + len(rows) and crc32(table[:, CRC.size :].tobytes(), crc) == stored


class Anchor(NamedTuple):
    """A record behind which all is intact again, and where the next one begins."""

    offset: int
    number: int
    position: int
    crc: int


def resynchronise(data: bytes, number: int) -> Anchor | None:
    """Find the first two records in `data` that are linked by their crcs and stand behind the one with this number.

    Both are taken as lost: nothing proves the first one, so how many positions the second one takes is not known. That
    one is the anchor. `data` begins with what is damaged."""
    for offset in _candidates(data, number):
        stored, head, low, position = RECORD.unpack_from(data, offset)
        behind = offset + RECORD.size + (head >> 8)
        if behind + RECORD.size <= len(data):
            own, position = number + (low - number & LOW), position & _POSITION
            end = behind + RECORD.size + (BODY.unpack_from(data, behind + CRC.size)[0] >> 8)
            done = decode(data[behind:end], own, stored, position)
            if done.size:
                return Anchor(end, done.number, done.position, done.crc)
    return None


def _candidates(data: bytes, number: int) -> Iterator[int]:
    """Offsets at which a record may begin, by its number and its length."""
    raw = np.frombuffer(data.rstrip(b"\0"), np.uint8)
    most = len(raw) // RECORD.size + 1
    for start in range(0, len(raw), _SEARCHED):
        part = raw[start : start + _SEARCHED + RECORD.size]
        count = len(part) - RECORD.size
        if count > 0:
            ahead = (_words(part, 8, count) - np.uint32(number & LOW)).astype(np.int64)
            length = _words(part, 4, count) >> np.uint32(8)
            fits = (ahead > 0) & (ahead <= most) & (length < len(data) - start)
            yield from (np.flatnonzero(fits) + start).tolist()


def _words(raw: NDArray[np.uint8], shift: int, count: int) -> NDArray[np.uint32]:
    """The 32-bit numbers at each byte, read `shift` bytes further."""
    return np.ndarray(count, "<u4", raw, shift, (1,))
