"""The keys of the store on Redis; one hash tag puts all into one slot of a Cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from event_log.errors import LogDamaged, LogUnavailable

CHUNK = 1024 * 1024
"""Bytes of a blob that lie under one key, so that no command holds Redis for long."""


NAME = "tidemark log"
FORMAT = "4"
"""Format of the records and of all that stands beside them."""


def history_of(mark: bytes | None, where: str) -> int:
    """Return the history that a mark names, the field of the head with which each write is compared: format, stamp of
    the Redis that wrote last, history. Raises LogDamaged for that of another format, LogUnavailable where there is none
    though a log was just begun."""
    if mark is None:
        raise LogUnavailable(f"{where} has lost the log that was just begun")
    words = mark.decode(errors="replace").split()
    if words[:1] != [FORMAT]:
        raise other_format(where, f"{NAME} {''.join(words[:1])}")
    return int(words[-1])


def other_format(where: str, found: str) -> LogDamaged:
    """Return the error for a log of another version."""
    own = f"{NAME} {FORMAT}"
    return LogDamaged(f"{where} holds {found!r}, not {own!r}; name another log with ?name= in TIDEMARK_LOG_URL")


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
        """Return the keys of the log of this name."""
        own = [f"log:{key}" for key in cls._fields[:-1]]
        return cls(*[f"{{{name}}}:{key}".encode() for key in (*own, "head")])

    def chunks(self, names: Sequence[str]) -> list[bytes]:
        """Return the keys of these blobs."""
        return [
            b"%s:%s:%d" % (self.blob, name.encode(), start // CHUNK)
            for name in names
            for start in range(0, blob_bytes([name]) or 1, CHUNK)
        ]


def blob_bytes(names: Sequence[str]) -> int:
    """Return the bytes of these blobs: a name ends with its own."""
    return sum(int(name.partition(".")[2] or 0) for name in names)
