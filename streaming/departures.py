"""Disconnects: which clients have closed their connection, or vanished without a word.

A stream on which nothing is sent would notice neither. So one `poll` looks at all their sockets, once a second, and the
kernel is told how long to wait for an acknowledgement.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from typing import Generic, TypeVar

from gevent.monkey import get_original

UNANSWERED_MS = 30_000
"""After how long without an acknowledgement the kernel gives up on a client that vanished without a word."""
_CLOSED = getattr(select, "POLLRDHUP", 0)
"""Set when the client has closed its side, whatever it sent before; Linux has it, elsewhere a hang-up must do."""

Owner = TypeVar("Owner")


class Departures(Generic[Owner]):
    """The sockets that are watched, and whose they are. Not thread-safe."""

    def __init__(self) -> None:
        # gevent's own poll would wait in its loop; the real one, told not to wait, costs 0.2 us a socket.
        self._poll = get_original("select", "poll")()
        self._owners: dict[int, Owner] = {}

    def watch(self, fileno: int, owner: Owner) -> None:
        """Notice when the client at this descriptor leaves; -1 is nobody."""
        if fileno >= 0:
            self._poll.register(fileno, _CLOSED)
            self._owners[fileno] = owner

    def forget(self, fileno: int, owner: Owner) -> None:
        """Watch no longer, unless the descriptor has become another's by now."""
        if self._owners.get(fileno) is owner:
            self._poll.unregister(fileno)
            del self._owners[fileno]

    def found(self) -> list[Owner]:
        """Whose clients have left; costs one system call."""
        return [self._owners[fileno] for fileno, _ in self._poll.poll(0)]


def notice_silence(sock: socket.socket) -> None:
    """Let the kernel end the connection when heartbeats go unacknowledged; it would try for 15 minutes."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # a client that left at once may have had its socket closed already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
