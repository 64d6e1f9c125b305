"""The keys in force: those of the file as it is now, or as it last was good."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from access.keys import Keys, parse_keys
from watched.file import WatchedFile
from watched.memory import Memory


class Watch(WatchedFile[Keys]):
    """The keys of one file, read again when it has changed."""

    name = "key file"
    setting = "KEYS"
    logger = logging.getLogger("tidemark.access")

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        memory: Memory | None = None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Raises BadFile where the file is no good and none was before."""
        super().__init__(path, parse_keys, clock, memory, pause)

    def keys(self) -> Keys:
        """Those in force."""
        return self.content()
