"""The background work of one worker: follow the log, and sync it.

Two threads, so that no sync waits for a compaction. Under gevent, whose patches make greenlets of them, what may block
for long goes to gevent's pool of real threads.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from event_log.aside import aside
from event_log.errors import LogError

INTERVAL = 0.2
"""Seconds between two rounds: what has come in meanwhile is then taken in within a few milliseconds."""
SYNC_INTERVAL = 1.0
"""Seconds between two syncs."""
MOST_SECONDS = 5.0
"""Maximum seconds that `stop` waits."""
logger = logging.getLogger("tidemark.background")


class Background:
    """Calls `tick` until it says that nothing is waiting, five times a second; and `sync` once a second, whatever
    `tick` is busy with."""

    def __init__(
        self,
        tick: Callable[[], bool],
        sync: Callable[[], None],
        interval: float = INTERVAL,
        sync_interval: float = SYNC_INTERVAL,
        *,
        blocks: bool = False,
    ) -> None:
        """`blocks`: `sync` holds the thread that calls it, and under gevent belongs into a real one."""
        self._tick = tick
        self._loops: list[tuple[str, Callable[[], object], float]] = [
            ("background", self._follow, interval),
            ("sync", (lambda: aside(sync)) if blocks else sync, sync_interval),
        ]
        self._pid = 0
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._said: dict[str, str] = {}  # under _saying, by loop: the fault that it met last, if it lasts

    def start(self) -> bool:
        """Run in this process from now on; does nothing where it runs already. False once stopped."""
        pid = os.getpid()
        if self._pid != pid:
            self._pid = pid
            self._stopped = stopped = threading.Event()
            self._saying = threading.Lock()
            # By its name of this moment: with --preload gevent patches later, and no class of before can be joined.
            self._threads = [
                threading.Thread(target=self._run, args=(name, work, interval, stopped), name=name, daemon=True)
                for name, work, interval in self._loops
            ]
            for thread in self._threads:
                thread.start()
        return not self._stopped.is_set()

    def stop(self) -> None:
        """End after the chunks of work at hand, and wait for those: the log is to be closed next."""
        self._stopped.set()
        if self._pid == os.getpid():
            for thread in self._threads:
                thread.join(MOST_SECONDS)

    def _follow(self) -> None:
        while self._tick() and not self._stopped.is_set():
            time.sleep(0.001)  # yield to requests between two chunks; after a sleep of 0 gevent looks at no socket

    def _run(self, name: str, work: Callable[[], object], interval: float, stopped: threading.Event) -> None:
        """Do some work again and again."""
        while not stopped.is_set():
            try:
                work()
                with self._saying:
                    self._said.pop(name, None)
            except LogError as fault:
                self._say(name, str(fault))
            except Exception:  # a worker that follows no more would answer slowly, and sync never again
                logger.exception("following the log failed; trying again")
            stopped.wait(interval)

    def _say(self, name: str, fault: str) -> None:
        """A fault that lasts is said once, whichever loops meet it."""
        with self._saying:
            is_new = fault not in self._said.values()
            self._said[name] = fault
        if is_new:
            logger.error("%s", fault)
