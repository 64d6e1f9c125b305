"""A checkpoint: the machine's state at one point of the log, as bytes.

It is made of named sections behind a JSON head, with one checksum. Series lie in columns, so that a million of them are
written and read in a fraction of a second. Idempotency records lie in runs of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from event_log.codec import Data
from event_log.digests import Digests
from event_log.errors import LogDamaged, LogUnavailable
from event_log.idempotency import Remembered
from event_log.leases import Lease, Leases
from event_log.machine import Machine
from event_log.port import Cursor
from event_log.rules import Rules
from event_log.series import Series
from event_log.tables import Row

VERSION = 1
_HEAD = Struct("<IHI")  # checksum of the rest, version, bytes of the JSON
_SERIES = np.dtype(
    [
        ("id", "<u4"),
        ("created", "<i8"),
        ("initial", "<f8"),
        ("keep", "<i8"),
        ("owner", "<u4"),
        ("latest", "<i8"),
        ("name", "<u2"),
    ]
)
_NO_KEEP = -1


@dataclass(frozen=True, slots=True)
class State:
    """A machine's state, which goes on changing: none of this does. Made in about 20 ms for a million series."""

    cursor: Cursor
    horizon: int
    rules: Rules
    claimed: int
    starts: list[bytes]
    jumps: list[tuple[int, int]]
    series: Mapping[int, Series]
    latest: NDArray[np.int64]
    next_id: int
    ended: Mapping[str, int]
    unknown_until: int
    forgotten: int
    buckets: list[tuple[str, float, int, float, int]]
    sweep_at: int
    digest: tuple[int, int]
    """The newest of the machine's digests, and the number of its record; 0 where there is none."""
    leases: list[tuple[str, Lease]] = field(default_factory=list)
    tables: list[tuple[str, str, Row]] = field(default_factory=list)
    newest: list[tuple[bytes, Remembered]] = field(default_factory=list)
    """The idempotency records that are in no run. No part of a packed checkpoint."""

    @classmethod
    def of(cls, machine: Machine) -> State:
        """That of a machine which is between two chunks."""
        table = machine.series
        return cls(
            machine.cursor,
            machine.horizon,
            machine.rules,
            machine.claimed,
            list(machine.starts),
            machine.jumps,
            dict(table.by_id),
            table.latest[: table.next_id].copy(),
            table.next_id,
            dict(table.ended),
            table.unknown_until,
            machine.done.forgotten,
            machine.buckets.items(),
            machine.buckets.sweep_at,
            machine.digests.last,
            machine.leases.items(),
            list(machine.tables),
            machine.done.newest(),
        )

    def machine(self) -> Machine:
        """A machine in this state, but for idempotency records."""
        machine = Machine(self.cursor)
        machine.horizon, machine.rules, machine.claimed = self.horizon, self.rules, self.claimed
        machine.starts = dict.fromkeys(self.starts)
        machine.jumps = list(self.jumps)
        machine.series.load(dict(self.series), self.latest, self.next_id)
        machine.series.ended = dict(self.ended)
        machine.series.unknown_until = self.unknown_until
        machine.done.forgotten = self.forgotten
        machine.buckets.load(self.buckets, self.sweep_at)
        machine.leases = Leases(self.leases)
        for table, key, row in self.tables:
            machine.tables.put(table, key, *row)
        machine.digests = Digests(self.digest)
        return machine


def pack(state: State, extra: Mapping[str, bytes] | None = None) -> bytes:
    """A checkpoint of a state; equal states give equal bytes. `extra`: sections of whoever else has something to
    add."""
    owners = list(dict.fromkeys(series.owner for series in state.series.values()))
    small = {
        "cursor": state.cursor,
        "horizon": state.horizon,
        "rules": state.rules,
        "claimed": state.claimed,
        "starts": [start.hex() for start in state.starts],
        "jumps": state.jumps,
        "next_id": state.next_id,
        "ended": state.ended,
        "unknown_until": state.unknown_until,
        "forgotten": state.forgotten,
        "buckets": state.buckets,
        "sweep_at": state.sweep_at,
        "digest": state.digest,
        "leases": state.leases,
        "tables": state.tables,
        "owners": owners,
    }
    names = [series.name.encode() for series in state.series.values()]
    sections = {"series": _series_rows(state, names, owners).tobytes(), "names": b"".join(names), **(extra or {})}
    head = json.dumps([small, {name: len(data) for name, data in sections.items()}]).encode()
    body = b"".join([head, *sections.values()])
    fixed = _HEAD.pack(0, VERSION, len(head))[4:]
    return crc32(body, crc32(fixed)).to_bytes(4, "little") + fixed + body


def _series_rows(state: State, names: list[bytes], owners: list[str]) -> NDArray[np.void]:
    numbers = {owner: number for number, owner in enumerate(owners)}
    return np.array(
        [
            (
                number,
                series.created,
                series.initial,
                _NO_KEEP if series.keep is None else series.keep,
                numbers[series.owner],
                state.latest[number],
                len(name),
            )
            for (number, series), name in zip(state.series.items(), names, strict=True)
        ],
        _SERIES,
    )


def unpack(data: Data) -> tuple[State, dict[str, memoryview]]:
    """The state, and the sections that others added. Raises LogDamaged, LogUnavailable."""
    view = memoryview(data)
    if len(view) < _HEAD.size:
        raise LogDamaged("a checkpoint is too short")
    checksum, version, size = _HEAD.unpack_from(view)
    if version != VERSION:
        raise LogUnavailable(f"the log has a checkpoint of version {version}; this release knows version {VERSION}")
    body = view[_HEAD.size :]
    if crc32(view[4:]) != checksum:
        raise LogDamaged("a checkpoint does not match its checksum")
    small, sizes = json.loads(bytes(body[:size]))
    sections, at = dict[str, memoryview](), size
    for name, length in sizes.items():
        sections[name] = body[at : at + length]
        at += length
    rows = np.frombuffer(sections.pop("series"), _SERIES)
    series = _series_of(rows, bytes(sections.pop("names")), small.pop("owners"))
    latest = np.zeros(small["next_id"], np.int64)
    latest[rows["id"]] = rows["latest"]
    return _state_of(small, series, latest), sections


def _state_of(small: dict[str, Any], series: dict[int, Series], latest: NDArray[np.int64]) -> State:
    small["cursor"], small["rules"] = Cursor(*small["cursor"]), Rules(*small["rules"])
    small["starts"] = [bytes.fromhex(start) for start in small["starts"]]
    small["jumps"] = [(start, to) for start, to in small["jumps"]]
    small["digest"] = tuple(small["digest"])
    small["buckets"] = [tuple(bucket) for bucket in small["buckets"]]
    small["leases"] = [(name, Lease(*lease)) for name, lease in small.get("leases", ())]
    small["tables"] = [(table, key, Row(*row)) for table, key, row in small.get("tables", ())]
    return State(series=series, latest=latest, **small)


def _series_of(rows: NDArray[np.void], names: bytes, owners: list[str]) -> dict[int, Series]:
    series, at = dict[int, Series](), 0
    columns = (rows[field].tolist() for field in ("id", "created", "initial", "keep", "owner", "name"))
    for number, created, initial, keep, owner, size in zip(*columns, strict=True):
        name = names[at : at + size].decode()
        at += size
        series[number] = Series(name, created, initial, None if keep == _NO_KEEP else keep, owners[owner])
    return series
