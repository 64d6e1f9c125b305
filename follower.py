"""The background work of one worker: follow the log, clean it, sync it.

A thread; under gevent, whose patches make it a greenlet, the one step that may block for long, the sync
to disk, goes to gevent's pool of real threads.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from itertools import count

from event_log.aside import aside
from event_log.base import LogError

INTERVAL = 0.2
"""Often enough that what has come in meanwhile is taken in within a few milliseconds."""
ROUNDS_A_SYNC = 5
PATIENCE = 1.0
"""A round that takes longer, under much load, syncs in between: how old it gets is bound by the clock."""
MOST_SECONDS = 5.0
"""How long `stop` waits."""
logger = logging.getLogger("tidemark.follower")


class Follower:
    """Calls `tick` until it says that nothing is waiting, five times a second, and `sync` each fifth time."""

    def __init__(
        self,
        tick: Callable[[], bool],
        sync: Callable[[], None],
        interval: float = INTERVAL,
        rounds_a_sync: int = ROUNDS_A_SYNC,
        patience: float = PATIENCE,
    ) -> None:
        self._tick = tick
        self._sync = sync
        self._interval = interval
        self._rounds_a_sync = rounds_a_sync
        self._patience = patience
        self._pid = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._said = ""

    def start(self) -> bool:
        """Run in this process from now on; does nothing where it runs already. False once stopped."""
        pid = os.getpid()
        if self._pid != pid:
            self._pid = pid
            self._stopped = threading.Event()
            # By its name of this moment: with --preload gevent patches later, and no class of before can be joined.
            self._thread = threading.Thread(target=self._run, args=(self._stopped,), name="follower", daemon=True)
            self._thread.start()
        return not self._stopped.is_set()

    def stop(self) -> None:
        """End after the piece of work at hand, and wait for that: the log is to be closed next."""
        self._stopped.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(MOST_SECONDS)

    def _run(self, stopped: threading.Event) -> None:
        for number in count(1):
            if stopped.is_set():
                return
            try:
                self._round(stopped, sync=number % self._rounds_a_sync == 0)
                self._said = ""
            except LogError as fault:
                self._say(str(fault))
            except Exception:  # a worker that follows no more would answer slowly, and clean and sync never again
                logger.exception("following the log failed; trying again")
            stopped.wait(self._interval)

    def _say(self, fault: str) -> None:
        """A fault that lasts is said once."""
        if fault != self._said:
            self._said = fault
            logger.error("%s", fault)

    def _round(self, stopped: threading.Event, *, sync: bool) -> None:
        synced = time.monotonic()
        while self._tick() and not stopped.is_set():
            if time.monotonic() - synced >= self._patience:
                aside(self._sync)
                synced = time.monotonic()
            time.sleep(0.001)  # let requests in between two pieces; after a sleep of 0 gevent looks at no socket
        if sync:
            aside(self._sync)
