"""Heads of plain requests: read by two expressions, and known again byte for byte.

What the expressions match, gunicorn's strict parser reads alike (`tests/serving/test_heads.py` compares the two over
random heads); whatever they do not match goes to that parser. They match no more than the fast path has a use for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from api.fast_path import Way

END = b"\r\n\r\n"
LONGEST = 4094
"""Bytes of a head that is read here: below every limit of gunicorn's parser."""
MOST_KNOWN = 1024
"""Heads that are known again, and as many that have been seen once."""
_REQUEST_LINE = re.compile(rb'(GET|POST) (/[!"$-~]*) HTTP/1\.1\r\n')
_FIELDS = re.compile(rb"(?:[A-Za-z-]+:[\t -~\x80-\xff]*\r\n){1,100}\r\n")

Peer = tuple[str | None, str | None]
"""Addresses of both ends of a connection, without ports; None on a Unix socket."""


class Head(NamedTuple):
    """A head as gunicorn's parser reads it. No name comes twice."""

    method: str
    path: str
    """Percent-decoded, as PATH_INFO."""
    query: str
    fields: dict[str, str]
    """Values by names in capitals."""


def read(head: bytes) -> Head | None:
    """Return the head, which ends with an empty line; None if it is not a plain one."""
    line = _REQUEST_LINE.match(head)
    if line is None or len(head) > LONGEST or not _FIELDS.fullmatch(head, line.end()):
        return None
    lines = head[line.end() : -len(END)].decode("latin-1").split("\r\n")
    # Split at the colon, then stripped: an expression with optional spaces around a value takes quadratic time.
    parts = [field.partition(":") for field in lines]
    fields = {name.upper(): value.strip(" \t") for name, _, value in parts}
    if len(fields) != len(lines):
        return None
    path, _, query = line[2].decode().partition("?")
    return Head(line[1].decode(), unquote_to_bytes(path).decode("latin-1"), query, fields)


class Heads:
    """Finds the way of a head: in a table of those seen before, or by reading it.

    A head is kept from its second sight on, so that heads which come but once, such as those with a request id, push
    out nothing.
    """

    def __init__(self, way_of: Callable[[Head, Peer], Way | None]) -> None:
        self._way_of = way_of
        self._known: dict[tuple[Peer, bytes], Way] = {}
        self._seen: dict[int, None] = {}

    def way(self, head: bytes, peer: Peer) -> Way | None:
        """Return the way of a head that came over a connection with these ends; None: it has none."""
        key = peer, head
        way = self._known.get(key)
        if way is None and (found := read(head)) is not None:
            way = self._way_of(found, peer)
            if way is not None:
                self._note(key, way)
        return way

    def __len__(self) -> int:
        return len(self._known)

    def _note(self, key: tuple[Peer, bytes], way: Way) -> None:
        sight = hash(key)
        if sight in self._seen:
            _put(self._known, key, way)
        else:
            _put(self._seen, sight, None)


def _put(table: dict[Any, Any], key: object, value: object) -> None:
    table[key] = value
    if len(table) > MOST_KNOWN:
        del table[next(iter(table))]
