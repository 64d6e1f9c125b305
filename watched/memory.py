"""The last good text of a file, where workers yet to come find it: in memory that they inherit from the process that
forks them. A worker that starts while the file is broken takes it from here, as those that run keep what they have."""

from __future__ import annotations

import mmap
import zlib

MOST_BYTES = 1_048_576
_HEAD = 8
"""Length and CRC-32 of what follows, so that half of a text is none."""


class Memory:
    """Room for one text. A write overwrites it; a read while that happens gives None."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, _HEAD + MOST_BYTES)  # anonymous and shared: it ends with its last process

    def put(self, text: bytes) -> None:
        """Keep this instead."""
        head = len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little")
        self._map[: _HEAD + len(text)] = head + text

    def get(self) -> bytes | None:
        """Return the text that was kept last; None if there is nothing whole."""
        length = int.from_bytes(self._map[:4], "little")
        text = self._map[_HEAD : _HEAD + length]
        return text if length and zlib.crc32(text) == int.from_bytes(self._map[4:_HEAD], "little") else None
