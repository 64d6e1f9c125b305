"""Work of each process on the log about once a second: raise the horizon, adopt what others have compacted, compact
when it is due."""

from __future__ import annotations

from collections.abc import Callable

from event_log.aside import Turns, give_way
from event_log.compaction import MOSTLY_DEAD, Compaction, Content, Verdict
from event_log.errors import HistoryChanged
from event_log.log import Log
from event_log.port import Behind, Usage
from times import SECOND

TAIL = 200_000
"""Positions that are read from records, not from blobs, at a start: from there on a compaction is due."""
FILLED = 0.75
"""Share of the room from which on it is due at once."""
MOST_PAUSE = 32 * SECOND
"""Maximum microseconds between two compactions for want of room. The pause doubles from one second on while they do not
help: what a compaction leaves behind stays for ten minutes, and what lives stays longer."""
LEASE_SECONDS = 60.0
"""Seconds for which the right to compact is taken; another process takes over after them."""


class Upkeep:
    """For one log of one process, by one thread or greenlet."""

    def __init__(self, log: Log, judge: Callable[[int], Verdict]) -> None:
        """`judge` is the projection's word, as `Compaction.write` needs it; asked in the greenlet that calls `tick`."""
        self._log = log
        self._judge = judge
        self._pause = self._not_before = 0  # of compactions for want of room, in the log's time

    def tick(self, now: int) -> bool:
        """Do what is due; `now` is the time by this host's clock. Says whether a compaction was done."""
        self._log.raise_horizon(now)
        try:
            self._log.adopt()
            return self.is_due() and self._log.store.may_compact(LEASE_SECONDS) and self._compact()
        except (Behind, HistoryChanged):  # others have compacted, or the log is another one: the next tick sees it
            return False

    def is_due(self) -> bool:
        """Return whether it is time for a compaction."""
        store, machine = self._log.store, self._log.machine
        manifest = store.manifest()
        tail = machine.cursor.position - manifest.cursor.position
        if tail >= TAIL:
            return True
        dead = any(part.dead_share(machine.horizon) >= MOSTLY_DEAD for part in Content.of(manifest).parts)
        usage = store.usage()
        return dead or (tail > 0 and self._lacks_room(usage))

    def _lacks_room(self, usage: Usage) -> bool:
        """Return whether a compaction for want of room is due, which then counts as done."""
        now = self._log.store.time()
        if usage.bytes_used <= FILLED * usage.bytes_allowed:
            self._pause = self._not_before = 0
            return False
        if now < self._not_before:
            return False
        self._pause = min(max(SECOND, 2 * self._pause), MOST_PAUSE)
        self._not_before = now + self._pause
        return True

    def _compact(self) -> bool:
        store = self._log.store
        run = self._log.aside
        work = Compaction(store, Turns().give_way if store.blocks else give_way)
        verdict = self._judge(run(work.replay))
        done = run(lambda: work.write(verdict))
        self._log.adopt()
        return done
