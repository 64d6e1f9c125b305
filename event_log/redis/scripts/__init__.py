"""The Lua scripts of the store on Redis: each a file of its own that says what it does, read once."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path
from typing import NamedTuple


class Script(NamedTuple):
    """A script and the name by which Redis knows it once it was loaded."""

    source: bytes
    sha: bytes


def _load(name: str, flags: str = "") -> Script:
    body = Path(__file__).with_name(f"{name}.lua").read_bytes()
    source = f"#!lua {flags}".strip().encode() + b"\n" + body
    return Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())


APPEND = _load("append")
HEAL = _load("append", "flags=allow-oom")
"""The same for records that make room, which a full Redis takes too."""
ARRIVE = _load("arrive", "flags=allow-oom")
SWAP = _load("swap", "flags=allow-oom")
ALL = (APPEND, HEAL, ARRIVE, SWAP)

# What a script answers when it has done nothing.
OTHER_MARK = -2  # Redis was started or promoted since the last write, or the log has another history
FULL = -3
STALE = -4
OTHER_KEYS = -5
