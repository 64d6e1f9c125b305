"""By what processes find out that they have come to different states at the same record of the log."""

from __future__ import annotations

from zlib import crc32

MOST = 1000
"""Maximum number of digests that are remembered: an hour's, where the retention is one."""


class Digests:
    """Digests of the states of a machine at some records, each chained with the one before."""

    def __init__(self, last: tuple[int, int] = (0, 0)) -> None:
        """Go on from the last one of a checkpoint, which is the number of a record and a digest."""
        self._digests = dict([last])

    @property
    def last(self) -> tuple[int, int]:
        """The newest one."""
        return next(reversed(self._digests.items()))

    def note(self, number: int, state: object) -> None:
        """Note what the machine has come to at a record."""
        self._digests[number] = crc32(repr(state).encode(), self.last[1])
        if len(self._digests) > MOST:
            del self._digests[next(iter(self._digests))]

    def agrees(self, other: tuple[int, int]) -> bool:
        """Return whether another machine has come to the same, as far as this one remembers."""
        number, digest = other
        return self._digests.get(number, digest) == digest
