"""A checkpoint: the machine's state at one point of the log, as bytes.

It is made of named sections behind a JSON head, with one checksum. Series lie in columns, so that a million of them are
written and read in a fraction of a second. Idempotency records lie in runs of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from struct import Struct
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from event_log.codec import Data
from event_log.digests import Digests
from event_log.errors import LogDamaged, LogUnavailable
from event_log.leases import Lease, Leases
from event_log.machine import Machine
from event_log.port import Cursor
from event_log.rules import Rules
from event_log.series import Ends, Series, SeriesTable

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


def pack(machine: Machine, extra: Mapping[str, bytes] | None = None) -> bytes:
    """A checkpoint of a machine that is between two chunks; equal states give equal bytes. `extra`: sections of whoever
    else has something to add."""
    table, owners = machine.series, list(dict.fromkeys(series.owner for series in machine.series.by_id.values()))
    small = {
        "cursor": machine.cursor,
        "horizon": machine.horizon,
        "rules": machine.rules,
        "claimed": machine.claimed,
        "starts": [start.hex() for start in machine.starts],
        "jumps": machine.jumps,
        "next_id": table.next_id,
        "ended": table.ended.names,
        "unknown_until": table.ended.until,
        "forgotten": machine.done.forgotten,
        "buckets": machine.buckets.items(),
        "sweep_at": machine.buckets.sweep_at,
        "digest": machine.digests.last,
        "leases": machine.leases.items(),
        "tables": list(machine.tables),
        "owners": owners,
    }
    names = [series.name.encode() for series in table.by_id.values()]
    sections = {"series": _series_rows(table, names, owners).tobytes(), "names": b"".join(names), **(extra or {})}
    head = json.dumps([small, {name: len(data) for name, data in sections.items()}]).encode()
    body = b"".join([head, *sections.values()])
    fixed = _HEAD.pack(0, VERSION, len(head))[4:]
    return crc32(body, crc32(fixed)).to_bytes(4, "little") + fixed + body


def _series_rows(table: SeriesTable, names: list[bytes], owners: list[str]) -> NDArray[np.void]:
    numbers = {owner: number for number, owner in enumerate(owners)}
    return np.array(
        [
            (
                number,
                series.created,
                series.initial,
                _NO_KEEP if series.keep is None else series.keep,
                numbers[series.owner],
                table.latest[number],
                len(name),
            )
            for (number, series), name in zip(table.by_id.items(), names, strict=True)
        ],
        _SERIES,
    )


def unpack(data: Data) -> tuple[Machine, dict[str, memoryview]]:
    """A machine in that state, but for idempotency records, and the sections that others added. Raises LogDamaged,
    LogUnavailable."""
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
    machine = _machine_of(small)
    _take_up(machine.series, np.frombuffer(sections.pop("series"), _SERIES), bytes(sections.pop("names")), small)
    return machine, sections


def _machine_of(small: dict[str, Any]) -> Machine:
    machine = Machine(Cursor(*small["cursor"]))
    machine.horizon, machine.rules, machine.claimed = small["horizon"], Rules(*small["rules"]), small["claimed"]
    machine.starts = dict.fromkeys(bytes.fromhex(start) for start in small["starts"])
    machine.jumps = [(start, to) for start, to in small["jumps"]]
    machine.done.forgotten = small["forgotten"]
    machine.buckets.load(small["buckets"], small["sweep_at"])
    machine.leases = Leases((name, Lease(*lease)) for name, lease in small.get("leases", ()))
    for table, key, row in small.get("tables", ()):
        machine.tables.put(table, key, *row)
    machine.digests = Digests(tuple(small["digest"]))
    return machine


def _take_up(table: SeriesTable, rows: NDArray[np.void], names: bytes, small: dict[str, Any]) -> None:
    """Have a machine know its series."""
    owners, at = small["owners"], 0
    for number, created, initial, keep, owner, latest, size in rows.tolist():
        name = names[at : at + size].decode()
        at += size
        table.restore(number, Series(name, created, initial, None if keep == _NO_KEEP else keep, owners[owner]), latest)
    table.next_id, table.ended = small["next_id"], Ends(small["ended"], small["unknown_until"])
