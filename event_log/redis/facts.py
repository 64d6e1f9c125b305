"""Facts about Redis: how it survives a power cut or the loss of its machine, as far as it tells."""

from __future__ import annotations

import time
from math import inf

from event_log.errors import LogUnavailable
from event_log.redis.pool import Pool
from event_log.redis.session import facts_of

EVERY_SECOND = 1.0
"""Seconds that an append-only file which is synced every second may lack."""
MOST_LAG = 3
"""Maximum seconds since an up-to-date replica has told its position: it tells once a second."""


class Facts:
    """Looked at when they are asked for, at most once a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._facts: dict[str, str] = {}
        self._looked = -inf

    def synced(self) -> float | None:
        """Return the age in seconds of what a power cut could still cost; None where nothing is ever safe, or it is not
        known."""
        facts = self._look()
        if facts.get("aof_enabled") == "1":
            return EVERY_SECOND if facts.get("aof_last_write_status") == "ok" else None
        if facts.get("rdb_changes_since_last_save") == "0":
            return 0.0
        saved = int(facts.get("rdb_last_save_time", "0"))
        return max(0.0, time.time() - saved) if facts.get("rdb_saves", "0") != "0" else None

    def check(self) -> None:
        """Raises LogUnavailable where no write can be acknowledged, as replicas lack."""
        wait, found = self._pool.url.wait, self._replicas()
        if found < wait:
            raise LogUnavailable(
                f"{self._pool.url} has {found} replicas up to date, not the {wait} that wait= asks for"
            )

    def notices(self) -> list[str]:
        """Return warnings for people."""
        facts, where, found = self._look(), self._pool.url, []
        if facts.get("maxmemory_policy", "noeviction") != "noeviction" and facts.get("maxmemory", "0") != "0":
            found.append(f"{where} may throw keys away when it is full; set its maxmemory-policy to noeviction")
        if facts.get("aof_enabled") == "0":
            found.append(f"{where} keeps no append-only file: its end may cost all since the last snapshot")
        if facts.get("aof_last_write_status", "ok") != "ok":
            found.append(f"{where} cannot write its append-only file")
        replicas, wanted = self._replicas(), self._wanted()
        if replicas < wanted:
            found.append(
                f"{where} has {replicas} replicas up to date, not {wanted}: another one may have taken over on the "
                "other side of a network that is cut, and what is written here may be lost"
            )
        return found

    def _wanted(self) -> int:
        """Return the number of replicas that there should be: one at least where another one could take over."""
        may_fail_over = self._pool.url.master is not None or "min_slaves_good_slaves" in self._look()
        return max(self._pool.url.wait, int(may_fail_over))

    def _replicas(self) -> int:
        """Return the number of replicas that are up to date, and have told so just now."""
        facts = self._look()
        told = [facts.get(f"slave{number}", "") for number in range(int(facts.get("connected_slaves", "0")))]
        each = [dict(word.partition("=")[::2] for word in line.split(",")) for line in told]
        return sum(one.get("state") == "online" and int(one.get("lag", "-1")) <= MOST_LAG for one in each)

    def _look(self) -> dict[str, str]:
        """Return the facts that Redis tells of itself. Raises LogUnavailable."""
        if time.monotonic() > self._looked + EVERY_SECOND:
            sections = [("INFO", section) for section in ("persistence", "memory", "replication")]
            self._facts = facts_of(b"\n".join(self._pool.ask(*sections)))
            self._looked = time.monotonic()
        return self._facts
