"""Bodies that travel as gzip (RFC 9110, 8.4): unpacked within bounds on the way in, offered on the way out."""

from __future__ import annotations

import zlib

from flask import Response, request

from event_log.aside import give_way

GZIP = "gzip"
WORTH_IT = 1400
"""Bytes; a smaller answer fits into one packet as it is."""
MOST_MEMBERS = 1000
"""Maximum number of gzip members of one body; each costs some microseconds, however little it holds."""
_GZIP_FORMAT = 31
_FASTEST = 1
"""Measured on a listing of 1,000 series (164 kB): 0.5 ms and 16 % of its size; level 6 takes 1.7 ms for 14 %."""
_PORTION = 256 * 1024
"""Bytes packed at a time, about 1 ms; other requests come between."""
_FED = 16 * 1024
"""Bytes unpacked at a time, so that what follows a member is copied in small pieces only."""


class TooLarge(ValueError):
    """The body unpacks to more than is allowed."""


def unpack(body: bytes, most: int) -> bytes:
    """Unpack a gzip body of one member or several. Never makes more than `most` bytes: raises
    TooLarge.

    Raises ValueError where it is no gzip, broke off, or is followed by something else.
    """
    parts: list[bytes] = []
    position = members = 0
    while position < len(body):
        members += 1
        if members > MOST_MEMBERS:
            raise ValueError(f"more than {MOST_MEMBERS} members")
        position, most = _unpack_member(body, position, most, parts)
    return b"".join(parts)


def _unpack_member(body: bytes, position: int, most: int, parts: list[bytes]) -> tuple[int, int]:
    """Append the content of the member at `position`; return its end, and the bytes still allowed after it."""
    member = zlib.decompressobj(_GZIP_FORMAT)
    while not member.eof:
        if position == len(body):
            raise ValueError("it broke off")
        fed = body[position : position + _FED]
        try:
            found = member.decompress(fed, most + 1)
        except zlib.error as fault:
            raise ValueError(str(fault)) from fault
        if len(found) > most:
            raise TooLarge
        most -= len(found)
        parts.append(found)
        position += len(fed) - len(member.unused_data)
    return position, most


def pack(body: bytes) -> bytes:
    """The body as gzip, the same whenever it is made."""
    packer = zlib.compressobj(_FASTEST, wbits=_GZIP_FORMAT)
    parts = []
    for start in range(0, len(body), _PORTION):
        if start:
            give_way()
        parts.append(packer.compress(body[start : start + _PORTION]))
    return b"".join((*parts, packer.flush()))


def is_wanted() -> bool:
    """Return whether the client takes gzip, and not more gladly the answer as it is."""
    accepted = request.accept_encodings
    return accepted.quality(GZIP) > 0 and accepted.quality(GZIP) >= accepted.quality("identity")


def offer(response: Response) -> Response:
    """A large answer that has its body as bytes, as gzip where the client takes that."""
    response.vary.add("Accept-Encoding")
    if is_wanted():
        response.set_data(pack(response.get_data()))
        response.content_encoding = GZIP
    return response
