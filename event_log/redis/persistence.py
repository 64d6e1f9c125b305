"""What Redis does to survive a power cut, as far as it tells."""

from __future__ import annotations

import time
from math import inf

from event_log.redis.link import Link
from event_log.redis.session import facts_of

EVERY_SECOND = 1.0
"""What an append-only file that is synced every second may lack."""


class Persistence:
    """Looked at when it is asked for, at most once a second."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._facts: dict[str, str] = {}
        self._looked = -inf

    def _look(self) -> dict[str, str]:
        """What Redis says of itself. Raises LogUnavailable."""
        if time.monotonic() > self._looked + EVERY_SECOND:
            self._facts = facts_of(b"\n".join(self._link.look(("INFO", "persistence"), ("INFO", "memory"))))
            self._looked = time.monotonic()
        return self._facts

    def synced(self) -> float | None:
        """Return how many seconds of acknowledged writes a power cut could cost; None where all, or it is not known."""
        facts = self._look()
        if facts.get("aof_enabled") == "1":
            return EVERY_SECOND if facts.get("aof_last_write_status") == "ok" else None
        if facts.get("rdb_changes_since_last_save") == "0":
            return 0.0
        saved = int(facts.get("rdb_last_save_time", "0"))
        return max(0.0, time.time() - saved) if facts.get("rdb_saves", "0") != "0" else None

    def notice(self) -> str | None:
        """What a person should know of it."""
        facts = self._look()
        if facts.get("maxmemory_policy", "noeviction") != "noeviction" and facts.get("maxmemory", "0") != "0":
            return f"{self._link.url} may throw keys away when it is full; set its maxmemory-policy to noeviction"
        if facts.get("aof_enabled") == "0":
            return f"{self._link.url} keeps no append-only file: its end may cost all since the last snapshot"
        if facts.get("aof_last_write_status", "ok") != "ok":
            return f"{self._link.url} cannot write its append-only file"
        return None
