"""One connection to Redis over a socket of our own: commands go out in one piece, hiredis parses the answers.

redis-py takes longer to pack a command and to hand an answer on than Redis takes to work it out.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any, NamedTuple

from hiredis import Reader, pack_command
from redis.exceptions import ResponseError

from event_log.redis.scripts import Script
from event_log.redis.url import RedisUrl

PATIENCE = 1.0
"""Seconds after which an answer counts as lost, and the connection with it."""
BUFFER = 1 << 18
"""Bytes taken from the socket at a time."""
_INCOMPLETE = object()
Command = tuple[bytes | str | int, ...]
Reply = Any
"""An answer as Redis sent it, or the error it sent."""


class Packed(NamedTuple):
    """Commands as they are sent."""

    data: bytes
    answers: int

    def __add__(self, other: object) -> Packed:
        """These commands, then the others."""
        if not isinstance(other, Packed):
            return NotImplemented
        return Packed(self.data + other.data, self.answers + other.answers)


NOTHING = Packed(b"", 0)


def pack(*commands: Command) -> Packed:
    """Return the bytes to send for these commands."""
    return Packed(b"".join([pack_command(command) for command in commands]), len(commands))  # type: ignore[arg-type]


def call(script: Script, keys: tuple[bytes, ...], *arguments: bytes | str | int) -> Command:
    """Return the command that runs a script."""
    return (b"EVALSHA", script.sha, len(keys), *keys, *arguments)


class Connection:
    """An open connection, for one thread or greenlet at a time."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._reader = Reader(protocolError=OSError, replyError=ResponseError, notEnoughData=_INCOMPLETE)
        self._buffer = bytearray(BUFFER)

    def trip(self, packed: Packed) -> list[Reply]:
        """Send commands and return all answers, errors among them. Raises OSError when it broke."""
        sent = self._socket.send(packed.data)  # under gevent cheaper than `sendall`, which looks at the socket's buffer
        if sent < len(packed.data):
            self._socket.sendall(memoryview(packed.data)[sent:])
        replies: list[Reply] = []
        while len(replies) < packed.answers:
            reply = self._reader.gets()
            if reply is _INCOMPLETE:
                self._receive()
            else:
                replies.append(reply)
        return replies

    def close(self) -> None:
        """Let go of it, whatever state it is in."""
        self._socket.close()

    def _receive(self) -> None:
        received = self._socket.recv_into(self._buffer)
        if not received:
            raise ConnectionResetError("Connection closed by server.")
        self._reader.feed(self._buffer, 0, received)  # type: ignore[arg-type]


def connect(url: RedisUrl, address: tuple[str, int] | None) -> socket.socket:
    """Connect to an address, or to the socket in the file system that the URL names. Raises OSError."""
    opened = socket.socket(socket.AF_UNIX) if address is None else socket.create_connection(address, PATIENCE)
    try:
        opened.settimeout(PATIENCE)
        if address is None:
            opened.connect(url.path or "")
            return opened
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened if url.tls is None else _context(url.tls).wrap_socket(opened, server_hostname=address[0])
    except BaseException:  # also in a greenlet that is killed
        opened.close()
        raise


def _context(tls: dict[str, Any]) -> ssl.SSLContext:
    """Certificates are always verified."""
    context = ssl.create_default_context(cafile=tls.get("ssl_ca_certs"))
    if "ssl_certfile" in tls:
        context.load_cert_chain(tls["ssl_certfile"], tls.get("ssl_keyfile"))
    return context
