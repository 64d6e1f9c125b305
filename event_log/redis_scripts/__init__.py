"""The Lua scripts of the log on Redis: each a file of its own that says what it does, read once. What several need is
a file too, which stands in the place of a line `--include` with its name."""

from __future__ import annotations

import re
from hashlib import sha1
from pathlib import Path
from typing import NamedTuple


class Script(NamedTuple):
    """A script and the name by which Redis knows it once it was loaded."""

    source: bytes
    sha: bytes


_INCLUDE = re.compile(rb"^--include (\w+)\n", re.MULTILINE)


def _read(name: str) -> bytes:
    return Path(__file__).with_name(f"{name}.lua").read_bytes()


def _load(name: str) -> Script:
    source = _INCLUDE.sub(lambda line: _read(line[1].decode()), _read(name))
    return Script(source, sha1(source, usedforsecurity=False).hexdigest().encode())


APPEND = _load("append")
WRITE = _load("write")
CLAIM = _load("claim")
END_SERIES = _load("end_series")
ARRIVE = _load("arrive")
LOSE = _load("lose")
FENCE = _load("fence")
CLEAN = _load("clean")
CHECK = _load("check")
ALL = (APPEND, WRITE, CLAIM, END_SERIES, ARRIVE, LOSE, FENCE, CLEAN, CHECK)
MOST_JUMPS = 256
"""So many are remembered."""

# What a script answers when it has done nothing.
REFRESH = -1  # the writer does not know the series as they are
ARRIVED = -2  # Redis was started or promoted since the last write
FULL = -3
FENCED = -4  # the connection was given up
NO_LOG = -5
SERIES = -6  # too many
KEEPERS = -7  # too many
BUDGET = -8
DONE = -9
MOVED = -10
OTHER_KEYS = -11
OTHER_FORMAT = -12
