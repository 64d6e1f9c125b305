"""What a process may use only if it opened it itself: opened at first use, and anew after a fork."""

from __future__ import annotations

import os
from threading import Lock

from event_log.options import Options
from event_log.store import Store


class PerProcess:
    """The store of this process."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._lock = Lock()
        self._store: Store | None = None

    def get(self) -> Store:
        """Raises LogUnavailable when it cannot be opened."""
        store = self._store
        if store is not None and store.pid == os.getpid():
            return store
        with self._lock:
            if self._store is None or self._store.pid != os.getpid():
                if self._store is not None:
                    # The parent's. It has to be closed here, and first: closed later it would take the locks of
                    # ours with it. The parent's own are not touched, but a transaction open at the fork would be.
                    self._store.disown()
                self._store = Store(self.options)
            return self._store

    def opened(self) -> Store | None:
        """The store, if this process has opened it."""
        store = self._store
        return store if store is not None and store.pid == os.getpid() else None

    def close(self) -> None:
        """Let go of it; the next use would open it again."""
        with self._lock:
            store, self._store = self.opened(), None
            if store is not None:
                store.close()
