"""The Lua scripts of the store on Redis: each a file of its own that says what it does, read once."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import NamedTuple


class Script(NamedTuple):
    """A script and the name by which Redis knows it once it was loaded."""

    source: bytes
    sha: bytes


def _script(data: bytes) -> Script:
    return Script(data, sha1(data, usedforsecurity=False).hexdigest().encode())


def _load(name: str, flags: str = "") -> Script:
    body = Path(__file__).with_name(f"{name}.lua").read_bytes()
    return _script(f"#!lua {flags}".strip().encode() + b"\n" + body)


APPEND = _load("append")
HEAL = _load("append", "flags=allow-oom")
"""The same for records that make room, which a full Redis takes too."""
ARRIVE = _load("arrive", "flags=allow-oom")
FENCE = _load("fence", "flags=allow-oom")
TIME = _load("time", "flags=allow-oom")
SWAP = _load("swap", "flags=allow-oom")
TRIM = _load("trim", "flags=allow-oom")
LEASE = _load("lease", "flags=allow-oom")
ALL = (APPEND, HEAL, ARRIVE, FENCE, TIME, SWAP, TRIM, LEASE)

# What a script answers when it has done nothing.
ARRIVED = -2  # Redis was started or promoted since the last write; the link opens another connection after it
FULL = -3
FENCED = -4  # the connection was given up
OTHER_HISTORY = -5
STALE_FENCE = -6
STALE_HORIZON = -7
