"""Kinds of log in LOG_URL: how each is written there, whether processes can share it, and how it is opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from event_log.redis.url import OPTIONS, SCHEMES, parse_redis_url

if TYPE_CHECKING:
    from event_log.port import RecordStore

_SECRET = re.compile(r"(password=)[^&]*", re.IGNORECASE)
_MEMORY = "memory:"
FILE = "file:"
_LMDB = "lmdb:"


def checked_url(url: str) -> str:
    """The URL, if it names a log. Raises ValueError that says what to write."""
    if url == _MEMORY or (url.startswith(FILE) and url != FILE):
        return url
    if url.startswith(_LMDB):
        raise ValueError(
            "the log on LMDB is no more; write file: and the path of another folder, such as file:instance/events, and "
            "leave the old folder as it is: the release that wrote it still reads it"
        )
    if not is_on_this_machine(url):
        parse_redis_url(url)
        return url
    raise ValueError("write memory: or file: and a path, such as file:/var/lib/tidemark, or a redis:// URL")


def printable_url(url: str) -> str:
    """The URL without its secrets, for logs and errors; also one that is no good."""
    scheme, colon, rest = url.partition(":")
    if scheme in ("file", "lmdb"):
        return url
    location, mark, query = rest.partition("?")
    if "@" in query and "@" not in location and query.partition("=")[0] not in OPTIONS:
        location, mark, query = rest, "", ""  # a password that was to be percent-encoded
    if "@" in location:
        location = "//***@" + location.rpartition("@")[2]
    return scheme + colon + location + mark + _SECRET.sub(r"\1***", query)


def serves_many_processes(url: str) -> bool:
    """Return whether several processes see each other's events in this log; one in memory is each process's own."""
    return url != _MEMORY


def is_on_this_machine(url: str) -> bool:
    """Return whether nothing else has to be running for this log."""
    return url.partition("://")[0] not in SCHEMES


def open_store(url: str, *, max_bytes: int, sync: str) -> RecordStore:
    """The store of records that LOG_URL names. Only what it needs is imported: files need no Redis."""
    if url == _MEMORY:
        from event_log.memory_store import MemoryStore

        return MemoryStore()
    if url.startswith(FILE):
        from event_log.files.store import FilesStore

        path = Path(url.removeprefix(FILE))
        return FilesStore(path, max_bytes=max_bytes, sync=sync)
    from event_log.redis.store import RedisStore

    return RedisStore(parse_redis_url(url), max_bytes=max_bytes)
