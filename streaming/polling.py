"""Sockets watched without a thread each, for clients that have left and for clients that have said something.

A stream on which nothing is sent would notice neither. So one `poll` looks at all their sockets, again and again, and
the kernel is told how long to wait for an acknowledgement.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import Generic, TypeVar

from gevent.monkey import get_original

UNANSWERED_MS = 30_000
"""Milliseconds without an acknowledgement after which the kernel gives up on a client that vanished without a word."""
DISCONNECTED = getattr(select, "POLLRDHUP", 0)
"""Set when the client has closed its side, whatever it sent before; Linux has it, elsewhere a hang-up must do."""
READABLE = select.POLLIN
"""Set when there are bytes to read, or the client has closed its side."""

Owner = TypeVar("Owner")


class SocketPoll(Generic[Owner]):
    """The sockets that are watched for one kind of event, and their owners. Not thread-safe."""

    def __init__(self, event: int) -> None:
        # gevent's own poll would wait in its loop; the real one, told not to wait, costs 0.2 us a socket.
        self._poll = get_original("select", "poll")()
        self._event = event
        self._owners: dict[int, Owner] = {}

    def __bool__(self) -> bool:
        return bool(self._owners)

    def watch(self, fileno: int, owner: Owner) -> None:
        """Watch this descriptor; -1 is nobody's."""
        if fileno >= 0:
            self._poll.register(fileno, self._event)
            self._owners[fileno] = owner

    def forget(self, fileno: int, owner: Owner) -> None:
        """Watch no longer, unless the descriptor has become another's by now."""
        if self._owners.get(fileno) is owner:
            self._poll.unregister(fileno)
            del self._owners[fileno]

    def found(self) -> list[Owner]:
        """Return the owners of all sockets with the event; costs one system call."""
        return [self._owners[fileno] for fileno, _ in self._poll.poll(0)]


def is_disconnected(sock: socket.socket) -> bool:
    """Say whether the client has closed its side."""
    poll: SocketPoll[None] = SocketPoll(DISCONNECTED)
    poll.watch(sock.fileno(), None)
    return bool(poll.found())


def notice_silence(sock: socket.socket) -> None:
    """Let the kernel end the connection when heartbeats go unacknowledged; it would try for 15 minutes."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # a client that left at once may have had its socket closed already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)


def disconnect(sock: socket.socket) -> None:
    """End the connection, so that whoever waits to write there gets an error of the kernel's.

    Through another object for the same connection: the `shutdown` of gevent's socket throws EBADF into who waits, which
    gunicorn logs at length, and that of a TLS socket first takes the layer from under a write, an AttributeError.
    """
    with suppress(OSError), socket.fromfd(sock.fileno(), sock.family, sock.type) as same:  # or it is closed already
        same.shutdown(socket.SHUT_RDWR)
