"""Group commit: one sync acknowledges all waiting writers, over all processes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from event_log.aside import aside
from event_log.errors import LogError, LogUnavailable


class GroupCommit:
    """For one log of one process. One sync runs at a time; whoever comes meanwhile shares the next one.

    The outcome is handed to all who share a sync at once, by an event. A lock that they pass one after the other would
    not do: the first one through may write and sync again before the second one gets it, and under gevent always does,
    so that each sync acknowledges a single write.
    """

    def __init__(self, synced: Callable[[], int]) -> None:
        self._synced = synced
        self._lock = threading.Lock()  # guards what follows; nobody waits for anything while holding it
        self._running: _Sync | None = None
        self._next: _Sync | None = None

    def wait(self, position: int, sync: Callable[[], None], *, also: bool = False) -> None:
        """Return once all up to a position is on the disk, `also` what takes no position. Raises LogUnavailable."""
        while also or self._synced() < position:
            shared, leads = self._join()
            if leads:
                self._lead(shared, sync)
            else:
                shared.over.wait()
            if shared.fault is not None:
                raise LogUnavailable(str(shared.fault)) from shared.fault
            also = also and not shared.done

    def _join(self) -> tuple[_Sync, bool]:
        """Join the next sync; says whether the caller is the first one there, who carries it out."""
        with self._lock:
            leads = self._next is None
            if self._next is None:
                self._next = _Sync(self._running)
            return self._next, leads

    def _lead(self, shared: _Sync, sync: Callable[[], None]) -> None:
        """Sync for all who share this, once the one before is over. If this greenlet is killed on the way, the others
        begin anew."""
        try:
            if shared.before is not None:
                shared.before.over.wait()
                shared.before = None
            with self._lock:
                self._running, self._next = shared, None
            aside(sync)
            shared.done = True
        except LogError as fault:
            shared.fault = fault
        finally:
            self._leave(shared)

    def _leave(self, shared: _Sync) -> None:
        with self._lock:
            if self._running is shared:
                self._running = None
            if self._next is shared:
                self._next = None
        shared.over.set()


class _Sync:
    """A sync that several writers share, begun after each of them had written."""

    def __init__(self, before: _Sync | None) -> None:
        self.before = before
        self.over = threading.Event()
        self.done = False
        self.fault: LogError | None = None
