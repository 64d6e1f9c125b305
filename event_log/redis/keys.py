"""The keys of the store on Redis; one hash tag puts all into one slot of a Cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

CHUNK = 1024 * 1024
"""Bytes of a blob that lie under one key, so that no command holds Redis for long."""


class Keys(NamedTuple):
    """All but those of blobs."""

    head: bytes
    """What is compared and counted with each append: one hash."""
    stream: bytes
    """The records, each under `<position>-<number>`."""
    manifest: bytes
    lease: bytes
    """Who may compact."""
    blob: bytes
    """What the key of each blob begins with."""

    @classmethod
    def of(cls, name: str) -> Self:
        """Those of the log of this name."""
        return cls(*(f"{{{name}}}:log:{key}".encode() for key in cls._fields))

    def chunks(self, names: Sequence[str]) -> list[bytes]:
        """The keys of these blobs. A name ends with the number of its chunks."""
        return [
            b"%s:%s:%d" % (self.blob, name.encode(), number)
            for name in names
            for number in range(int(name.partition(".")[2] or 1))
        ]
