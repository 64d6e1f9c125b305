"""The bytes of what a log keeps beside events: series, changes and memos, each with a checksum."""

from __future__ import annotations

from struct import Struct
from zlib import crc32

from event_log.base import Change, KeepChange, LogDamaged, Memo, Rules, RulesChange, Series, SeriesEnd
from event_log.records import Data, seal

_CHECKSUM = Struct("<I")
_POSITION = Struct(">Q")
_ID = Struct(">I")
_ID_POSITION = Struct(">IQ")
_SERIES = Struct("<qdqQQ")  # created, initial, keep (-1: none), forgotten, ended
_CHANGE = Struct("<BqIqq")  # kind, horizon, series, keep, retention
_MEMO = Struct("<QqBB")  # position, remembered until, lengths of body and answer
_RULES, _KEEP, _END = range(3)


def pack_position(position: int) -> bytes:
    """The key of what stands there: big-endian, so that the order of keys is the log's."""
    return _POSITION.pack(position)


def unpack_position(key: Data) -> int:
    """The position a key stands for."""
    position: int = _POSITION.unpack(key)[0]
    return position


def pack_id(number: int) -> bytes:
    """The key of a series."""
    return _ID.pack(number)


def unpack_id(key: Data) -> int:
    """The series a key stands for."""
    number: int = _ID.unpack(key)[0]
    return number


def pack_kept(series: int, position: int) -> bytes:
    """The key of a record of kept events of one series, the last of which stands at `position`."""
    return _ID_POSITION.pack(series, position)


def unpack_kept(key: Data) -> tuple[int, int]:
    """Series and position."""
    series, position = _ID_POSITION.unpack(key)
    return series, position


def pack_series(number: int, series: Series) -> bytes:
    keep = -1 if series.keep is None else series.keep
    fixed = _SERIES.pack(series.created, series.initial, keep, series.forgotten, series.ended)
    return guarded(fixed + series.name.encode(), number)


def unpack_series(number: int, data: Data) -> Series:
    """Raises LogDamaged."""
    body = unguarded(data, number, f"series {number}")
    created, initial, keep, forgotten, ended = _SERIES.unpack_from(body)
    return Series(
        body[_SERIES.size :].decode(), created, initial, None if keep < 0 else keep, forgotten=forgotten, ended=ended
    )


def pack_change(change: Change) -> bytes:
    if isinstance(change, RulesChange):
        body = _CHANGE.pack(_RULES, change.horizon, 0, change.rules.keep_last, change.rules.retention)
    elif isinstance(change, KeepChange):
        body = _CHANGE.pack(_KEEP, change.horizon, change.series, change.keep, 0)
    else:
        body = _CHANGE.pack(_END, 0, change.series, 0, 0)
    return guarded(body, change.position)


def unpack_change(position: int, data: Data) -> Change:
    """Raises LogDamaged."""
    body = unguarded(data, position, f"the change at position {position}")
    kind, horizon, series, keep, retention = _CHANGE.unpack_from(body)
    if kind == _RULES:
        return RulesChange(position, horizon, Rules(retention, keep))
    return KeepChange(position, horizon, series, keep) if kind == _KEEP else SeriesEnd(position, series)


def pack_memo(memo: Memo, until: int) -> bytes:
    fixed = _MEMO.pack(memo.position, until, len(memo.body), len(memo.answer))
    return guarded(fixed + memo.body + memo.answer, 0)


def unpack_memo(data: Data) -> tuple[Memo, int]:
    """The memo, and until when it is remembered. Raises LogDamaged."""
    body = unguarded(data, 0, "a memo")
    position, until, length, _ = _MEMO.unpack_from(body)
    split = _MEMO.size + length
    return Memo(body[_MEMO.size : split], body[split:], position), until


def guarded(body: bytes, place: int) -> bytes:
    """A checksum of the body, sealed with its place, before it."""
    return _CHECKSUM.pack(crc32(body) ^ seal(place)) + body


def unguarded(data: Data, place: int, what: str) -> bytes:
    """The body behind a checksum. Raises LogDamaged, naming `what` is wrong."""
    body = bytes(data[_CHECKSUM.size :])
    if len(data) < _CHECKSUM.size or _CHECKSUM.unpack_from(data)[0] != crc32(body) ^ seal(place):
        raise LogDamaged(f"{what} does not match its checksum")
    return body
