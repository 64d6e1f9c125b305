"""The keys in force: those of the file as it is now, or as it last was good."""

from __future__ import annotations

import logging

from access.keys import Keys, parse_keys
from watched.file import WatchedFile


class Watch(WatchedFile[Keys]):
    """The keys of one file, read again when it has changed."""

    name = "key file"
    setting = "KEYS"
    logger = logging.getLogger("tidemark.access")

    def parse(self, text: bytes) -> Keys:
        """Return the keys of a file. Raises BadFile."""
        return parse_keys(text)

    def keys(self) -> Keys:
        """Those in force."""
        return self.content()
