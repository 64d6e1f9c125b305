"""A lock that is of the right kind in whatever process uses it."""

from __future__ import annotations

import os
import threading
from types import TracebackType


class OwnLock:
    """Made at its first use in each process, by a name looked up there.

    Under --preload gevent replaces the locks only after the fork, and one of the kind before would halt all greenlets
    for one. For what waits while it holds the lock; where nobody waits, any kind will do."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._pid = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if self._pid != os.getpid():
            self._renew()
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def _renew(self) -> None:
        with self._mutex:
            if self._pid != os.getpid():
                self._lock = threading.Lock()
                self._pid = os.getpid()
