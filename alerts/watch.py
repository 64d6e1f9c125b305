"""The file of ALERTS as it is now, or as it last was good."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from alerts.file import AlertsFile, parse_file
from watched.file import WatchedFile


class AlertsWatch(WatchedFile[AlertsFile]):
    """Rules and receivers of one file, read again when it has changed."""

    name = "file of alerts"
    setting = "ALERTS"
    logger = logging.getLogger("tidemark.alerts")

    def __init__(self, path: Path, retention: int, **options: Any) -> None:
        """`retention` bounds windows. Raises BadFile where the file is no good and none was before."""
        self._retention = retention
        super().__init__(path, **options)

    def parse(self, text: bytes) -> AlertsFile:
        """Return what a file says. Raises BadFile."""
        return parse_file(text, self._retention)
