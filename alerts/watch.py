"""The file of ALERTS as it is now, or as it last was good."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from alerts.file import AlertsFile, parse_file
from watched.file import WatchedFile
from watched.memory import Memory


class AlertsWatch(WatchedFile[AlertsFile]):
    """Rules and receivers of one file, read again when it has changed."""

    name = "file of alerts"
    setting = "ALERTS"
    logger = logging.getLogger("tidemark.alerts")

    def __init__(
        self,
        path: Path,
        retention: int,
        clock: Callable[[], float] = time.monotonic,
        memory: Memory | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Raises BadFile where the file is no good and none was before."""
        super().__init__(path, lambda text: parse_file(text, retention), clock, memory, pause)
