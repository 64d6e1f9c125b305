"""How a log on one machine is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from event_log.boot import boot_id

STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Options:
    """What a process opens a log with."""

    path: Path
    max_bytes: int
    sync: str = "everysec"
    """`everysec`, `always` or `never`."""
    boot: Callable[[], str] = boot_id
    clock: Callable[[], float] = lambda: datetime.now(UTC).timestamp()

    def stamp(self) -> str:
        """The time, as it stands in the name of what is set aside."""
        return datetime.fromtimestamp(self.clock(), UTC).strftime(STAMP)

    def age_of(self, stamp: str) -> float:
        """How many seconds ago that was."""
        return self.clock() - datetime.strptime(stamp, STAMP).replace(tzinfo=UTC).timestamp()
