"""A checkpoint: the machine's state at one point of the log, as lines of JSON behind one checksum.

The first line holds all but the series, and each further one a thousand of these: so no call holds the interpreter for
long. Idempotency records lie in runs of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any
from zlib import crc32

from event_log.codec import Data
from event_log.digests import Digests
from event_log.errors import LogDamaged, LogUnavailable
from event_log.leases import Lease, Leases
from event_log.machine import Machine
from event_log.port import Cursor
from event_log.rules import Rules
from event_log.series import Ends, Series

VERSION = 2
_HEAD = Struct("<IH")  # checksum of the rest, version
_ROWS = 1000


def pack(machine: Machine, thresholds: Mapping[int, Sequence[int]]) -> bytes:
    """A checkpoint of a machine that is between two chunks, and of the thresholds by series; equal states give equal
    bytes."""
    table = machine.series
    small = {
        "cursor": machine.cursor,
        "horizon": machine.horizon,
        "rules": machine.rules,
        "claimed": machine.claimed,
        "starts": list(machine.starts),
        "jumps": machine.jumps,
        "next_id": table.next_id,
        "ended": table.ended.names,
        "unknown_until": table.ended.until,
        "forgotten": machine.done.forgotten,
        "buckets": machine.buckets.items(),
        "digest": machine.digests.last,
        "leases": machine.leases.items(),
        "tables": list(machine.tables),
    }
    rows = [
        (number, series, int(table.latest[number]), thresholds.get(number)) for number, series in table.by_id.items()
    ]
    lines = [small, *(rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS))]
    rest = VERSION.to_bytes(2, "little") + "\n".join(map(json.dumps, lines)).encode()
    return crc32(rest).to_bytes(4, "little") + rest


def unpack(data: Data) -> tuple[Machine, dict[int, list[int]]]:
    """A machine in that state, but for idempotency records, and the thresholds. Raises LogDamaged, LogUnavailable."""
    if len(data) < _HEAD.size:
        raise LogDamaged("a checkpoint is too short")
    checksum, version = _HEAD.unpack_from(data)
    if version != VERSION:
        raise LogUnavailable(f"the log has a checkpoint of version {version}; this release knows version {VERSION}")
    if crc32(data[4:]) != checksum:
        raise LogDamaged("a checkpoint does not match its checksum")
    small, *rows = map(json.loads, bytes(data[_HEAD.size :]).split(b"\n"))
    machine, thresholds = _machine_of(small), dict[int, list[int]]()
    for number, series, latest, threshold in (row for some in rows for row in some):
        machine.series.restore(number, Series(*series), latest)
        if threshold is not None:
            thresholds[number] = threshold
    machine.series.next_id = small["next_id"]
    return machine, thresholds


def _machine_of(small: dict[str, Any]) -> Machine:
    machine = Machine(Cursor(*small["cursor"]))
    machine.horizon, machine.rules, machine.claimed = small["horizon"], Rules(*small["rules"]), small["claimed"]
    machine.starts = dict.fromkeys(small["starts"])
    machine.jumps = [(start, to) for start, to in small["jumps"]]
    machine.series.ended = Ends(small["ended"], small["unknown_until"])
    machine.done.forgotten = small["forgotten"]
    machine.buckets.load(small["buckets"])
    machine.leases = Leases((name, Lease(*lease)) for name, lease in small["leases"])
    for table, key, row in small["tables"]:
        machine.tables.put(table, key, *row)
    machine.digests = Digests(tuple(small["digest"]))
    return machine
