"""One open stream's mailbox: bytes in from the feed, bytes out to one socket, never many between."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress

from streaming.endings import TOO_SLOW, Ending
from streaming.polling import disconnect

MOST_WAITING_BYTES = 1 << 20
MOST_WAITING_CHUNKS = 1_000


class Subscriber:
    """A mailbox filled by the feed's thread and emptied, by iteration, in the thread of its own request.

    Chunks are shared between subscribers, never copied. The lock is looked up in `threading` when one is made,
    so it is gevent's wherever gevent has taken over.
    """

    two_way = False
    """True where the client may say something, of which `hear` is told."""

    def __init__(
        self,
        sock: socket.socket | None = None,
        heartbeat: bytes = b"",
        *,
        only_latest: bool = False,
        allowed: Callable[[], bool] | None = None,
    ) -> None:
        """`allowed` is asked again and again; once it says no the stream ends."""
        self.ending: Ending | None = None
        self.behind: int | None = None
        """Position behind which the reader has to fetch events by itself before it is given more."""
        self.quiet_sweeps = 0
        """Number of looks of the feed since something was last put in, or since the ending."""
        self._socket = sock
        self._heartbeat = heartbeat
        self._only_latest = only_latest
        self.allowed = allowed
        self._chunks: deque[bytes] = deque()
        self._put_bytes = 0  # changed by the feed only
        self._taken_bytes = 0  # changed by the reader only
        self._news = threading.Lock()
        self._news.acquire()

    def put(self, chunk: bytes) -> None:
        """Leave bytes to send; end the stream when so much waits already that this reader is too slow.

        A reader of only the latest is never too slow: what it has not taken is replaced.
        What waits is judged before the chunk is added, so one large batch alone drops nobody.
        """
        if self.ending is not None or not chunk:
            return
        if self._only_latest:
            self._chunks.clear()
        elif len(self._chunks) >= MOST_WAITING_CHUNKS or self._put_bytes - self._taken_bytes >= MOST_WAITING_BYTES:
            self.end(TOO_SLOW)
            return
        self.quiet_sweeps = 0
        self._put_bytes += len(chunk)
        self._chunks.append(chunk)
        self._wake()

    def beat(self) -> None:
        """Leave a heartbeat, unless something waits that does as well."""
        if not self._chunks:
            self.put(self._heartbeat)

    def end(self, ending: Ending) -> None:
        """Forget what waits and let the reader end the stream; only the first ending counts."""
        if self.ending is None:
            self.ending = ending
            self.quiet_sweeps = 0
            self._chunks.clear()
            self._wake()

    def fall_behind(self, position: int) -> None:
        """Have the reader fetch by itself what stands behind a position, once it has taken all that waits."""
        self.behind = position
        self._wake()

    def cut(self) -> None:
        """End the connection, and with it a write that is stuck."""
        if self._socket is not None:
            disconnect(self._socket)

    def fileno(self) -> int:
        """The descriptor to watch for the client's leaving; -1 when there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def hear(self) -> None:
        """Be told that the client has said something."""

    def barred(self) -> bool:
        """Return whether this stream may go on no longer."""
        return self.allowed is not None and not self.allowed()

    def __iter__(self) -> Generator[bytes]:
        """Everything that is put, as it comes, until the ending, or until it has fallen behind; what waited together
        comes as one piece."""
        is_behind = False
        while self.ending is None and not is_behind:
            self._news.acquire()
            is_behind = self.behind is not None  # looked at before what waits is taken, as nothing more is put then
            if waiting := self.take():
                yield waiting

    def take(self) -> bytes:
        """Everything that waits now, in one piece; empty when nothing does."""
        waiting = []
        with suppress(IndexError):  # empty, or just cleared by the feed
            while True:
                waiting.append(self._chunks.popleft())
        taken = waiting[0] if len(waiting) == 1 else b"".join(waiting)
        self._taken_bytes += len(taken)
        return taken

    def _wake(self) -> None:
        with suppress(RuntimeError):  # not yet awake from the last time; it will find this too
            self._news.release()
