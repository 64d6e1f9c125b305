"""Locks between processes, which end with their process and never keep the other greenlets of a worker waiting.

They are of the kind flock. Like an OFD lock such a lock belongs to one opening of a file, so that two logs in one
process exclude each other; it takes 0.7 us where an OFD lock takes 1.2, and macOS has it too. A forked child must close
what it inherits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from pathlib import Path

from event_log.aside import native_lock, sleep
from event_log.errors import LogUnavailable
from event_log.files.disk import File

SPINS = 20
SLEEP_SECONDS = 0.0003
NOW, SHARED, FREE = LOCK_EX | LOCK_NB, LOCK_SH | LOCK_NB, LOCK_UN


class FileLock:
    """A lock on a file of its own, between processes and between the threads of this one."""

    def __init__(self, path: Path, patience_seconds: float) -> None:
        self._mutex = native_lock()
        self._patience = patience_seconds
        self._path = path
        self._file = File(path, os.O_RDWR | os.O_CREAT)
        self._number = self._file.number

    def acquire(self) -> None:
        """Raises LogUnavailable where somebody has it for longer than the patience lasts."""
        if not self._try():
            self._wait()

    def release(self) -> None:
        flock(self._number, FREE)
        self._mutex.release()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The same, to be released at the end."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def share(self) -> None:
        """Hold it together with others. Only where nobody can have it alone."""
        flock(self._number, SHARED)

    def try_alone(self) -> bool:
        """Hold it alone instead of together with others, if nobody else does; else as before."""
        try:
            flock(self._number, NOW)
        except BlockingIOError:
            self.share()  # what was held may be gone: a change of kind is not atomic
            return False
        return True

    def close(self) -> None:
        """Let go of it; in a forked child, which shares it, the parent goes on to have it."""
        self._file.close()

    def _try(self) -> bool:
        if not self._mutex.acquire(False):
            return False
        try:
            flock(self._number, NOW)
        except BaseException as fault:
            self._mutex.release()
            if isinstance(fault, BlockingIOError):
                return False
            raise
        return True

    def _wait(self) -> None:
        until, tries = time.monotonic() + self._patience, 0
        while not self._try():
            tries += 1
            if time.monotonic() > until:
                raise LogUnavailable(
                    f"another process has held {self._path} for {self._patience:g} s and may be stopped; try again"
                )
            if tries > SPINS:
                sleep(SLEEP_SECONDS)
