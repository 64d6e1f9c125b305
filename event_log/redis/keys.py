"""The keys of the store on Redis; one hash tag puts all into one slot of a Cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from event_log.errors import LogDamaged, LogUnavailable
from event_log.redis.faults import other_format

CHUNK = 1024 * 1024
"""Bytes of a blob that lie under one key, so that no command holds Redis for long."""


NAME = "tidemark log"
FORMAT = "3"
"""Format of the records and of all that stands beside them."""


class Mark(NamedTuple):
    """The stamp and the history that each write is compared with."""

    stamp: str
    """That of the Redis that was started or promoted last before a write."""
    history: int

    @classmethod
    def read(cls, data: bytes | None, where: str) -> Self:
        """From the field of the head. Raises LogDamaged for that of another format, LogUnavailable where there is none
        though a log was just begun."""
        if data is None:
            raise LogUnavailable(f"{where} has lost the log that was just begun")
        found, _, rest = data.decode(errors="replace").partition(" ")
        if found != FORMAT:
            raise cls.foreign(data, where)
        stamp, _, history = rest.partition(" ")
        return cls(stamp, int(history))

    @classmethod
    def foreign(cls, data: bytes, where: str) -> LogDamaged:
        """Return the error for that of another format."""
        found = data.decode(errors="replace").partition(" ")[0]
        return other_format(where, f"{NAME} {found}", f"{NAME} {FORMAT}")


class Keys(NamedTuple):
    """All but those of blobs."""

    head: bytes
    """The hash whose fields each append compares and counts."""
    stream: bytes
    """The records, each under `<position>-<number>`."""
    manifest: bytes
    lease: bytes
    """The process that may compact."""
    blob: bytes
    """Prefix of the key of each blob."""
    former: bytes
    """The head of logs in formats 1 and 2."""

    @classmethod
    def of(cls, name: str) -> Self:
        """Those of the log of this name."""
        own = [f"log:{key}" for key in cls._fields[:-1]]
        return cls(*[f"{{{name}}}:{key}".encode() for key in (*own, "head")])

    def chunks(self, names: Sequence[str]) -> list[bytes]:
        """Return the keys of these blobs. A name ends with the number of its chunks."""
        return [
            b"%s:%s:%d" % (self.blob, name.encode(), number)
            for name in names
            for number in range(int(name.partition(".")[2] or 1))
        ]
