"""Who may do what to a log, told between processes by locks on parts of one file, which end with their process."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from event_log.aside import native_lock

_SETTLE, _LIVE, _OPEN = range(3)
_open_here: dict[tuple[int, int, int], None] = {}
"""Process, device and inode of each open log: to close its file a second time would drop the locks of the first."""


class AlreadyOpen(OSError):
    """This process has opened the log before, and not closed it."""


class Rights:
    """The locks of one process on one log. A lock of this kind is not inherited by a fork."""

    def __init__(self, folder: Path) -> None:
        status = folder.stat()
        self._key = os.getpid(), status.st_dev, status.st_ino
        if self._key in _open_here:
            raise AlreadyOpen(f"{folder} is already open in this process")
        _open_here[self._key] = None
        self._settling = native_lock()
        try:
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError:
            del _open_here[self._key]
            raise

    @contextmanager
    def to_settle(self, *, wait: bool) -> Iterator[bool]:
        """The right to settle, and to write to what is settled; whether it was got."""
        if not self._settling.acquire(wait):  # type: ignore[attr-defined]
            yield False
            return
        try:
            got = self._lock(_SETTLE, wait=wait)
            try:
                yield got
            finally:
                if got:
                    self._unlock(_SETTLE)
        finally:
            self._settling.release()  # type: ignore[attr-defined]

    @contextmanager
    def to_open(self) -> Iterator[None]:
        """The right to open or to leave the log, which one process has at a time."""
        self._lock(_OPEN, wait=True)
        try:
            yield
        finally:
            self._unlock(_OPEN)

    def is_alone(self) -> bool:
        """Whether no other process has the log open. Only with the right to open."""
        return self._lock(_LIVE, wait=False)

    def live(self) -> None:
        """Let other processes know, from now on, that this one has the log open."""
        fcntl.lockf(self._file, fcntl.LOCK_SH, 1, _LIVE)

    def close(self) -> None:
        """Give all back."""
        if _open_here.pop(self._key, self) is None:
            os.close(self._file)

    def _lock(self, part: int, *, wait: bool) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, part)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(self, part: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, part)
